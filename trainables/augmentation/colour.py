"""Functions of the colour augmentations: smoothing, colour matrices, and noise from small seeds."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trainables.augmentation.base import Tensor

LUMA = np.array([0.299, 0.587, 0.114], dtype="float32")
"""Weights of red, green and blue in luma (ITU-R BT.601)."""
YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""Matrix from RGB to YIQ (NTSC)."""
SMOOTH_CENTRE, SMOOTH_SUM = 5, 13
"""Pillow's smoothing kernel: ones around a five."""
NORMALS = 2**16
GOLDEN, FIRST, SECOND = (np.uint32(word).view("int32") for word in (0x9E3779B9, 0x7FEB352D, 0x846CA68B))


def smooth(images: Tensor) -> Tensor:
    """Return the images, float32, smoothed over 3 x 3 pixels, with border pixels repeated."""
    from keras import ops

    tall: Tensor = ops.concatenate([images[:, :1], images, images[:, -1:]], axis=1)
    sums = tall[:, :-2] + images + tall[:, 2:]
    wide: Tensor = ops.concatenate([sums[:, :, :1], sums, sums[:, :, -1:]], axis=2)
    box = wide[:, :, :-2] + sums + wide[:, :, 2:]
    return (box + (SMOOTH_CENTRE - 1) * images) * (1 / SMOOTH_SUM)


def saturating(factor: np.ndarray) -> np.ndarray:
    """Return saturation matrices, float64 (n, 3, 3), of factors (n,): 0 is grey, 1 the identity; apply on the left."""
    to_grey = np.tile(LUMA.astype("float64"), (3, 1))
    return to_grey + factor[:, None, None] * (np.eye(3) - to_grey)


def hue_turning(part: np.ndarray) -> np.ndarray:
    """Return hue matrices, float64 (n, 3, 3), of turns (n,) as fractions of a full turn; apply on the left."""
    angle = 2 * np.pi * part
    turn = np.zeros((len(part), 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(angle), np.sin(angle)
    turned = np.linalg.inv(YIQ) @ turn @ YIQ
    turned[part == 0] = np.eye(3)
    return turned


def noise(seeds: Tensor, image_shape: tuple[int, int, int]) -> Tensor:
    """Return standard normal noise, float32 (n, height, width, channels), that depends on the seed of each image only.

    Pixel index and seed are hashed (a 32-bit finalizer: multiplications between shifts) to 16 bits, which select one
    of 2^16 quantiles of the normal distribution.

    Args:
        seeds: int32 (n,).
        image_shape: (height, width, channels).
    """
    from keras import ops

    place = (np.arange(int(np.prod(image_shape)), dtype="int32") * GOLDEN).reshape(1, *image_shape)
    key: Tensor = ops.reshape(seeds, (-1, 1, 1, 1))
    word = _folded(key + place, 16) * FIRST
    word = _folded(word, 15) * SECOND
    word = _folded(word, 16)
    drawn: Tensor = ops.take(_quantiles(), ops.bitwise_and(word, np.int32(NORMALS - 1)), axis=0)
    return drawn


@lru_cache(maxsize=1)
def _quantiles() -> np.ndarray:
    """Return float32 (65536,): normal quantiles at the midpoints of as many equal intervals."""
    from scipy.special import ndtri

    return ndtri((np.arange(NORMALS) + 0.5) / NORMALS).astype("float32")


def _folded(word: Tensor, bits: int) -> Tensor:
    """Return the words with their upper bits mixed into the lower ones."""
    from keras import ops

    return ops.bitwise_xor(word, _shifted_word(word, bits))


def _shifted_word(word: Tensor, bits: int) -> Tensor:
    """Shift int32 numbers right, filling with zeros."""
    from keras import ops

    return ops.bitwise_and(ops.right_shift(word, np.int32(bits)), np.int32((1 << (32 - bits)) - 1))
