"""One training run of a Keras classifier."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from trainables import records
from trainables.augmentation import AUGMENTATIONS
from trainables.config import RunConfig
from trainables.data.splits import split
from trainables.engine import TestResult
from trainables.errors import DivergedError, TrialError
from trainables.network import network_of
from trainables.randomness import stream
from trainables.resident import resident_data
from trainables.saved_model import save_model
from trainables.schedules import learning_rates
from trainables.step import epoch_function, evaluation_function

STATE_FILE = "state.npz"
RUN_FILE = "run.json"
CHUNK = 512
"""Images per batch in evaluation, at most."""


class Classifier:
    """A run in progress (see `trainables.engine.Engine`).

    All that it carries from epoch to epoch is `epoch` and a few arrays; what is random is drawn anew for each
    epoch from (seed, epoch). The network and the compiled functions are shared with other runs of the
    process; the first run that needs one waits for it in its first epoch.

    Args:
        config: the run.
        arrays: what `Dataset.arrays` returns.
        class_count: number of classes.

    Raises:
        InputError: the images are too small for the network, or a class has too few.
    """

    def __init__(self, config: RunConfig, arrays: Mapping[str, np.ndarray], class_count: int) -> None:
        self.config = config
        self.epoch = 0
        self._image_shape = tuple(arrays["images"].shape[1:])
        self._network = network_of(config.model, self._image_shape, class_count)
        self._train, self._validation = split(
            arrays["labels"], config.split_seed, config.validation_fraction, config.train_fraction
        )
        self._measured = _subset(self._train, len(self._validation), config.split_seed)
        self._batch = min(config.batch_size, len(self._train))
        self._steps = len(self._train) // self._batch
        method = config.method
        self._run_epoch = epoch_function(
            self._network,
            config.augmentation,
            method.apply,
            method.reduction if method.copies > 1 else "mean",
            type(config.optimizer),
        )
        self._data = resident_data(arrays)
        self._scale = {"mean": self._data.mean, "deviation": self._data.deviation}
        self._constants = {
            **self._scale,
            "smoothing": np.float32(config.label_smoothing),
            "rates": {name: np.float32(value) for name, value in config.optimizer.rates().items()},
            "decayed": self._network.decayed,
        }
        self._state = self._fresh_state()

    def train_epoch(self) -> dict[str, float]:
        """Train one more epoch, evaluate, and return EPOCH_METRICS (see `Engine.train_epoch`)."""
        started = time.perf_counter()
        batches = self._batches(self.epoch)
        self._state, losses = self._run_epoch(self._state, self._data.development, self._constants, batches)
        finite = bool(np.isfinite(np.asarray(losses)).all())
        trained = time.perf_counter()
        if not finite:
            raise DivergedError(self.epoch + 1)
        self.epoch += 1
        loss, correct = self._evaluate(self._data.development, np.concatenate([self._measured, self._validation]))
        seen = slice(None, len(self._measured))
        held = slice(len(self._measured), None)
        return {
            records.TRAIN_LOSS: float(loss[seen].mean()),
            records.TRAIN_ACCURACY: float(correct[seen].mean()),
            records.VALIDATION_LOSS: float(loss[held].mean()),
            records.VALIDATION_ACCURACY: float(correct[held].mean()),
            records.LEARNING_RATE: float(batches["learning_rate"][-1]),
            records.SECONDS: time.perf_counter() - started,
            records.IMAGES_PER_SECOND: self._steps * self._batch / (trained - started),
            records.PLAIN_EPOCHS: self._plain_epochs(),
        }

    def test(self) -> TestResult:
        """Read the test set once (see `Engine.test`)."""
        loss, correct = self._evaluate(self._data.test, np.arange(len(self._data.test["labels"])))
        metrics = {records.TEST_ACCURACY: float(correct.mean()), records.TEST_LOSS: float(loss.mean())}
        return TestResult(metrics, correct, loss)

    def save(self, folder: Path) -> None:
        """Write the state into an existing folder (see `Engine.save`)."""
        with (folder / STATE_FILE).open("wb") as file:
            np.savez(file, allow_pickle=False, **_to_arrays(self._state))
        run = {"config": self._config_hash(), "epoch": self.epoch}
        (folder / RUN_FILE).write_text(json.dumps(run), encoding="utf-8")

    def restore(self, folder: Path) -> None:
        """Continue from what `save` wrote (see `Engine.restore`)."""
        try:
            run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            with (folder / STATE_FILE).open("rb") as file:
                archive = np.load(file, allow_pickle=False)
                arrays = {name: archive[name] for name in archive.files}
            config, epoch = run["config"], int(run["epoch"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
            raise TrialError(f"checkpoint {folder} is damaged: {error}") from None
        if config != self._config_hash():
            raise TrialError(f"checkpoint {folder} is of a run with another configuration")
        expected = _to_arrays(self._fresh_state())
        if {name: value.shape for name, value in arrays.items()} != {
            name: value.shape for name, value in expected.items()
        }:
            raise TrialError(f"checkpoint {folder} does not fit the network")
        self._state = _from_arrays(arrays)
        self.epoch = epoch

    def save_model(self, path: Path, class_names: tuple[str, ...]) -> None:
        """Write a `.keras` file that opens without Assay (see `trainables.saved_model.save_model`)."""
        arrays = _to_arrays(self._state)
        state = _from_arrays(arrays)
        model = self._network.assign(state["weights"], state["moving"])
        save_model(path, model, self._data.mean, self._data.deviation, class_names)

    def _fresh_state(self) -> dict[str, Any]:
        weights, moving = self._network.initial(self.config.seed)
        slots = [np.zeros_like(weights) for _ in range(self.config.optimizer.slots)]
        return {"weights": weights, "slots": slots, "moving": moving, "step": np.float32(0)}

    def _batches(self, epoch: int) -> dict[str, Any]:
        """Draw an epoch: the order of images, and what augmentation and method need, cut into batches."""
        config, method = self.config, self.config.method
        order = stream(config.seed, "order", epoch).permutation(self._train).astype("int32")
        augmentation = AUGMENTATIONS.get(config.augmentation)
        copies = [
            augmentation.draw(stream(config.seed, "augment", epoch, copy), len(order), self._image_shape)
            for copy in range(method.copies)
        ]
        n = self._steps * self._batch
        active = method.active(epoch, config.epochs)
        draws = method.draw(stream(config.seed, "method", epoch), n, self._batch, active)
        return {
            "index": np.repeat(self._cut(order)[:, np.newaxis], method.copies, axis=1),
            "augmentation": {name: np.stack([self._cut(copy[name]) for copy in copies], axis=1) for name in copies[0]},
            "method": {name: self._cut(value) for name, value in draws.items()},
            "learning_rate": learning_rates(
                config.optimizer.learning_rate,
                config.milestones,
                config.decay_factor,
                epoch=epoch,
                epochs=config.epochs,
                steps=self._steps,
            ),
        }

    def _cut(self, values: np.ndarray) -> np.ndarray:
        """Return (steps, batch, ...), without the incomplete last batch."""
        return values[: self._steps * self._batch].reshape(self._steps, self._batch, *values.shape[1:])

    def _evaluate(self, data: Mapping[str, Any], positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log loss, float32 (n,), and whether each image is classified rightly, bool (n,)."""
        n = len(positions)
        steps = -(-n // CHUNK)
        index = np.resize(positions.astype("int32"), (steps, -(-n // steps)))  # fills up with the first ones
        function = evaluation_function(self._network)
        outputs = function(self._state["weights"], self._state["moving"], data, self._scale, index)
        loss, correct = np.asarray(outputs).swapaxes(0, 1).reshape(2, -1)[:, :n]
        return loss, correct == 1

    def _plain_epochs(self) -> float:
        """Return the cost so far, in epochs of plain training; an epoch with the method off costs one."""
        method, epochs = self.config.method, self.config.epochs
        return sum(method.cost if method.active(epoch, epochs) else 1.0 for epoch in range(self.epoch))

    def _config_hash(self) -> str:
        return hashlib.sha256(self.config.model_dump_json().encode()).hexdigest()


def _subset(train: np.ndarray, most: int, split_seed: int) -> np.ndarray:
    """Return at most so many training images, the same ones in every epoch and every method."""
    return stream(split_seed, "split", copy=1).permutation(train)[:most]


def _to_arrays(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a state by flat names."""
    arrays = {"weights": np.asarray(state["weights"]), "step": np.asarray(state["step"])}
    for group in ("slots", "moving"):
        arrays |= {f"{group}_{i}": np.asarray(value) for i, value in enumerate(state[group])}
    return arrays


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the state; the inverse of `_to_arrays`."""

    def group(name: str) -> list[np.ndarray]:
        return [arrays[f"{name}_{i}"] for i in range(sum(key.startswith(f"{name}_") for key in arrays))]

    return {
        "weights": arrays["weights"],
        "slots": group("slots"),
        "moving": group("moving"),
        "step": arrays["step"],
    }
