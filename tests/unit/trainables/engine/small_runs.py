"""Small runs on the digits, for the tests of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from trainables import records
from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.engine.classifier import STATE_FILE, Classifier

tensorflow_backend.configure(threads=1, deterministic=True)
TIMES = {records.SECONDS, records.IMAGES_PER_SECOND}
DROPOUT = "tests.unit.trainables.engine.small_runs:dropout_network"


def dropout_network(image_shape: tuple[int, int, int], classes: int) -> Any:
    import keras
    from keras import layers

    steps = [layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input(image_shape), *steps, layers.Dense(classes)])


def start(digits: dict[str, np.ndarray], method: str = "baseline", **changes: Any) -> Classifier:
    plain = {"data": "digits", "model": DROPOUT, "augmentation": "crop", "method": method}
    plain |= {"epochs": 4, "batch_size": 32, "train_fraction": 0.2, "learning_rate": 0.05, "seed": 3}
    if method == "sample_pairing":
        plain |= {"sample_pairing.start": 0.25, "sample_pairing.on_epochs": 1, "sample_pairing.off_epochs": 1}
    return Classifier(RunConfig.from_plain(plain | changes), digits, 10)


def measured(run: Classifier, epochs: int) -> list[dict[str, float]]:
    """Train and return the metrics of each epoch, without times."""
    rows = [run.train_epoch() for _ in range(epochs)]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def saved(run: Classifier, folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir(exist_ok=True)
    run.save(folder)
    with np.load(folder / STATE_FILE) as archive:
        return {name: archive[name] for name in archive.files}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
