"""Random crops of the zero-padded image, with or without a mirror."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainables.augmentation.base import AUGMENTATIONS, Augmentation

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor


def padding(size: int) -> int:
    """Return by how many pixels an image of `size` pixels is padded on each side: an eighth (4 at 32)."""
    return max(1, size // 8)


@dataclass(frozen=True)
class Crop(Augmentation):
    """Pad with black, crop to the old size at random, and mirror half of the images if `mirrors`."""

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw by how many pixels each image moves, and whether it is mirrored (see `Augmentation.draw`)."""
        height, width, _ = image_shape
        draws = {
            "down": rng.integers(-padding(height), padding(height), n, dtype="int32", endpoint=True),
            "right": rng.integers(-padding(width), padding(width), n, dtype="int32", endpoint=True),
        }
        if self.mirrors:
            draws["mirror"] = rng.integers(0, 2, n, dtype="int32")
        return draws

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Gather every pixel from where it was (see `Augmentation.apply`)."""
        from keras import ops

        height, width, channels = images.shape[1:]
        down, right = (draws[name][:, None, None] for name in ("down", "right"))
        across: Tensor = np.arange(width, dtype="int32")
        if self.mirrors:
            across = ops.where(draws["mirror"][:, None, None] == 1, width - 1 - across, across)
        rows = down + np.arange(height, dtype="int32")[:, None]
        columns = right + across
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        shape: Tensor = ops.shape(images)
        first: Tensor = ops.reshape(ops.arange(shape[0], dtype="int32"), (-1, 1, 1))
        source = ops.where(inside, (first * height + rows) * width + columns, 0)
        pixels = ops.take(ops.reshape(images, (-1, channels)), source, axis=0)
        return ops.where(inside[..., None], pixels, ops.zeros_like(pixels))


AUGMENTATIONS.register("crop")(Crop("shifts by up to an eighth of the image, black borders"))
AUGMENTATIONS.register("crop_flip")(Crop("shifts by up to an eighth, and mirror images", mirrors=True))
