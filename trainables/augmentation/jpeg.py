"""JPEG noise: what compression to a random quality leaves of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.augmentation.crop import Share
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor

SIDE = 8
"""Side of the blocks that JPEG transforms."""
MIDDLE = 128
"""Grey that is subtracted before the transform, and the offset of the colour differences."""
NUDGE = 3e-4
"""Added before rounding, so that rounding errors do not decide which way a tie goes."""
LUMINANCE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
], dtype="float32")  # fmt: skip
"""Quantisation steps of luminance at quality 50 (ITU-T T.81, table K.1)."""
CHROMINANCE = np.array([
    [17, 18, 24, 47, 99, 99, 99, 99], [18, 21, 26, 66, 99, 99, 99, 99],
    [24, 26, 56, 99, 99, 99, 99, 99], [47, 66, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99], [99, 99, 99, 99, 99, 99, 99, 99],
    [99, 99, 99, 99, 99, 99, 99, 99], [99, 99, 99, 99, 99, 99, 99, 99],
], dtype="float32")  # fmt: skip
"""Quantisation steps of the colour differences at quality 50 (ITU-T T.81, table K.2)."""
TO_YCC = np.array(
    [[0.299, -0.168735892, 0.5], [0.587, -0.331264108, -0.418687589], [0.114, 0.5, -0.081312411]], dtype="float32"
)
"""Matrix from RGB to luminance and the two colour differences (JFIF); apply on the right."""
TO_RGB = np.array([[1, 1, 1], [0, -0.344136286, 1.772], [1.402, -0.714136286, 0]], dtype="float32")
"""Its inverse."""


@AUGMENTATIONS.register("jpeg")
class Jpeg(Augmentation):
    """JPEG compression to a quality drawn per image, from `lowest` to `highest`, and decompression.

    As in libjpeg without chroma subsampling: blocks of 8 x 8 pixels are transformed (DCT) and rounded to multiples of
    the quantisation steps of the quality. Images with three channels are coded as luminance and colour differences,
    others channel by channel as grey. Sides that are not multiples of 8 are extended by their last pixels.
    """

    summary: ClassVar[str] = "JPEG noise: compression to a random quality"
    identity_settings: ClassVar = {"share": 0.0}
    name: Literal["jpeg"] = "jpeg"
    lowest: Annotated[
        int, Field(ge=1, le=100, description="lowest quality, from 1 to 100 as in Pillow"), Range(5, 90, integer=True)
    ] = 30
    highest: Annotated[int, Field(ge=1, le=100, description="highest quality")] = 95
    share: Annotated[Share, Field(description="share of images that are compressed")] = 1.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lowest > self.highest:
            raise ValueError(
                f"`lowest` must be at most `highest`, but got lowest={self.lowest}, highest={self.highest}"
            )
        return self

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw `quality`, int32 (n,), from 1 to 100, or 0 for an image that remains unchanged."""
        quality = rng.integers(self.lowest, self.highest, n, dtype="int32", endpoint=True)
        return {"quality": np.where(rng.random(n) < self.share, quality, np.int32(0))}

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Compress and decompress the images (see `Augmentation.apply`)."""
        from keras import ops

        quality: Tensor = ops.reshape(draws["quality"], (-1, 1, 1, 1))
        images = ops.cast(images, "float32")
        return ops.where(quality > 0, compressed(images, ops.cast(ops.maximum(quality, 1), "float32")), images)


def compressed(images: Tensor, quality: Tensor) -> Tensor:
    """Return the images after compression: whole numbers from 0 to 255, float32 (n, height, width, channels).

    Args:
        images: float32 (n, height, width, channels), values from 0 to 255, which are rounded first.
        quality: float32 (n, 1, 1, 1), whole numbers from 1 to 100.
    """
    from keras import ops

    height, width, channels = images.shape[1:]
    rows, columns = (np.minimum(np.arange(-(-size // SIDE) * SIDE), size - 1) for size in (height, width))
    whole: Tensor = ops.take(ops.take(rounded(images), rows, axis=1), columns, axis=2)
    planes = _planes(whole) if channels == TO_YCC.shape[0] else whole
    blocks: Tensor = ops.reshape(planes, (-1, len(rows) // SIDE, SIDE, len(columns) // SIDE, SIDE, channels))
    steps = ops.expand_dims(ops.expand_dims(quantisation_steps(quality, channels), 1), 3)
    transform = _cosines()
    frequencies: Tensor = ops.einsum("ui,naibjc,vj->naubvc", transform, blocks - MIDDLE, transform)
    kept = steps * _quotient(frequencies, steps)
    restored: Tensor = ops.einsum("ui,naubvc,vj->naibjc", transform, kept, transform)
    planes = ops.reshape(ops.clip(rounded(restored) + MIDDLE, 0.0, 255.0), (-1, len(rows), len(columns), channels))
    pixels: Tensor = _pixels(planes) if channels == TO_YCC.shape[0] else planes
    return pixels[:, :height, :width]


def rounded(values: Tensor) -> Tensor:
    """Return the nearest whole numbers, the larger one of two (see `NUDGE`)."""
    from keras import ops

    return ops.floor(values + (0.5 + NUDGE))


def quantisation_steps(quality: Tensor, channels: int) -> Tensor:
    """Return the quantisation steps of each quality as in libjpeg, float32 (n, 8, 8, channels), from 1 to 255.

    Args:
        quality: float32 (n, 1, 1, 1), whole numbers from 1 to 100.
        channels: 3 for luminance and two colour differences; otherwise all are luminance.
    """
    from keras import ops

    tables = [LUMINANCE, CHROMINANCE, CHROMINANCE] if channels == TO_YCC.shape[0] else [LUMINANCE] * channels
    percent: Tensor = ops.where(quality < 50, ops.floor(5000.5 / quality), 200 - 2 * quality)
    return ops.clip(ops.floor((np.stack(tables, axis=-1) * percent + 50.5) / 100), 1.0, 255.0)


def _quotient(frequencies: Tensor, steps: Tensor) -> Tensor:
    """Return frequencies in whole steps, ties away from zero, after rounding them to eighths as libjpeg does."""
    from keras import ops

    eighths: Tensor = ops.round(8 * frequencies)
    size: Tensor = ops.floor((ops.abs(eighths) + 4 * steps + 0.5) / (8 * steps))
    sign: Tensor = ops.sign(eighths)
    return sign * size


def _planes(images: Tensor) -> Tensor:
    """Return luminance and colour differences, whole numbers from 0 to 255; ties go up in the former, down in these."""
    from keras import ops

    offset = np.array([0.5 + NUDGE, MIDDLE + 0.5 - NUDGE, MIDDLE + 0.5 - NUDGE], dtype="float32")
    return ops.floor(ops.matmul(images, TO_YCC) + offset)


def _pixels(planes: Tensor) -> Tensor:
    """Return the RGB images of luminance and colour differences, whole numbers from 0 to 255."""
    from keras import ops

    offset = np.array([0, MIDDLE, MIDDLE], dtype="float32")
    return ops.clip(rounded(ops.matmul(planes - offset, TO_RGB)), 0.0, 255.0)


def _cosines() -> np.ndarray:
    """Return the orthonormal DCT-II of eight values as a matrix, float32 (8, 8): a row per frequency."""
    place, frequency = np.arange(SIDE), np.arange(SIDE)[:, None]
    matrix = np.sqrt(2 / SIDE) * np.cos(np.pi * (2 * place + 1) * frequency / (2 * SIDE))
    matrix[0] /= np.sqrt(2)
    return matrix.astype("float32")
