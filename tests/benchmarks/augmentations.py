"""Each policy on 128 images of 32 x 32, draws included, beside Keras's layers in sequence. Aim: at most a third.

Keras's `RandomCrop` cuts all images of a batch alike; the layer that shifts each image by itself, as `crop` does, is
`RandomTranslation`. `crop_flip` stands beside the usual `RandomCrop` and `RandomFlip` all the same.

About 60 s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.common import images, in_turns, table

BATCH, SHAPE, REPEATS = 128, (32, 32, 3), 20


def layers_of() -> dict[str, list[Any]]:
    """Return Keras layers that do about the same as a policy, by its name."""
    from keras import layers

    flip, value = layers.RandomFlip("horizontal"), {"value_range": (0, 255)}
    shift = layers.RandomTranslation(0.125, 0.125, fill_mode="constant", interpolation="nearest")
    alike = [layers.ZeroPadding2D(4), layers.RandomCrop(32, 32), flip]
    shear = layers.RandomShear(0.2, 0.2)
    affine = [layers.RandomRotation(1 / 12), layers.RandomTranslation(0.2, 0.2), shear, layers.RandomZoom(0.2), flip]
    colour = [layers.RandomBrightness(0.5, **value), layers.RandomContrast(0.5, **value)]
    colour += [layers.RandomSaturation(0.5, **value), layers.RandomSharpness(0.5, **value)]
    return {
        "crop": [shift],
        "crop_flip": alike,
        "cutout": [layers.RandomErasing(1.0, **value)],
        "affine_flip": affine,
        "photometric": [*colour, layers.RandomZoom((-0.33, 0)), layers.RandomFlip(), layers.RandomRotation(0.5)],
    }


def main(names: list[str]) -> None:
    """Print a table for some policies, by default all."""
    import tensorflow as tf

    from trainables.augmentation import AUGMENTATIONS, Policy, policy_apply
    from trainables.backends.selection import backend

    backend.configure(threads=2, deterministic=False)
    pixels = images(BATCH, SHAPE)["images"]
    sequences = layers_of()
    rows = []
    for name in names or [name for name in AUGMENTATIONS if name in sequences]:
        policy = Policy.model_validate(name)
        function = tf.function(policy_apply(name), jit_compile=True, autograph=False)  # as in a run
        work: dict[str, Callable[[], Any]] = {
            "ours": lambda policy=policy, function=function: _ours(policy, function, pixels),
            "layers": sequence(sequences[name], pixels),
        }
        found = in_turns(work, rounds=7)
        mine, usual = found["ours"], found["layers"]
        milliseconds = [1000 * cost.wall / REPEATS for cost in (mine, usual)]
        rows.append([name, *milliseconds, mine.wall / usual.wall, mine.cpu / usual.cpu])
    table(("policy", "ours ms", "layers ms", "ours/layers", "(cpu)"), rows)


def _ours(policy: Any, function: Any, pixels: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    for _ in range(REPEATS):
        function(pixels, policy.draw(rng, BATCH, SHAPE))


def sequence(steps: list[Any], pixels: np.ndarray) -> Callable[[], Any]:
    """Return the layers as one compiled function of a batch."""
    import tensorflow as tf

    @tf.function
    def apply(batch: Any) -> Any:
        batch = tf.cast(batch, "float32")
        for layer in steps:
            batch = layer(batch, training=True)
        return batch

    def repeat() -> None:
        for _ in range(REPEATS):
            apply(pixels)

    return repeat
