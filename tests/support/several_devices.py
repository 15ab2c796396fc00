"""Runs that are divided among virtual devices: `python -m tests.support.several_devices`, on JAX with four devices.

Prints JSON: by case, the largest difference from the run on one device, of weights and metrics (resident runs with
loops compiled as a whole, as on GPUs, streamed ones step by step); the shapes that the devices compute; and what else
there is to know.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from tests.support.networks import NORMED_CONVOLUTION, PLAIN_CONVOLUTION
from tests.support.streaming import CLASSES, arrays_of
from trainables.backends.selection import backend
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.data.sharing import shared
from trainables.engine import feeding
from trainables.engine.classifier import Classifier
from trainables.engine.feeding import Placement
from trainables.errors import InputError
from trainables.records.metrics import IMAGES_PER_SECOND, SECONDS
from trainables.registration.plugins import code_allowed
from trainables.worker.requests import RunRequest
from trainables.worker.trainable import TrainingTrainable

DEVICES = 4
EPOCHS = 3
CASES: dict[str, dict[str, Any]] = {
    "baseline": {"method": "baseline", "batch_size": 16},
    "a batch that four devices cannot share evenly": {"method": "mixup", "batch_size": 13},
    "a batch with fewer images than devices": {"method": "baseline", "batch_size": 3, "train_fraction": 0.4},
    "the candidate pass of MaxUp": {"method": "maxup", "maxup.m": 3, "batch_size": 16},
    "MaxUp by softmax": {"method": "maxup", "maxup.reduction": "softmax", "batch_size": 16},
    "partners from all images": {
        "method": "maxup+cutmix", "maxup.m": 2, "cutmix.partner": "dataset", "augmentation": "affine_flip",
    },
    "SamplePairing": {"method": "sample_pairing", "sample_pairing.partner": "dataset", "label_noise": 0.2},
}  # fmt: skip
NORMED: dict[str, Any] = {"method": "mixup", "model": NORMED_CONVOLUTION}


def start(gpus: float, data: Any = "resident", **changes: Any) -> Classifier:
    """Return a run of a network without batch norm on that many devices."""
    plain = {"data": "digits", "model": PLAIN_CONVOLUTION, "augmentation": "crop_flip", "epochs": EPOCHS}
    plain |= {"batch_size": 13, "learning_rate": 0.05, "seed": 3, "validation_fraction": 0.3}
    return Classifier(RunConfig.from_plain(plain | changes), arrays_of(), CLASSES, Placement(data, gpus))


def figures(run: Classifier) -> dict[str, np.ndarray]:
    """Return what a run gives, from where it is to its end: metrics by epoch, state, and losses of the test images."""
    rows = [run.train_epoch() for _ in range(run.epoch, EPOCHS)]
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder))
        with np.load(Path(folder, "state.npz")) as state:
            found = {name: state[name] for name in state.files}
    names = rows[-1].keys() - {SECONDS, IMAGES_PER_SECOND}
    found |= {name: np.array(rows[-1][name]) for name in names}
    return found | {"test": run.test("extended").loss}


def difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Return the largest difference of any number, relative where it is above 1."""
    return max(float(np.max(abs(one[name] - other[name]) / np.maximum(1, abs(one[name])))) for name in one)


def convolved(run: Classifier) -> list[int]:
    """Return the numbers of images that one device convolves at a time, in the compiled epoch of a run."""
    data, batches = next(iter(run._data.development.chunks(run._batches(0))))
    loop: Any = run._run_epoch
    program = loop._scan.lower(run._state, data, run._constants, batches).compile().as_text()
    shapes = re.findall(r"= f32\[(\d+),(\d+),(\d+),8\]\S* convolution\(", program)  # of the outputs of its 8 filters
    return sorted({int(images) for images, *size in shapes if size == ["5", "4"]})


def resumed() -> float:
    """Return the difference of a run that goes on with two devices, then four, then one, from one that does not."""
    run = start(2, method="mixup")
    run.train_epoch()
    with tempfile.TemporaryDirectory() as folder:
        for devices in (4, 1):
            run.save(Path(folder))
            run = start(devices, "streamed", method="mixup")
            run.restore(Path(folder))
            if devices > 1:
                run.train_epoch()
    return difference(figures(start(1, method="mixup")), figures(run))


def worker(folder: Path) -> int:
    """Return the number of devices of a run as a worker starts it, from the resources of its request."""
    source = SOURCES.get("digits")()
    config = RunConfig.from_plain({"data": "digits", "model": PLAIN_CONVOLUTION, "augmentation": "crop", "epochs": 12})
    request = RunRequest(
        run="r", phase="search", condition="all", method="baseline", index=0, seed_index=0, test=None, stops=(),
        config=config.model_dump(mode="json"), checkpoints=str(folder), log=str(folder / "log"), gpus=2,
        code=(PLAIN_CONVOLUTION,),
    )  # fmt: skip
    actor = object.__new__(TrainingTrainable)
    actor._data, actor._arrays, actor._threads = {request.data_set: shared(source.load(), source)}, {}, 1
    engine: Any = actor.make_engine(request)
    engine.train_epoch()
    return len(engine._state["weights"].sharding.device_set)


def refusal() -> str:
    """Return what is said about more devices than there are."""
    try:
        start(2 * DEVICES, method="baseline")
    except InputError as error:
        return str(error)
    return ""


def main() -> None:
    """Print all findings."""
    backend.configure(threads=1, deterministic=True)
    feeding.CHUNK_BYTES = 3 * 13 * arrays_of()["images"][0].nbytes
    found: dict[str, Any] = {"differences": {}}
    with code_allowed(), tempfile.TemporaryDirectory() as folder:
        for name, changes in CASES.items():
            expected = figures(start(1, **changes))
            for place, on_device in (("resident", True), ("streamed", False)):
                with patch.object(backend, "loops_on_device", lambda on_device=on_device: on_device):
                    run = start(DEVICES, place, **changes)
                    found["differences"][f"{name}, {place}"] = difference(expected, figures(run))
        found["batch norm"] = difference(figures(start(1, **NORMED)), figures(start(DEVICES, **NORMED)))
        found["convolved"] = {
            f"{method}, {devices}": convolved(start(devices, batch_size=16, method=method))
            for method in ("baseline", "maxup")
            for devices in (1, DEVICES)
        }
        found["resumed"], found["worker"], found["refusal"] = resumed(), worker(Path(folder)), refusal()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
