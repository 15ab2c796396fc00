"""Epochs of a run and of `trainables.keras` with equal draws: `python -m tests.support.keras_equality [CASE ...]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tests.support.networks import NORMED_CONVOLUTION
from trainables.backends.selection import backend
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.engine.classifier import Classifier
from trainables.keras import Augment, CutMix, MaxUp, Mixup, SamplePairing
from trainables.keras.wrapper import Wrapper
from trainables.registration.plugins import code_allowed

CLASSES, BATCH, STEPS = 10, 24, 3
EPOCHS = 10
LENGTH = {"epochs": EPOCHS, "steps_per_epoch": STEPS}
CYCLE = {"start": 0.0, "on_epochs": 1, "off_epochs": 1}
Case = tuple[str, dict[str, Any], list[int], Callable[[keras.Model, Any], Wrapper]]

CASES: dict[str, Case] = {
    "maxup": ("maxup", {"maxup.m": 3}, [0, 1], lambda model, augment: MaxUp(model, m=3, augment=augment)),
    "maxup, softmax": (
        "maxup",
        {"maxup.m": 3, "maxup.reduction": "softmax", "maxup.temperature": 0.2},
        [0],
        lambda model, augment: MaxUp(model, m=3, reduction="softmax", temperature=0.2, augment=augment),
    ),
    "maxup, mean": (
        "maxup_mean",
        {"maxup_mean.m": 3},
        [0],
        lambda model, augment: MaxUp(model, m=3, reduction="mean", augment=augment),
    ),
    "mixup": (
        "mixup",
        {"mixup.alpha": 0.5, "mixup.off_last": 0.3},
        [0, 7],
        lambda model, augment: Mixup(model, alpha=0.5, off_last=0.3, augment=augment, **LENGTH),
    ),
    "mixup of three": (
        "mixup",
        {"mixup.alpha": 1.0, "mixup.images": 3, "mixup.share": "batch"},
        [0],
        lambda model, augment: Mixup(model, alpha=1.0, images=3, share="batch", augment=augment),
    ),
    "cutmix": ("cutmix", {}, [0, 1], lambda model, augment: CutMix(model, augment=augment)),
    "sample pairing": (
        "sample_pairing",
        {f"sample_pairing.{name}": value for name, value in CYCLE.items()},
        [0, 1, 2],
        lambda model, augment: SamplePairing(model, augment=augment, **LENGTH, **CYCLE),
    ),
}
"""By name: the run's method and its settings, the epochs that are compared, and the wrapper."""


def compared(name: str) -> tuple[float, float]:
    """Return the largest distance of a weight or average from the run's, and how far the run moved one."""
    method, fields, epochs, wrap = CASES[name]
    data = SOURCES.get("digits")().load().arrays()
    plain: dict[str, Any] = {"data": "digits", "model": NORMED_CONVOLUTION, "augmentation": "crop_flip", "seed": 1}
    plain |= {"epochs": EPOCHS, "batch_size": BATCH, "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.0}
    plain |= {"label_smoothing": 0.1, "schedule": "constant", "compile": "off", "method": method, **fields}
    run = Classifier(RunConfig.from_plain(plain), data, CLASSES)
    start = run._network.initial(1)
    batches = [first(run._batches(epoch), STEPS) for epoch in epochs]
    for each in batches:
        for images, some in run._data.development.chunks(each):
            run._state, _ = run._run_epoch(run._state, images, run._constants, some)
    expected = [np.asarray(run._state["weights"]), *map(np.asarray, run._state["moving"])]
    found = fitted(wrap, run, start, epochs, batches, data)
    before = [start[0], *start[1]]
    return distance(found, expected), distance(before, expected)


def fitted(
    wrap: Callable[..., Wrapper], run: Classifier, start: Any, epochs: list[int], batches: list[Any], data: Any
) -> list[np.ndarray]:
    """Return weights and averages after the epochs in plain `fit`, in which only the draws are the run's."""
    network = keras.models.clone_model(run._network.assign(*start))
    network.set_weights(run._network.model.get_weights())
    scale = run._scale
    normalised = layers.Normalization(mean=scale["mean"], variance=np.square(scale["deviation"].astype(float)))
    model = wrap(keras.Sequential([keras.Input(data["images"].shape[1:]), normalised, network]), Augment("crop_flip"))
    draw_as_the_run(model, epochs, batches)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss)
    for epoch, each in zip(epochs, batches, strict=True):
        index = each["index"][:, 0, 0].ravel()
        model.build((None, *data["images"].shape[1:]))
        model.steps.assign(epoch * STEPS)
        labels = np.eye(CLASSES, dtype="float32")[data["labels"][index]]
        model.fit(data["images"][index], labels, batch_size=BATCH, shuffle=False, verbose=0)
    weights = np.concatenate([ops.convert_to_numpy(each).ravel() for each in network.trainable_variables])
    return [weights, *map(ops.convert_to_numpy, network.non_trainable_variables)]


def draw_as_the_run(model: Wrapper, epochs: list[int], batches: list[Any]) -> None:
    """Make a wrapper draw what a run drew; in epochs in which the method is off, what it drew in the first one."""
    place = np.zeros(EPOCHS, "int32")
    place[epochs] = range(len(epochs))
    pixels, own = (
        {name: np.stack([each[group][name] for each in batches]) for name in batches[0][group]}
        for group in ("augmentation", "method")
    )
    off = [not each["active"][0] for each in batches]
    for value in own.values():
        value[off] = value[0]

    def taken(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        epoch, step = ops.take(place, model.steps // STEPS), model.steps % STEPS
        return {name: ops.take(ops.take(value, epoch, axis=0), step, axis=0) for name, value in arrays.items()}

    assert model.augment is not None
    model.augment.draw = lambda n: {
        name: ops.reshape(value, (-1, *value.shape[3:])) for name, value in taken(pixels).items()
    }
    model.draw = lambda batch: taken(own)


def first(batches: Any, steps: int) -> Any:
    """Return the first steps of an epoch's batches."""
    return {name: first(value, steps) if isinstance(value, dict) else value[:steps] for name, value in batches.items()}


def distance(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """Return the largest difference of two lists of arrays."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


if __name__ == "__main__":
    backend.configure(threads=1)
    with code_allowed():
        for chosen in sys.argv[1:] or CASES:
            print(json.dumps([chosen, *compared(chosen)]), flush=True)
