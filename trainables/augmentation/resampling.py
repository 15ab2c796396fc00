"""Affine resampling of images: bilinear, implemented with gathers, so that XLA can compile it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trainables.augmentation.base import Tensor


def rotation(degrees: np.ndarray) -> np.ndarray:
    """Return float64 (n, 2, 2) of angles (n,): maps of output to input positions (down, right) about the centre."""
    angle = np.deg2rad(degrees)
    return _matrices(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))


def shearing(degrees: np.ndarray) -> np.ndarray:
    """Return float64 (n, 2, 2) of shear angles (n,) (see `rotation`)."""
    angle = np.deg2rad(degrees)
    return _matrices(np.ones_like(angle), -np.sin(angle), np.zeros_like(angle), np.cos(angle))


def scaling(down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return float64 (n, 2, 2); scales below 1 magnify, negative ones mirror (see `rotation`)."""
    return _matrices(down, np.zeros_like(down), np.zeros_like(right), right)


def _matrices(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    return np.stack([a, b, c, d], axis=1).reshape(-1, 2, 2)


def affine(matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return float32 (n, 6), the argument of `resample`, of matrices (n, 2, 2) and shifts (n, 2) in pixels."""
    return np.concatenate([matrix.reshape(-1, 4), shift], axis=1).astype("float32")


def resample(images: Tensor, affine: Tensor) -> Tensor:
    """Return the images, float32, resampled by an affine map each.

    The value at p (down, right) from the centre is the bilinear interpolation of the input at `matrix p + shift` from
    the centre; beyond the border, border pixels are repeated. The four neighbours are stored side by side in one
    array, so that one gather fetches all of them.

    Args:
        images: uint8 or float32, (batch, height, width, channels).
        affine: float32 (batch, 6), the matrix by rows, then the shift.
    """
    from keras import ops

    height, width, channels = images.shape[1:]
    middle = ((height - 1) / 2, (width - 1) / 2)
    down: Tensor = (np.arange(height, dtype="float32") - np.float32(middle[0]))[:, None]
    right: Tensor = np.arange(width, dtype="float32") - np.float32(middle[1])
    part = [affine[:, i, None, None] for i in range(6)]
    row, row_part = _between(part[0] * down + part[1] * right + (part[4] + middle[0]), height)
    column, column_part = _between(part[2] * down + part[3] * right + (part[5] + middle[1]), width)

    shape: Tensor = ops.shape(images)
    first: Tensor = ops.reshape(ops.arange(shape[0], dtype="int32"), (-1, 1, 1))
    below = ops.concatenate([images[:, 1:], images[:, -1:]], axis=1)
    pairs: Tensor = ops.concatenate([images, below], axis=3)
    fours = ops.concatenate([pairs, ops.concatenate([pairs[:, :, 1:], pairs[:, :, -1:]], axis=2)], axis=3)
    source = (first * height + row) * width + column
    near: Tensor = ops.take(ops.reshape(fours, (-1, 4 * channels)), ops.reshape(source, (-1,)), axis=0)
    planes: Tensor = ops.transpose(ops.cast(near, "float32"))  # weights per pixel broadcast slowly over last channels
    row_part, column_part = (ops.reshape(part, (-1,)) for part in (row_part, column_part))
    left = planes[: 2 * channels]
    pair = left + column_part * (planes[2 * channels :] - left)
    upper = pair[:channels]
    mixed: Tensor = upper + row_part * (pair[channels:] - upper)
    return ops.reshape(ops.transpose(mixed), (-1, height, width, channels))


def _between(position: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the integer part of positions, int32, and their fractional part, float32 in [0, 1), within the image."""
    from keras import ops

    inside: Tensor = ops.clip(position, 0.0, float(size - 1))
    whole: Tensor = ops.floor(inside)
    return ops.cast(whole, "int32"), inside - whole
