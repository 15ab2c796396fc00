"""What a base augmentation is: small draws on the host, pixels on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainables.registry import Registry

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    Tensor = Any
    Draws = dict[str, np.ndarray]

AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")


@dataclass(frozen=True)
class Augmentation:
    """A policy that every method shares. This one leaves images alone; subclasses do something.

    Args:
        summary: what it does, in a few words.
        mirrors: whether it may mirror images, which not every data set allows.
    """

    summary: str
    mirrors: bool = False

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw what `n` images need.

        Args:
            rng: the run's `augment` stream for this epoch and copy.
            n: images.
            image_shape: (height, width, channels).

        Returns:
            small arrays of first dimension n.
        """
        return {}

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Return the augmented images: a pure function of tensors that runs on the device.

        Args:
            images: uint8, (batch, height, width, channels).
            draws: what `draw` returned, sliced to these images.

        Returns:
            uint8 or float32 in [0, 255], of the same shape.
        """
        return images


AUGMENTATIONS.register("none")(Augmentation("images as they are"))
