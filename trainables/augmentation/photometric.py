"""Photometric augmentation: crop, mirrors and rotation, then colour changes in random order, and noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.augmentation.colour import LUMA, noise, smooth
from trainables.augmentation.crop import Share
from trainables.augmentation.resampling import affine, resample, rotation, scaling
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.augmentation.base import Draws, Tensor

BRIGHTNESS, CONTRAST, COLOUR, SHARPNESS = range(4)
CHANGES = 4

Spread = Annotated[
    float, Field(ge=0, le=1, description="factors from 1 - this to 1 + this; 1 is the identity"), Range(0, 0.8)
]


@AUGMENTATIONS.register("photometric")
class Photometric(Augmentation):
    """Centre crop, mirrors and rotation in one resampling, then four changes in random order, and noise.

    Each change scales the difference of the image from black (brightness), from its mean grey (contrast), from its
    grey version (colour) or from its smoothed version (sharpness), as in Pillow's `ImageEnhance`. Values are clipped
    to 0..255 after each change, so the order matters. Noise is added before or after all changes.
    """

    summary: ClassVar[str] = "centre crop, mirrors, rotation; brightness, contrast, colour, sharpness, noise"
    identity_settings: ClassVar = {
        "brightness": 0.0, "contrast": 0.0, "colour": 0.0, "sharpness": 0.0, "noise": 0.0,
        "zoom": 1.0, "rotation": 0.0, "flip": 0.0, "vertical_flip": 0.0,
    }  # fmt: skip
    name: Literal["photometric"] = "photometric"
    brightness: Spread = 0.5
    contrast: Spread = 0.5
    colour: Spread = 0.5
    sharpness: Spread = 0.5
    noise: Annotated[float, Field(ge=0, le=255, description="largest standard deviation, in greys"), Range(0, 20)] = 5.0
    noise_share: Annotated[Share, Field(description="share of images that get noise")] = 0.5
    zoom: Annotated[float, Field(ge=1, le=10, description="largest magnification of the centre"), Range(1, 2)] = 1.5
    rotation: Annotated[
        float, Field(ge=0, le=180, description="largest angle in degrees, in both directions"), Range(0, 180)
    ] = 180.0
    flip: Annotated[Share, Field(description="share of images that are mirrored left to right")] = 0.5
    vertical_flip: Annotated[Share, Field(description="share of images that are mirrored top to bottom")] = 0.5

    @property
    def mirrors(self) -> bool:
        """Whether any image is mirrored."""
        return self.flip > 0 or self.vertical_flip > 0

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the affine map of each image and the order and strength of its changes (see `Augmentation.draw`).

        `change` int32 (n, 4) is the order of the changes; `amount` float32 (n, 4) their factors minus 1; `noise`
        float32 (n, 2) the standard deviation of the noise before and after them; `seed` int32 (n,) its seed.
        """
        larger = rng.uniform(1, self.zoom, n)
        mirrors = [np.where(rng.random(n) < share, -1.0, 1.0) for share in (self.vertical_flip, self.flip)]
        matrix = rotation(self.rotation * rng.uniform(-1, 1, n)) @ scaling(*(mirror / larger for mirror in mirrors))
        spreads = [self.brightness, self.contrast, self.colour, self.sharpness]
        order = rng.random((n, CHANGES)).argsort(axis=1, kind="stable")
        amount = np.take_along_axis(rng.uniform(-1, 1, (n, CHANGES)) * spreads, order, axis=1)
        deviation = self.noise * rng.random(n) * (rng.random(n) < self.noise_share)
        first = rng.random(n) < 0.5
        return {
            "affine": affine(matrix, np.zeros((n, 2))),
            "change": order.astype("int32"),
            "amount": amount.astype("float32"),
            "noise": np.stack([deviation * first, deviation * ~first], axis=1).astype("float32"),
            "seed": rng.integers(-(2**31), 2**31, n, dtype="int32"),
        }

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Resample, then apply the changes (see `Augmentation.apply`).

        Smoothing is the expensive part, so each image is sharpened once, and its other changes are applied before or
        after that step, as its own order requires.
        """
        from keras import ops

        images = resample(images, draws["affine"])
        change, amount, deviation = draws["change"], draws["amount"], draws["noise"][..., None, None, None]
        sharpening: Tensor = ops.cast(change == SHARPNESS, "int32")
        place: Tensor = ops.reshape(ops.cast(ops.argmax(sharpening, axis=1), "int32"), (-1, 1))
        turns = np.arange(CHANGES, dtype="int32")
        before: Tensor = ops.where(turns < place, amount, 0.0)
        after: Tensor = ops.where(turns > place, amount, 0.0)
        grain = noise(draws["seed"], images.shape[1:])
        images = ops.clip(images + deviation[:, 0] * grain, 0.0, 255.0)
        images = _recoloured(images, change[:, :-1], before[:, :-1])
        images = sharpened(images, ops.sum(ops.where(change == SHARPNESS, amount, 0.0), axis=1))
        images = _recoloured(images, change[:, 1:], after[:, 1:])
        return ops.clip(images + deviation[:, 1] * grain, 0.0, 255.0)


def sharpened(images: Tensor, strength: Tensor) -> Tensor:
    """Return images whose difference from their smoothed version is scaled by 1 + strength, float32 (n,)."""
    from keras import ops

    amount: Tensor = ops.reshape(strength, (-1, 1, 1, 1))
    return ops.clip((1 + amount) * images - amount * smooth(images), 0.0, 255.0)


def _recoloured(images: Tensor, changes: Tensor, amounts: Tensor) -> Tensor:
    """Return the images after changes of brightness, contrast or colour in order, clipped to 0..255 after each.

    The changes are a loop, because XLA would otherwise recompute an image for every change that follows it.

    Args:
        images: float32 (n, height, width, channels).
        changes: int32 (n, turns), the change of each turn.
        amounts: float32 (n, turns), its factor minus 1; 0 for no change.
    """
    from keras import ops

    luma = LUMA if images.shape[3] == LUMA.size else np.ones(1, "float32")

    def change(turn: Tensor, images: Tensor) -> Tensor:
        kind, amount = (ops.take(each, turn, axis=1) for each in (changes, amounts))
        factors: list[Tensor] = [
            ops.reshape(ops.where(kind == which, amount, 0.0), (-1, 1, 1, 1))
            for which in (BRIGHTNESS, CONTRAST, COLOUR)
        ]
        brightness, contrast, colour = factors
        grey: Tensor = ops.sum(images * luma, axis=3, keepdims=True)
        mean_grey: Tensor = ops.mean(grey, axis=(1, 2), keepdims=True)
        moved = (1 + brightness + contrast + colour) * images - colour * grey - contrast * mean_grey
        return ops.clip(moved, 0.0, 255.0)

    changed: Tensor = ops.fori_loop(0, changes.shape[1], change, images)
    return changed
