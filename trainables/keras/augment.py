"""Augment: Assay's base augmentations as a Keras layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from trainables.augmentation import Policy, make_policy, policy_compiles
from trainables.errors import InputError
from trainables.keras.draws import ROWS, DrawTable, seed_or_new
from trainables.randomness import stream

Tensor = Any
PIXELS = (0.0, 255.0)


@keras.saving.register_keras_serializable("assay")
class Augment(keras.layers.Layer):
    """Layer that augments images in training, and leaves them unchanged otherwise.

    Input: images (batch, height, width, channels) of one size, uint8 or float32. Output: the same images, in the dtype
    of the layer. On TensorFlow, XLA compiles the augmentation even where the model around it is not compiled.

    Args:
        policy: an augmentation or several, as in a study file: `crop_flip`, `crop_flip+cutout`, or a list of mappings
            such as `{"name": "cutout", "size": 0.25}`.
        value_range: values of black and white.
        seed: seed of the random numbers; by default a new one for each layer.
        name, dtype, trainable: as in all Keras layers.
        settings: settings of a single augmentation, such as `rotation=15`; `assay list` shows all.

    Raises:
        InputError: the policy, a setting or the value range is not valid.

    Examples:
        >>> import numpy as np
        >>> images = np.zeros((2, 8, 8, 3), "uint8")
        >>> Augment("crop_flip", padding=2)(images, training=True).shape
        TensorShape([2, 8, 8, 3])
    """

    def __init__(
        self,
        policy: Any,
        *,
        value_range: tuple[float, float] = PIXELS,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        trainable: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(name=name, dtype=dtype, trainable=trainable)
        self.policy = _policy(policy, settings)
        self.value_range = _value_range(value_range)
        self.seed = seed_or_new(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self._pixels = _compiled(self._augmented, policy_compiles(self.policy.name))
        self._table = DrawTable({})

    def build(self, input_shape: Any) -> None:
        """Draw the table of random numbers for images of a shape.

        Raises:
            InputError: height, width or channels are unknown.
        """
        shape = tuple(input_shape[1:])
        if len(shape) != 3 or None in shape:
            raise InputError(
                f"Augment needs images of one known size, (batch, height, width, channels), but got the shape "
                f"{tuple(input_shape)}; resize the images first, for example with `keras.layers.Resizing`"
            )
        height, width, channels = shape
        self._table = DrawTable(self.policy.draw(stream(self.seed, "augment"), ROWS, (height, width, channels)))
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Return the images, augmented if `training`."""
        if not training:
            return ops.cast(inputs, self.compute_dtype)
        shape: Tensor = ops.shape(inputs)
        return self.transform(inputs, self.draw(shape[0]))

    def draw(self, n: Any) -> dict[str, Tensor]:
        """Draw the random numbers for `n` images (see `Policy.draw`)."""
        return self._table.pick((n,), self.seed_generator)

    def transform(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Return the augmented images, a pure function of images and draws."""
        return ops.cast(self._pixels(images, draws), self.compute_dtype)

    def _augmented(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        if self.value_range == PIXELS:
            return ops.cast(self.policy.apply(images, draws), "float32")
        black, white = self.value_range
        scale = (white - black) / PIXELS[1]
        values: Tensor = ops.cast(images, "float32")
        return self.policy.apply((values - black) / scale, draws) * scale + black

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make an equal layer, with the same seed."""
        own = {"policy": self.policy.model_dump(mode="json"), "value_range": self.value_range, "seed": self.seed}
        return {**super().get_config(), **own}


def _policy(policy: Any, settings: dict[str, Any]) -> Policy:
    if not settings:
        return make_policy(policy)
    if not isinstance(policy, str):
        raise InputError(
            f"the settings {', '.join(settings)} cannot be assigned: with several augmentations, give each its own, "
            'such as Augment(["crop_flip", {"name": "cutout", "size": 0.25}])'
        )
    return make_policy({"name": policy, **settings})


def _value_range(given: tuple[float, float]) -> tuple[float, float]:
    black, white = map(float, given)
    if not black < white:
        raise InputError(f"`value_range` is (black, white) with black below white, but got {tuple(given)}")
    return black, white


def _compiled(function: Callable[..., Tensor], compiles: bool) -> Callable[..., Tensor]:
    """Return the function, compiled by XLA on TensorFlow; JAX compiles the whole step."""
    if keras.backend.backend() != "tensorflow":
        return function
    from trainables.backends.tensorflow import jitted

    return jitted(function, compiles)
