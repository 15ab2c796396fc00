"""What the mixing methods share: partners from the same batch, and a weighted sum with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trainables.methods.base import Tensor


def batch_partners(rng: np.random.Generator, n: int, batch: int) -> np.ndarray:
    """Draw a partner for every example: a permutation of its batch, so that each example is a partner once.

    Args:
        rng: where the permutations come from.
        n: examples, a multiple of `batch`.
        batch: images per batch.

    Returns:
        int32 (n,), positions in the example's own batch, from 0 to batch - 1.
    """
    return rng.random((n // batch, batch)).argsort(axis=1, kind="stable").reshape(n).astype("int32")


def blend(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return weight x own + (1 - weight) x partner's, for images and, with weights of their own, for labels.

    Args:
        images: float, (batch, height, width, channels).
        labels: float, (batch, classes).
        draws: `partner` int32 (batch,), positions in the batch; `weight` and `label_weight` float32 (batch,),
            of the example itself; 1 leaves it as it is.
    """
    from keras import ops

    weight: Tensor = ops.reshape(draws["weight"], (-1, 1, 1, 1))
    label_weight: Tensor = ops.reshape(draws["label_weight"], (-1, 1))
    mixed = weight * images + (1 - weight) * ops.take(images, draws["partner"], axis=0)
    return mixed, label_weight * labels + (1 - label_weight) * ops.take(labels, draws["partner"], axis=0)
