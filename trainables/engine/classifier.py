"""Classifier engine: one training run of a Keras network."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from trainables import records
from trainables.backends.selection import backend
from trainables.config import RunConfig
from trainables.data.selection import select
from trainables.data.unused import unused_images
from trainables.engine.batches import draw_batches
from trainables.engine.evaluated import batch_width, measured_images
from trainables.engine.evaluation import evaluation_function
from trainables.engine.feeding import Feed, Placement, collected, feeds_of, is_streamed, steps_of
from trainables.engine.metrics import Predictions
from trainables.engine.network import network_of
from trainables.engine.protocol import TestResult
from trainables.engine.saved_model import save_model
from trainables.engine.step import TrainingStep, epoch_function
from trainables.errors import DivergedError, TrialError
from trainables.randomness import stream
from trainables.schedules import learning_rates, part

STATE_FILE = "state.npz"
RUN_FILE = "run.json"
FAR_ABOVE_CHANCE = 2.0
"""Ratio of the training loss to that of guessing above which a run gets a warning."""
AUTO = Placement()
log = logging.getLogger(__name__)


class Classifier:
    """A run in progress (see `trainables.engine.protocol.Engine`).

    Its whole state is `epoch` and a few arrays; everything random is regenerated for each epoch from (seed, epoch). The
    network and the compiled functions are shared between the runs of a process; the first run that needs one compiles
    it in its first epoch.

    Args:
        config: configuration of the run.
        arrays: the data, as returned by `Dataset.arrays`.
        class_count: number of classes of the data.
        placement: where the images are while the run trains, and on how many devices.

    Raises:
        InputError: the images are too small for the network, a class has too few images, or there are too few
            classes, or the backend cannot use as many devices together.
    """

    def __init__(
        self,
        config: RunConfig,
        arrays: Mapping[str, np.ndarray],
        class_count: int,
        placement: Placement = AUTO,
    ) -> None:
        backend.require_devices(placement.devices)
        self.config = config
        self.epoch = 0
        self.warning = ""
        self._arrays, self._devices = arrays, placement.devices
        self._chosen = chosen = select(arrays, config, class_count)
        self._train, self._validation, self._class_count = chosen.train, chosen.validation, chosen.classes
        self._image_shape = tuple(arrays["images"].shape[1:])
        self._xla = backend.compiles(config.compile)
        self._network = network_of(
            config.model.structure(), self._image_shape, chosen.classes, config.precision, self._xla
        )
        most, held = min(len(chosen.train), chosen.measured), len(chosen.validation)
        self._measured = _subset(self._train, measured_images(most, held), config.split_seed)
        self._width = batch_width(most + held)
        self._batch = min(config.batch_size, len(self._train))
        self._steps = len(self._train) // self._batch
        self._length = config.steps or config.epochs * self._steps
        self._run_epoch = epoch_function(self._training_step())
        self.streamed = self._is_streamed(placement)
        self._data = feeds_of(arrays, chosen.labels, self.streamed, self._devices)
        mean, deviation = config.model.scale(self._data.mean, self._data.deviation)
        self._scale = {"mean": mean, "deviation": deviation}
        self._constants = self._step_constants()
        self._state = self._fresh_state()

    def _training_step(self) -> TrainingStep:
        config = self.config
        return TrainingStep(
            self._network,
            config.augmentation.name,
            config.method.apply,
            config.method.objective.kind,
            config.optimizer.structure(),
            self._xla,
            fused=config.compile != "off",
            devices=self._devices,
        )

    def _is_streamed(self, placement: Placement) -> bool:
        image_bytes = self._arrays["images"].nbytes + self._arrays["test_images"].nbytes
        images_per_device = -(-self._batch * self.config.method.copies // self._devices)
        return is_streamed(placement, image_bytes, self._network.size(images_per_device, self.config.optimizer.slots))

    def _step_constants(self) -> dict[str, Any]:
        """Return the constants of a `TrainingStep`."""
        config, decayed = self.config, self._network.decayed
        return {
            **self._scale,
            "smoothing": np.float32(config.label_smoothing),
            "temperature": np.float32(config.method.objective.temperature),
            "rates": {name: np.float32(value) for name, value in config.optimizer.rates().items()},
            "decayed": np.ones_like(decayed) if config.optimizer.decay_all else decayed,
        }

    def train_epoch(self) -> dict[str, float]:
        """Train one more epoch, evaluate, and return EPOCH_METRICS (see `Engine.train_epoch`)."""
        started = time.perf_counter()
        batches = self._batches(self.epoch)
        finite = bool(np.isfinite(np.concatenate(collected(self._trained(batches)))).all())
        trained = time.perf_counter()
        if not finite:
            raise DivergedError(self.epoch + 1)
        self.epoch += 1
        positions = np.concatenate([self._measured, self._validation])
        found = self._evaluate(self._data.development, positions, self._width)
        seen = found[: len(self._measured)]
        held = found[len(self._measured) :]
        self._check_loss(float(seen.loss.mean()))
        if self.epoch == self.config.epochs and not self.warning:
            self._check_learned(held if len(self._validation) else seen)
        steps = len(batches["learning_rate"])
        return {
            records.TRAIN_LOSS: float(seen.loss.mean()),
            records.TRAIN_ACCURACY: float(seen.correct.mean()),
            **(held.scores("validation") if len(self._validation) else {}),
            records.LEARNING_RATE: float(batches["learning_rate"][-1]),
            records.SECONDS: time.perf_counter() - started,
            records.IMAGES_PER_SECOND: steps * self._batch / (trained - started),
            records.PLAIN_EPOCHS: self._plain_epochs[self.epoch - 1],
        }

    @property
    def images(self) -> int:
        """Number of training images."""
        return len(self._train)

    @property
    def evaluated(self) -> int:
        """Number of images evaluated after each epoch."""
        return len(self._measured) + len(self._validation)

    @property
    def state_bytes(self) -> int:
        """Size of the arrays of a checkpoint in bytes."""
        return sum(value.nbytes for value in _to_arrays(self._state).values())

    def test(self, part: records.TestPart = "official") -> TestResult:
        """Evaluate the test set once (see `Engine.test`)."""
        found = self._evaluate(self._data.test, self._chosen.test)
        metrics = found.scores("test")
        if part == "extended":
            unused = unused_images(self._arrays, self._chosen, self.config.split_seed)
            both = found + self._evaluate(self._data.development, unused) if len(unused) else found
            metrics |= both.scores("extended_test") | {records.EXTENDED_TEST_IMAGES: float(len(both.labels))}
        return TestResult(metrics, found.correct, found.loss, found.confusion(self._class_count))

    def save(self, folder: Path) -> None:
        """Write the state into an existing folder (see `Engine.save`)."""
        with (folder / STATE_FILE).open("wb") as file:
            np.savez(file, allow_pickle=False, **_to_arrays(self._state))
        run = {"config": self._config_hash(), "epoch": self.epoch}
        (folder / RUN_FILE).write_text(json.dumps(run), encoding="utf-8")

    def restore(self, folder: Path) -> None:
        """Continue from a checkpoint that `save` wrote (see `Engine.restore`)."""
        try:
            run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            with (folder / STATE_FILE).open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                arrays = {name: archive[name] for name in archive.files}
            config, epoch = run["config"], int(run["epoch"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise TrialError(f"checkpoint {folder} is damaged: {error}") from None
        if config != self._config_hash():
            raise TrialError(f"checkpoint {folder} belongs to a run with another configuration")
        expected = _to_arrays(self._fresh_state())
        if {name: value.shape for name, value in arrays.items()} != {
            name: value.shape for name, value in expected.items()
        }:
            raise TrialError(f"checkpoint {folder} does not fit the network")
        self._state = _from_arrays(arrays)
        self.epoch = epoch

    def save_model(self, path: Path, class_names: tuple[str, ...]) -> None:
        """Write a `.keras` file that loads without Assay (see `trainables.engine.saved_model.save_model`)."""
        arrays = _to_arrays(self._state)
        state = _from_arrays(arrays)
        model = self._network.assign(state["weights"], state["moving"])
        save_model(path, model, self._scale["mean"], self._scale["deviation"], class_names[: self._class_count])

    def _fresh_state(self) -> dict[str, Any]:
        weights, moving = self._network.initial(self.config.seed, self.config.model.dropout_rate)
        slots = [np.zeros_like(weights) for _ in range(self.config.optimizer.slots)]
        return {"weights": weights, "slots": slots, "moving": moving, "step": np.float32(0)}

    def _batches(self, epoch: int) -> dict[str, Any]:
        """Return the batches of an epoch, with the learning rate of each step.

        If the training length is given in epochs, that is one pass over the images; if it is given in steps, an epoch
        consists of parts of one or several passes.
        """
        config, steps = self.config, self._steps
        first, last = part(epoch, config.epochs, self._length)
        drawn = [
            steps_of(
                draw_batches(config, self._train, self._image_shape, self._batch, epoch, number),
                slice(max(first - number * steps, 0), last - number * steps),
            )
            for number in range(first // steps, -(-last // steps))
        ]
        return {
            **keras.tree.map_structure(lambda *parts: np.concatenate(parts), *drawn),
            "learning_rate": learning_rates(
                config.optimizer.learning_rate,
                schedule=config.schedule,
                milestones=config.milestone_fractions,
                factor=config.decay_factor,
                warm_up=config.warm_up,
                rate_decay=config.rate_decay,
                first=first,
                last=last,
                total=self._length,
            ),
        }

    def _trained(self, batches: Mapping[str, Any]) -> Iterator[Any]:
        """Train the steps of some batches; yield their losses."""
        for data, some in self._data.development.chunks(batches):
            self._state, losses = self._run_epoch(self._state, data, self._constants, some)
            yield losses

    def _check_loss(self, loss: float) -> None:
        """Set `warning` if the training loss is far worse than that of guessing."""
        chance = float(np.log(self._class_count))
        self.warning = ""
        if loss > FAR_ABOVE_CHANCE * chance:
            self.warning = (
                f"after epoch {self.epoch} the training loss is {loss:.3g}, far above that of guessing ({chance:.3g}); "
                "a lower learning rate or a warm-up may help"
            )
            log.warning("%s", self.warning)

    def _check_learned(self, found: Predictions) -> None:
        """Set `warning` if the last accuracy is within two standard errors of always naming the largest class."""
        count = len(found.labels)
        chance = float(np.bincount(found.labels).max()) / count
        accuracy = float(found.correct.mean())
        if accuracy <= chance + 2 * (chance * (1 - chance) / count) ** 0.5:
            part = "validation" if len(self._validation) else "training"
            self.warning = (
                f"the network has not learned: after the last epoch its {part} accuracy, {100 * accuracy:.1f} %, is "
                f"within noise of always naming the largest class ({100 * chance:.1f} %); usual causes are a learning "
                "rate that is too high or too low, too few epochs, and wrong labels"
            )
            log.warning("%s", self.warning)

    def _evaluate(self, part: Feed, positions: np.ndarray, width: int | None = None) -> Predictions:
        """Return the network's predictions for images of a part of the data, given by their positions.

        Args:
            part: the images.
            positions: int (N,).
            width: images per batch; by default as few batches as possible.
        """
        n, width = len(positions), width or batch_width(len(positions))
        index = np.resize(positions.astype("int32"), (-(-n // width), width))  # filled up with the first positions
        function = evaluation_function(self._network, self._xla, self._devices)
        constants = {**self._scale, "weights": self._state["weights"], "moving": self._state["moving"]}
        outputs = collected(function(data, constants, some) for data, some in part.chunks({"index": index}))
        loss, likely, confidence = np.concatenate(outputs).swapaxes(0, 1).reshape(3, -1)[:, :n]
        return Predictions(part.labels[positions], likely.astype("int32"), confidence, loss)

    @cached_property
    def _plain_epochs(self) -> list[float]:
        """Nominal cost up to the end of each epoch, in epochs of plain training."""
        config = self.config
        parts = (part(epoch, config.epochs, self._length) for epoch in range(config.epochs))
        costs = (config.method.cost if config.method_on(epoch) else 1.0 for epoch in range(config.epochs))
        pairs = zip(costs, parts, strict=True)
        return [*accumulate(cost * (last - first) / self._steps for cost, (first, last) in pairs)]

    def _config_hash(self) -> str:
        return hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()


def _subset(train: np.ndarray, most: int, split_seed: int) -> np.ndarray:
    """Return at most `most` training images, the same for all epochs and methods."""
    return stream(split_seed, "split", copy=1).permutation(train)[:most]


def _to_arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a state under flat names."""
    arrays = {"weights": np.asarray(state["weights"]), "step": np.asarray(state["step"])}
    for group in ("slots", "moving"):
        arrays |= {f"{group}_{i}": np.asarray(value) for i, value in enumerate(state[group])}
    return arrays


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return a state from its arrays; the inverse of `_to_arrays`."""

    def group(name: str) -> list[np.ndarray]:
        return [arrays[f"{name}_{i}"] for i in range(sum(key.startswith(f"{name}_") for key in arrays))]

    return {
        "weights": arrays["weights"],
        "slots": group("slots"),
        "moving": group("moving"),
        "step": arrays["step"],
    }
