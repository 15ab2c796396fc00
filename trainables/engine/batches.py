"""Batches of an epoch, drawn on the host: the order of the images, their augmentation, and the method's draws."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainables.config import RunConfig
from trainables.randomness import stream

Arrays = dict[str, np.ndarray]


def draw_batches(
    config: RunConfig, train: np.ndarray, image_shape: tuple[int, int, int], batch: int, epoch: int, number: int
) -> dict[str, Any]:
    """Draw one pass over the images, of s steps; the incomplete last batch is dropped.

    Copy 0 of an example is drawn as in plain training. Guests are drawn from the whole training set, with replacement,
    and have their own augmentation.

    Args:
        config: configuration of the run.
        train: int (n,), positions of the training images in the data.
        image_shape: (height, width, channels).
        batch: images per batch.
        epoch: the epoch, from 0; it determines whether method and augmentation are on.
        number: number of the pass, from 0; it determines the draws. It equals the epoch if epochs are passes.

    Returns:
        `index`, int32 (s, copies, 1 + guests, batch); `augmentation`, its draws by name, (s, copies, 1 + guests,
        batch, ...); `method`, its draws by name, (s, copies, batch, ...); and bool (s,) `active`, whether the method is
        on, `on`, whether its objective is more than a mean, and `augmented`, whether there is base augmentation.
    """
    method, on = config.method, config.method_on(epoch)
    copies, guests = (method.copies, method.guests) if on else (1, 0)
    order = stream(config.seed, "order", number).permutation(train).astype("int32")
    steps = len(order) // batch

    def cut(values: np.ndarray) -> np.ndarray:
        return values[: steps * batch].reshape(steps, batch, *values.shape[1:])

    rows: list[np.ndarray] = []
    augmentations: list[Arrays] = []
    draws: list[Arrays] = []
    for copy in range(copies):
        rows.append(order)
        own = stream(config.seed, "augment", number, copy)
        augmentations.append(config.augmentation.draw(own, len(order), image_shape))
        for guest in range(guests):
            rng = stream(config.seed, "partner", number, copy * guests + guest)
            rows.append(train[rng.integers(0, len(train), len(order))].astype("int32"))
            augmentations.append(config.augmentation.draw(rng, len(order), image_shape))
        draws.append(method.draw(stream(config.seed, "method", number, copy), steps * batch, batch, on))

    def stacked(parts: list[np.ndarray]) -> np.ndarray:
        """Return (s, copies, 1 + guests, batch, ...)."""
        joined = np.stack([cut(part) for part in parts], axis=1)
        return joined.reshape(steps, copies, 1 + guests, *joined.shape[2:])

    return {
        "index": stacked(rows),
        "augmentation": {name: stacked([each[name] for each in augmentations]) for name in augmentations[0]},
        "method": {name: np.stack([cut(each[name]) for each in draws], axis=1) for name in draws[0]},
        "active": np.full(steps, on),
        "on": np.full(steps, on and (copies > 1 or method.objective.kind == "batch_max")),
        "augmented": np.full(steps, config.augmentation_on(epoch)),
    }
