"""`trainables.keras` in plain `fit` beside plain `fit` with the same augmentation; `Augment` beside Keras's layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks.augmentations import BATCH, REPEATS, SHAPE, layers_of, sequence
from tests.benchmarks.common import CLASSES, images, in_turns, shape_of, table
from tests.benchmarks.usual import network
from trainables.keras import Augment, CutMix, MaxUp, Mixup, SamplePairing

POLICY = "crop_flip"
BASELINE = "fit + Augment"


def core(model: str) -> keras.Model:
    """Return a new network that takes pixels."""
    scaling = keras.layers.Rescaling(1 / 64, -127 / 64)
    return keras.Sequential([keras.Input(shape_of(model)), scaling, network(model)])


def epoch(model: keras.Model, name: str, batch: int, steps: int) -> Callable[[], Any]:
    """Return an epoch of `fit` on shuffled batches of pixels with one-hot labels."""
    arrays = images(batch * steps, shape_of(name))
    labels = np.eye(CLASSES, dtype="float32")[arrays["labels"]]
    data = tf.data.Dataset.from_tensor_slices((arrays["images"], labels)).shuffle(batch * steps)
    data = data.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, jit_compile=False)
    return lambda: model.fit(data, epochs=1, verbose=0)


def methods(name: str, batch: int, steps: int, rounds: int = 3) -> None:
    """Print what an epoch of each wrapper costs relative to plain `fit` with the same augmentation."""
    length = {"epochs": 40, "steps_per_epoch": steps * 1000}
    made: dict[str, keras.Model] = {
        BASELINE: keras.Sequential([keras.Input(shape_of(name), dtype="uint8"), Augment(POLICY), core(name)]),
        "MaxUp m=4": MaxUp(core(name), m=4, augment=POLICY),
        "MaxUp m=10": MaxUp(core(name), m=10, augment=POLICY),
        "MaxUp m=4, mean": MaxUp(core(name), m=4, reduction="mean", augment=POLICY),
        "Mixup": Mixup(core(name), augment=POLICY),
        "CutMix": CutMix(core(name), augment=POLICY),
        "SamplePairing, on": SamplePairing(core(name), start=0.0, augment=POLICY, **length),
    }
    found = in_turns({row: epoch(model, name, batch, steps) for row, model in made.items()}, rounds)
    base = found[BASELINE]
    print(f"trainables.keras: {name}, {POLICY}, batch {batch}")
    table(
        ("", "ms a batch", f"/ {BASELINE}", "(cpu)"),
        [[row, 1000 * cost.wall / steps, cost.wall / base.wall, cost.cpu / base.cpu] for row, cost in found.items()],
    )


def layers(rounds: int = 3) -> None:
    """Print what `Augment` costs relative to Keras's layers in sequence, on 128 images of 32 x 32."""
    pixels, rows = images(BATCH, SHAPE)["images"], []
    for name, usual in layers_of().items():
        found = in_turns({"own": sequence([Augment(name)], pixels), "usual": sequence(usual, pixels)}, rounds)
        own, other = found["own"], found["usual"]
        milliseconds = [1000 * cost.wall / REPEATS for cost in (own, other)]
        rows.append([name, *milliseconds, own.wall / other.wall, own.cpu / other.cpu])
    table(("Augment", "ms", "layers ms", "/ layers", "(cpu)"), rows)
