"""What an architecture is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainables.errors import InputError
from trainables.registry import Registry

if TYPE_CHECKING:
    import keras

MODELS: Registry[Architecture] = Registry("model")

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Architecture:
    """A network for any image size from `smallest` on, and any number of classes.

    Args:
        summary: what it is, in a few words.
        smallest: smallest height and width in pixels.
        network: builds the Keras model from (height, width, channels) and the number of classes, out of
            layers that come with Keras, so that the saved model opens without Assay. It takes normalised
            float32 images and returns logits.
    """

    summary: str
    smallest: int
    network: Callable[[Shape, int], keras.Model]

    def check(self, name: str, image_shape: Shape) -> None:
        """Refuse images that are too small.

        Raises:
            InputError: height or width is below `smallest`.
        """
        if min(image_shape[:2]) < self.smallest:
            raise InputError(
                f"model `{name}` needs images of at least {self.smallest} x {self.smallest} pixels, but they "
                f"are {image_shape[0]} x {image_shape[1]}; choose a model for smaller images or enlarge them"
            )

    def build(self, image_shape: Shape, classes: int) -> keras.Model:
        """Return a new Keras model that takes normalised images and gives logits.

        Args:
            image_shape: (height, width, channels).
            classes: number of classes.

        Raises:
            InputError: the images are too small.
        """
        self.check(self.summary, image_shape)
        return self.network(image_shape, classes)
