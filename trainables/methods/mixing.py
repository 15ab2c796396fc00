"""Base classes and functions of mixing methods: partners of each example, and weighted sums with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from trainables.errors import InputError
from trainables.methods.base import LEAST_ON, Mixing, off_from

if TYPE_CHECKING:
    from trainables.methods.base import Tensor

OffLast = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="final fraction of the epochs with the method off; at least the epochs judged",
    ),
]


class Partnered(Mixing):
    """Base class of mixing methods in which each image has partners."""

    partner: Annotated[
        Literal["batch", "batch_with_replacement", "dataset"],
        Field(
            description="partners: a permutation of the batch, or drawn with replacement from the batch or from the "
            "whole training set"
        ),
    ] = "batch"

    @property
    def others(self) -> int:
        """Number of partners of each image."""
        return 1

    @property
    def guests(self) -> int:
        """All partners if they come from the whole training set, otherwise none (see `Method.guests`)."""
        return self.others if self.partner == "dataset" else 0

    def partners(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> np.ndarray:
        """Draw the partners of every example.

        Args:
            rng, n, batch, active: as in `Method.draw`.

        Returns:
            int32 (n, others), positions in the pool. From the batch: permutations of it, so that each example is the
            first partner of exactly one example, or independent draws from it, so that an example may be the partner of
            several or of none. With the method off: the example itself.
        """
        if not active:
            own = np.arange(n, dtype="int32") % batch
            return np.repeat(own[:, np.newaxis], self.others, axis=1)
        if self.partner == "dataset":
            own = np.arange(n, dtype="int32")[:, np.newaxis] % batch
            return own + batch * np.arange(1, self.others + 1, dtype="int32")
        if self.partner == "batch_with_replacement":
            return rng.integers(0, batch, (n, self.others), dtype="int32")
        return np.stack([batch_partners(rng, n, batch) for _ in range(self.others)], axis=1)


class OffPhaseMixing(Partnered):
    """Base class of mixing methods that can be off in the last epochs."""

    off_last: OffLast = 0.0

    def active(self, epoch: int, epochs: int) -> bool:
        """Return whether the final off phase has not begun yet (see `Method.active`)."""
        return epoch < off_from(self.off_last, epochs)

    def check(self, epochs: int, augmented: bool) -> None:
        """Refuse a method that is on for less than a quarter of the epochs (see `Method.check`)."""
        on = off_from(self.off_last, epochs)
        if on < LEAST_ON * epochs:
            raise InputError(
                f"{type(self).model_fields['name'].default} with off_last={self.off_last:g} is on for {on} of {epochs} "
                "epochs, and at least a quarter is needed to differ from the baseline; lower `off_last` or train longer"
            )


def batch_partners(rng: np.random.Generator, n: int, batch: int) -> np.ndarray:
    """Draw a partner for every example: a permutation of each batch, so that each example is a partner once.

    Args:
        rng: generator of the permutations.
        n: examples, a multiple of `batch`.
        batch: images per batch.

    Returns:
        int32 (n,), positions in the batch of the example, from 0 to batch - 1.
    """
    return rng.random((n // batch, batch)).argsort(axis=1, kind="stable").reshape(n).astype("int32")


def chosen(pool: Tensor, partner: Tensor) -> Tensor:
    """Gather the partners from the pool of each copy: (copies, batch, others, ...).

    Args:
        pool: (copies, pool, ...).
        partner: int32 (copies, batch, others), positions in the pool.
    """
    from keras import ops

    shape: Tensor = ops.shape(pool)
    first: Tensor = ops.arange(shape[0], dtype="int32") * shape[1]
    return ops.take(ops.reshape(pool, (-1, *pool.shape[2:])), partner + first[:, None, None], axis=0)


def blend(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return weighted sums of each image and its partners, and likewise of the labels.

    Args:
        images: float32 (copies, pool, height, width, channels).
        labels: float32 (copies, pool, classes).
        draws: `partner` int32 (copies, batch, others), positions in the pool; `weight` and `label_weight` float32
            (copies, batch, 1 + others), weights of the example itself and of its partners. The weights 1, 0, ...
            leave the example unchanged.
    """
    partner, weight, label_weight = draws["partner"], draws["weight"], draws["label_weight"]
    return _sum(images, partner, weight), _sum(labels, partner, label_weight)


def _sum(pool: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    from keras import ops

    rank = len(pool.shape) - 2
    shape: Tensor = ops.shape(partner)
    own = pool[:, : shape[1]]
    first = weight[:, :, :1]
    rest = weight[:, :, 1:]
    for _ in range(rank - 1):
        first = ops.expand_dims(first, -1)
    for _ in range(rank):
        rest = ops.expand_dims(rest, -1)
    return first * own + ops.sum(rest * chosen(pool, partner), axis=2)
