"""Random choice: mirror; crop or rotation; and contrast, saturation, hue or brightness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.augmentation.colour import hue_turning, saturating
from trainables.augmentation.crop import Padding, Share, padding
from trainables.augmentation.resampling import affine, resample, rotation, scaling
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor

Spread = Annotated[float, Field(ge=0, le=1, description="factors from 1 - this to 1 + this"), Range(0, 0.8)]


@AUGMENTATIONS.register("one_of")
class OneOf(Augmentation):
    """Mirror some images; crop or rotate each; and change its contrast, saturation, hue or brightness.

    The image is padded with its border pixels before the crop. Contrast is scaled about the mean of each channel,
    saturation about grey; hue is rotated in YIQ space; brightness adds a fraction of 255.
    """

    summary: ClassVar[str] = "mirror; crop or rotation; contrast, saturation, hue or brightness"
    identity_settings: ClassVar = {
        "flip": 0.0, "padding": 0, "rotation": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, "brightness": 0.0,
    }  # fmt: skip
    name: Literal["one_of"] = "one_of"
    flip: Annotated[Share, Field(description="share of images that are mirrored")] = 0.5
    padding: Padding = "eighth"
    rotation: Annotated[
        float, Field(ge=0, le=180, description="largest angle in degrees, in both directions"), Range(0, 45)
    ] = 15.0
    contrast: Spread = 0.2
    saturation: Spread = 0.2
    hue: Annotated[
        float, Field(ge=0, le=0.5, description="largest hue rotation, as a fraction of a full turn"), Range(0, 0.2)
    ] = 0.05
    brightness: Annotated[
        float, Field(ge=0, le=1, description="largest change, as a fraction of 255, in both directions"), Range(0, 0.5)
    ] = 0.2

    @property
    def mirrors(self) -> bool:
        """Whether any image is mirrored."""
        return self.flip > 0

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the affine map and the colour change of each image (see `Augmentation.draw`).

        `contrast` float32 (n,) is a factor; `tint` float32 (n, 9) is the matrix, by rows, that multiplies an RGB pixel
        from the right; `bright` float32 (n,) is added.
        """
        mirror = np.where(rng.random(n) < self.flip, -1.0, 1.0)
        turned = rng.random(n) < 0.5
        angle = np.where(turned, self.rotation * rng.uniform(-1, 1, n), 0.0)
        most = [padding(size, self.padding) for size in image_shape[:2]]
        shift = np.stack([rng.integers(-pad, pad, n, endpoint=True) for pad in most], axis=1) * ~turned[:, None]
        which, amount = rng.integers(0, 4, n), rng.uniform(-1, 1, n)
        of_contrast, of_saturation, of_hue, of_brightness = (np.where(which == kind, amount, 0.0) for kind in range(4))
        tint = saturating(1 + self.saturation * of_saturation) @ hue_turning(self.hue * of_hue)
        return {
            "affine": affine(rotation(angle) @ scaling(np.ones(n), mirror), shift.astype("float64")),
            "contrast": (1 + self.contrast * of_contrast).astype("float32"),
            "tint": tint.transpose(0, 2, 1).reshape(n, 9).astype("float32"),
            "bright": (255 * self.brightness * of_brightness).astype("float32"),
        }

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Resample, then change the colours (see `Augmentation.apply`)."""
        from keras import ops

        images = resample(images, draws["affine"])
        height, width, channels = images.shape[1:]
        contrast: Tensor = ops.reshape(draws["contrast"], (-1, 1, 1))
        bright: Tensor = ops.reshape(draws["bright"], (-1, 1, 1))
        pixels: Tensor = ops.reshape(images, (-1, height * width, channels))
        mean: Tensor = ops.mean(pixels, axis=1, keepdims=True)
        if channels == 1:
            changed: Tensor = contrast * pixels + ((1 - contrast) * mean + bright)
        else:
            tint: Tensor = ops.reshape(draws["tint"], (-1, 3, 3))
            offset: Tensor = ops.matmul((1 - contrast) * mean, tint)
            turned: Tensor = ops.matmul(pixels, contrast * tint)
            changed = turned + (offset + bright)
        return ops.reshape(ops.clip(changed, 0.0, 255.0), (-1, height, width, channels))
