"""A Keras model without state: weights come in as one vector, so that runs can share the model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from trainables import tensorflow_backend as backend
from trainables.models import MODELS
from trainables.randomness import derive_seed

Tensor = Any


class Network:
    """One architecture for one image shape and number of classes.

    Args:
        name: of the architecture.
        image_shape: (height, width, channels).
        classes: number of classes.

    Raises:
        InputError: the images are too small for it.
    """

    def __init__(self, name: str, image_shape: tuple[int, int, int], classes: int) -> None:
        architecture = MODELS.get(name)
        architecture.check(name, image_shape)
        self.classes = classes
        self.model = architecture.build(image_shape, classes)
        self._fast = backend.accelerated(self.model)
        self._shapes = [tuple(variable.shape) for variable in self.model.trainable_variables]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes]).tolist()
        self._fresh = {id(variable): variable.numpy() for variable in self.model.variables}
        self._random = list(_random_variables(self.model))

    @property
    def decayed(self) -> np.ndarray:
        """float32 (p,): 1 for weights that decay, 0 for biases and batch norm."""
        return np.concatenate([np.full(int(np.prod(shape)), len(shape) > 1, dtype="float32") for shape in self._shapes])

    def initial(self, seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return new weights, float32 (p,), and the state that training updates without a gradient.

        They depend on the seed only: each random variable has a seed of its own.
        """
        values = dict(self._fresh)
        for number, (variable, initializer) in enumerate(self._random):
            part = derive_seed(seed, "init", number)
            if initializer is None:
                values[id(variable)] = np.array([part, 0], dtype="uint32")
            else:
                seeded = type(initializer).from_config({**initializer.get_config(), "seed": part})
                values[id(variable)] = ops.convert_to_numpy(seeded(variable.shape, dtype=variable.dtype))
        weights = [values[id(variable)].ravel() for variable in self.model.trainable_variables]
        return np.concatenate(weights), [values[id(v)] for v in self.model.non_trainable_variables]

    def logits(
        self, weights: Tensor, moving: list[Tensor], images: Tensor, training: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return float32 (n, classes), and the state after this pass.

        Args:
            weights: float32 (p,).
            moving: what `initial` returned second, or what this returned.
            images: float32 (n, height, width, channels), normalised.
            training: whether batch norm and dropout are in training mode.
        """
        parts: Tensor = ops.split(weights, self._ends[:-1])
        shaped = [ops.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]
        result: Tensor = self._fast.stateless_call(shaped, moving, images, training=training)
        return result

    def assign(self, weights: np.ndarray, moving: list[np.ndarray]) -> keras.Model:
        """Put a run's weights into the Keras model and return it. The next call overwrites them."""
        parts = np.split(weights, self._ends[:-1])
        for variable, part in zip(self.model.trainable_variables, parts, strict=True):
            variable.assign(part.reshape(variable.shape))
        for variable, value in zip(self.model.non_trainable_variables, moving, strict=True):
            variable.assign(value)
        return self.model


@lru_cache(maxsize=8)
def network_of(name: str, image_shape: tuple[int, int, int], classes: int) -> Network:
    """Return the network, built once."""
    return Network(name, image_shape, classes)


def _random_variables(model: keras.Model) -> Iterator[tuple[Any, Any]]:
    """Yield each variable that is random at first, and its initializer; None for a generator's state."""
    for layer in _layers(model):
        initializers = {
            name.removesuffix("_initializer"): value
            for name, value in vars(layer).items()
            if name.endswith("_initializer") and "seed" in value.get_config()
        }
        for variable in layer.weights:
            if variable.name in initializers:
                yield variable, initializers.pop(variable.name)
        if initializers:
            raise TypeError(f"cannot draw the weights of layer `{layer.name}` anew: {', '.join(initializers)}")
    for variable in model.non_trainable_variables:
        if variable.dtype == "uint32":
            yield variable, None


def _layers(layer: Any) -> Iterator[Any]:
    """Yield the innermost layers of a model."""
    inner = getattr(layer, "layers", None)
    if inner is None:
        yield layer
        return
    for each in inner:
        yield from _layers(each)
