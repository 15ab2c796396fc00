"""Random crops of the zero-padded image, with or without mirroring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.augmentation.base import AUGMENTATIONS, Augmentation

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor

EIGHTH = "eighth"
Padding = Annotated[
    Annotated[int, Field(ge=0, le=1024)] | Literal["eighth"],
    Field(description="pixels on each side, or an eighth of the image (4 at 32)"),
]
Share = Annotated[float, Field(ge=0, le=1)]


def padding(size: int, setting: int | str = EIGHTH) -> int:
    """Return the padding on each side of an image of `size` pixels.

    Args:
        size: height or width.
        setting: number of pixels, limited to `size`, or `eighth` (4 at 32, at least 1).
    """
    return min(setting, size) if isinstance(setting, int) else max(1, size // 8)


def draw_shifts(rng: np.random.Generator, n: int, image_shape: tuple[int, int, int], setting: int | str) -> Draws:
    """Draw the shift of each of `n` images in pixels: `down` and `right`, int32 (n,).

    Args:
        rng: generator of the shifts.
        n: number of images.
        image_shape: (height, width, channels).
        setting: the largest shift (see `padding`).
    """
    down, right = (padding(size, setting) for size in image_shape[:2])
    return {
        "down": rng.integers(-down, down, n, dtype="int32", endpoint=True),
        "right": rng.integers(-right, right, n, dtype="int32", endpoint=True),
    }


def shifted(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
    """Return the shifted images, and mirror them if `draws` has a `mirror` (see `Augmentation.apply`).

    Args:
        images: (batch, height, width, channels).
        draws: `down` and `right` int32 (batch,), and possibly `mirror` int32 (batch,), 1 for a mirror image.
    """
    from keras import ops

    height, width, channels = images.shape[1:]
    down, right = (draws[name][:, None, None] for name in ("down", "right"))
    across: Tensor = np.arange(width, dtype="int32")
    if "mirror" in draws:
        across = ops.where(draws["mirror"][:, None, None] == 1, width - 1 - across, across)
    rows = down + np.arange(height, dtype="int32")[:, None]
    columns = right + across
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    shape: Tensor = ops.shape(images)
    first: Tensor = ops.reshape(ops.arange(shape[0], dtype="int32"), (-1, 1, 1))
    pixels: Tensor = ops.reshape(images, (-1, channels))
    with_black = ops.concatenate([pixels, ops.zeros_like(pixels[:1])], axis=0)
    source = ops.where(inside, (first * height + rows) * width + columns, shape[0] * (height * width))
    return ops.take(with_black, source, axis=0)


@AUGMENTATIONS.register("crop")
class Crop(Augmentation):
    """Pad with black and crop to the original size at random."""

    summary: ClassVar[str] = "shifts by up to an eighth of the image, black borders"
    identity_settings: ClassVar = {"padding": 0}
    name: Literal["crop"] = "crop"
    padding: Padding = "eighth"

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the shift of each image (see `Augmentation.draw`)."""
        return draw_shifts(rng, n, image_shape, self.padding)

    apply = staticmethod(shifted)


@AUGMENTATIONS.register("crop_flip")
class CropFlip(Augmentation):
    """Pad with black, crop to the original size at random, and mirror some of the images."""

    summary: ClassVar[str] = "shifts by up to an eighth, and mirror images"
    identity_settings: ClassVar = {"padding": 0, "flip": 0.0}
    name: Literal["crop_flip"] = "crop_flip"
    padding: Padding = "eighth"
    flip: Annotated[Share, Field(description="share of images that are mirrored")] = 0.5

    @property
    def mirrors(self) -> bool:
        """Whether any image is mirrored."""
        return self.flip > 0

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the shifts as in `crop`, and which images are mirrored (see `Augmentation.draw`)."""
        shifts = draw_shifts(rng, n, image_shape, self.padding)
        return {**shifts, "mirror": (rng.random(n) < self.flip).astype("int32")}

    apply = staticmethod(shifted)
