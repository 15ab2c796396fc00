"""Base class of augmentations: settings, small random draws on the host, and pixel operations on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from trainables.registration.fields import Frozen
from trainables.registration.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    Tensor = Any
    Draws = dict[str, np.ndarray]

AUGMENTATIONS: Registry[type[Augmentation]] = Registry("augmentation")


class Augmentation(Frozen):
    """Base class of augmentations, which all methods share. Subclasses add a name and settings.

    `draw` draws small random arrays on the host for a whole epoch; `apply` is a pure function of tensors that runs
    on the device. It is static and cannot read the settings: what depends on them is passed in the draws. So
    runs with different settings share one compiled step.
    """

    summary: ClassVar[str] = ""
    identity_settings: ClassVar[Mapping[str, Any]] = {}
    """Settings with which images remain unchanged."""
    compiles: ClassVar[bool] = True
    """Whether XLA can compile `apply`, which makes it several times faster."""

    @property
    def mirrors(self) -> bool:
        """Whether it may mirror images, which some data sets do not allow."""
        return False

    @property
    def varies(self) -> bool:
        """Whether the settings differ from `identity_settings`."""
        return any(getattr(self, name) != value for name, value in self.identity_settings.items())

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw the random numbers for `n` images.

        Args:
            rng: the `augment` stream of the run for this epoch and copy.
            n: number of images.
            image_shape: (height, width, channels).

        Returns:
            Small float32 or int32 arrays of first dimension n, with the same names and shapes for all settings.
        """
        return {}

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Return the augmented images.

        Args:
            images: uint8, or float32 in [0, 255], (batch, height, width, channels).
            draws: the result of `draw`, for these images.

        Returns:
            uint8 or float32 in [0, 255], of the same shape.
        """
        return images


@AUGMENTATIONS.register("none")
class Unchanged(Augmentation):
    """No augmentation."""

    summary: ClassVar[str] = "images unchanged"
    name: Literal["none"] = "none"
