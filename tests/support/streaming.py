"""Runs whose streamed and resident forms are compared, on either backend: `python -m tests.support.streaming`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.networks import CONVOLUTIONAL, DROPOUT
from trainables.backends.selection import backend
from trainables.config import RunConfig
from trainables.engine import feeding
from trainables.engine.classifier import Classifier
from trainables.engine.feeding import Placement
from trainables.methods import METHODS
from trainables.records.metrics import IMAGES_PER_SECOND, SECONDS
from trainables.registration.plugins import code_allowed

SHAPE, CLASSES = (11, 9, 3), 3
ALL = [(name, {}) for name in METHODS]
PARTNERS: list[tuple[str, dict[str, Any]]] = [
    ("mixup", {"mixup.partner": "dataset", "mixup.images": 4}),
    ("sample_pairing", {"sample_pairing.partner": "dataset"}),
    ("maxup+cutmix", {"maxup.m": 3, "cutmix.partner": "dataset", "augmentation": "photometric"}),
    ("maxup", {"maxup.reduction": "softmax", "augmentation": "none"}),
    ("mixup", {"mixup.partner": "dataset", "augmentation": "affine_flip", "fine_tune": 0.5}),
    ("baseline", {"label_noise": 0.3, "classes": 2, "model": CONVOLUTIONAL}),
    ("baseline", {"steps": 17, "train_fraction": 0.4}),
    ("baseline", {"batch_size": 10_000}),
]


def arrays_of(n: int = 151) -> dict[str, np.ndarray]:
    """Return images of odd sizes whose brightness depends on the class."""
    rng = np.random.default_rng(5)
    labels = (np.arange(n) % CLASSES).astype("int32")
    images = rng.integers(0, 90, (n, *SHAPE), "uint8") + (60 * labels)[:, None, None, None].astype("uint8")
    return {"images": images, "labels": labels, "test_images": images[:37] // 2, "test_labels": labels[:37]}


def start(data: Any, arrays: Mapping[str, np.ndarray], method: str, **changes: Any) -> Classifier:
    plain = {"data": "digits", "model": DROPOUT, "augmentation": "crop_flip", "method": method}
    plain |= {"epochs": 8, "batch_size": 13, "learning_rate": 0.05, "seed": 3, "validation_fraction": 0.3}
    return Classifier(RunConfig.from_plain(plain | changes), arrays, CLASSES, Placement(data))


def outcome(run: Classifier, folder: Path, epochs: int = 3) -> tuple[Any, ...]:
    """Return everything that a run gives: its metrics, its state after some epochs, and its test."""
    rows = [run.train_epoch() for _ in range(epochs)]
    run.save(folder)
    with np.load(folder / "state.npz") as state:
        arrays = {name: state[name].tobytes() for name in state.files}
    test = run.test("extended")
    times = {SECONDS, IMAGES_PER_SECOND}
    metrics = [{name: value for name, value in row.items() if name not in times} for row in rows]
    return metrics, arrays, test.metrics, test.correct.tobytes(), test.loss.tobytes()


def main() -> None:
    """Print, for each method, whether its streamed run equals the resident one."""
    backend.configure(threads=1, deterministic=True)
    arrays, found = arrays_of(), {}
    usual, small = feeding.CHUNK_BYTES, 3 * 13 * arrays["images"][0].nbytes
    with code_allowed(), tempfile.TemporaryDirectory() as folder:
        for method, changes in ALL + PARTNERS:
            outcomes = []
            for place, feeding.CHUNK_BYTES in (("resident", usual), ("streamed", small)):
                outcomes.append(outcome(start(place, arrays, method, **changes), Path(folder)))
            found[f"{method} {changes}"] = outcomes[0] == outcomes[1]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
