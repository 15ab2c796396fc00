"""Affine augmentation: rotation, shift, shear, zoom and mirror in one resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.augmentation.crop import Share
from trainables.augmentation.resampling import affine, resample, rotation, scaling, shearing
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor


@AUGMENTATIONS.register("affine_flip")
class AffineFlip(Augmentation):
    """Shear, zoom, shift and rotate each image about its centre, and mirror some of them.

    Order, ranges and border are those of Keras's former `ImageDataGenerator`: zoom, shear, shift, rotation, then the
    mirror, with border pixels repeated. One bilinear resampling.
    """

    summary: ClassVar[str] = "rotation, shifts, shear, zoom and mirror images in one resampling"
    identity_settings: ClassVar = {"rotation": 0.0, "shift": 0.0, "shear": 0.0, "zoom": 0.0, "flip": 0.0}
    name: Literal["affine_flip"] = "affine_flip"
    rotation: Annotated[
        float, Field(ge=0, le=180, description="largest angle in degrees, in both directions"), Range(0, 45)
    ] = 30.0
    shift: Annotated[
        float, Field(ge=0, le=1, description="largest shift, as a fraction of height and width"), Range(0, 0.3)
    ] = 0.2
    shear: Annotated[float, Field(ge=0, lt=90, description="largest shear in degrees"), Range(0, 20)] = 0.2
    zoom: Annotated[
        float, Field(ge=0, lt=1, description="height and width are each scaled by 1 - zoom to 1 + zoom"), Range(0, 0.4)
    ] = 0.2
    flip: Annotated[Share, Field(description="share of images that are mirrored")] = 0.5

    @property
    def mirrors(self) -> bool:
        """Whether any image is mirrored."""
        return self.flip > 0

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the affine map of each image, `affine` float32 (n, 6) (see `Augmentation.draw` and `resample`)."""
        angle = self.rotation * rng.uniform(-1, 1, n)
        shift = self.shift * rng.uniform(-1, 1, (n, 2)) * image_shape[:2]
        shear = self.shear * rng.uniform(-1, 1, n)
        zoom = 1 + self.zoom * rng.uniform(-1, 1, (n, 2))
        mirror = np.where(rng.random(n) < self.flip, -1.0, 1.0)
        turn = rotation(angle)
        matrix = turn @ shearing(shear) @ scaling(zoom[:, 0], zoom[:, 1]) @ scaling(np.ones(n), mirror)
        return {"affine": affine(matrix, (turn @ shift[..., None])[..., 0])}

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Resample (see `Augmentation.apply`)."""
        return resample(images, draws["affine"])
