"""Cutout: cover a square of each image."""

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
    """Cutout (DeVries and Taylor 2017, arXiv 1708.04552): cover a square centred at a random pixel.

    The square may extend beyond the border, as in the paper. Its grey value is `fill`; 127 is close to the zero of
    the paper after normalisation.
    """

    summary: ClassVar[str] = "a grey square somewhere over the image"
    identity_settings: ClassVar = {"size": 0.0}
    name: Literal["cutout"] = "cutout"
    size: Annotated[
        float,
        Field(ge=0, le=1, description="side of the square, as a fraction of the shorter side of the image"),
        Range(0.1, 0.6),
    ] = 0.5
    fill: Annotated[float, Field(ge=0, le=255, description="grey value from 0 to 255")] = 127.0

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the squares: `top`, `bottom`, `left` and `right`, end excluded (see `Augmentation.draw`)."""
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
