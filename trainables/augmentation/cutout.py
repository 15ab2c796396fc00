"""Cutout: a square of each image is covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor


@AUGMENTATIONS.register("cutout")
class Cutout(Augmentation):
    """Cutout (DeVries and Taylor 2017, arXiv 1708.04552): cover a square whose centre is any pixel.

    The square may reach over the border, as in the paper. It covers with a grey of `fill`; 127 is about what
    normalisation turns into the paper's zero.
    """

    summary: ClassVar[str] = "a grey square somewhere over the image"
    still: ClassVar = {"size": 0.0}
    name: Literal["cutout"] = "cutout"
    size: Annotated[
        float,
        Field(ge=0, le=1, description="side of the square, as a part of the shorter side of the image"),
        Range(0.1, 0.6),
    ] = 0.5
    fill: Annotated[float, Field(ge=0, le=255, description="grey value from 0 to 255")] = 127.0

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the squares: `top`, `bottom`, `left`, `right`, ends not included (see `Augmentation.draw`)."""
        height, width, _ = image_shape
        side = round(self.size * min(height, width))
        top, left = (rng.integers(0, size, n, dtype="int32") - side // 2 for size in (height, width))
        return {
            "top": top,
            "bottom": top + np.int32(side),
            "left": left,
            "right": left + np.int32(side),
            "fill": np.full(n, self.fill, dtype="float32"),
        }

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Cover the squares (see `Augmentation.apply`)."""
        from keras import ops

        height, width = images.shape[1:3]
        top, bottom, left, right, fill = (
            ops.reshape(draws[name], (-1, 1, 1, 1)) for name in ("top", "bottom", "left", "right", "fill")
        )
        rows: Tensor = np.arange(height, dtype="int32")[:, None, None]
        columns: Tensor = np.arange(width, dtype="int32")[:, None]
        covered = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
        return ops.where(covered, fill, ops.cast(images, "float32"))
