"""What a base augmentation is: settings, small draws on the host, pixels on the device."""

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
    """A way to change images that every method shares. Subclasses add their name and settings.

    `draw` makes small random arrays on the host, for a whole epoch; `apply` is a pure function of tensors that
    runs on the device. It is static, so it cannot look at the settings: what depends on them travels in the
    draws. That is why runs that differ in settings share one compiled step.
    """

    summary: ClassVar[str] = ""
    still: ClassVar[Mapping[str, Any]] = {}
    """The settings with which images stay as they are."""
    compiles: ClassVar[bool] = True
    """Whether XLA can compile `apply`, which makes it several times as fast."""

    @property
    def mirrors(self) -> bool:
        """Whether it may mirror images, which not every data set allows."""
        return False

    @property
    def varies(self) -> bool:
        """Whether it changes anything at all."""
        return any(getattr(self, name) != value for name, value in self.still.items())

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        """Draw what `n` images need.

        Args:
            rng: the run's `augment` stream for this epoch and copy.
            n: images.
            image_shape: (height, width, channels).

        Returns:
            small float32 or int32 arrays of first dimension n, the same names and shapes for all settings.
        """
        return {}

    @staticmethod
    def apply(images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Return the augmented images.

        Args:
            images: uint8, or float32 in [0, 255], (batch, height, width, channels).
            draws: what `draw` returned, sliced to these images.

        Returns:
            uint8 or float32 in [0, 255], of the same shape.
        """
        return images


@AUGMENTATIONS.register("none")
class Unchanged(Augmentation):
    """No augmentation."""

    summary: ClassVar[str] = "images as they are"
    name: Literal["none"] = "none"
