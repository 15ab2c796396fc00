"""A Keras model without state: weights come in as one vector, so that runs can share the model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from trainables.backends.selection import backend
from trainables.engine.dropout import rate_variables, with_variable_rates
from trainables.errors import InputError
from trainables.models import Model
from trainables.models.custom import layers_of
from trainables.randomness import derive_seed

Tensor = Any
GENERATOR = "seed_generator_state"
"""Keras's name of a generator's state; its type differs between backends."""


class Network:
    """One network for one image shape and number of classes.

    Args:
        model: its settings; of dropout only whether there is any.
        image_shape: (height, width, channels).
        classes: number of classes.
        precision: what it computes in, `float32` or `mixed`; its weights are float32.
        xla: whether XLA will compile it.

    Raises:
        InputError: the images do not fit it, or it has layers that cannot be trained here.
    """

    def __init__(
        self,
        model: Model,
        image_shape: tuple[int, int, int],
        classes: int,
        precision: str = "float32",
        xla: bool = False,
    ) -> None:
        self.classes = classes
        self.model = model.build(image_shape, classes)
        self._fast = backend.accelerated(with_variable_rates(self.model), precision, xla)
        self._shapes = [tuple(variable.shape) for variable in self.model.trainable_variables]
        self._ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes]).tolist()
        self._fresh = {id(variable): variable.numpy() for variable in self.model.variables}
        self._random = list(_random_variables(self.model, model))
        self._moving = _state_variables(self.model, self._fast)

    @property
    def decayed(self) -> np.ndarray:
        """float32 (p,): 1 for weights that decay, 0 for biases and batch norm."""
        return np.concatenate([np.full(int(np.prod(shape)), len(shape) > 1, dtype="float32") for shape in self._shapes])

    def initial(self, seed: int, dropout: float | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return new weights, float32 (p,), and the state that training updates without a gradient.

        They depend on the seed only: each random variable has a seed of its own.

        Args:
            seed: the run's.
            dropout: the rate of all dropout layers; by default each layer's own.
        """
        values = dict(self._fresh)
        for number, (variable, initializer) in enumerate(self._random):
            part = derive_seed(seed, "init", number)
            if initializer is None:
                values[id(variable)] = np.array([part, 0], dtype=variable.dtype)
            else:
                seeded = type(initializer).from_config({**initializer.get_config(), "seed": part})
                values[id(variable)] = ops.convert_to_numpy(seeded(variable.shape, dtype=variable.dtype))
        weights = [values[id(variable)].ravel() for variable in self.model.trainable_variables]
        moving: list[Any] = [
            values[id(variable)] if rate is None else np.float32(rate if dropout is None else dropout)
            for variable, rate in self._moving
        ]
        return np.concatenate(weights), moving

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
        logits, moved = result
        return ops.cast(logits, "float32"), moved

    def assign(self, weights: np.ndarray, moving: list[np.ndarray]) -> keras.Model:
        """Put a run's weights into the Keras model and return it. The next call overwrites them."""
        parts = np.split(weights, self._ends[:-1])
        for variable, part in zip(self.model.trainable_variables, parts, strict=True):
            variable.assign(part.reshape(variable.shape))
        for (variable, rate), value in zip(self._moving, moving, strict=True):
            if rate is None:
                variable.assign(value)
            else:
                variable.rate = float(value)
        return self.model


@lru_cache(maxsize=8)
def network_of(
    model: Model, image_shape: tuple[int, int, int], classes: int, precision: str = "float32", xla: bool = False
) -> Network:
    """Return the network of `Model.structure`, built once."""
    return Network(model, image_shape, classes, precision, xla)


def _random_variables(model: keras.Model, settings: Model) -> Iterator[tuple[Any, Any]]:
    """Yield each variable that is random at first, and its initializer; None for a generator's state."""
    for layer in layers_of(model):
        if settings.keeps(layer.name):
            continue
        for variable in layer.weights:
            initializer = _initializer(layer, variable.name)
            if initializer is not None and "seed" in initializer.get_config():
                yield variable, initializer
            elif initializer is None and variable.trainable:
                raise InputError(
                    f"model `{settings.name}`: layer `{layer.name}` ({type(layer).__name__}) does not say how its "
                    f"weight `{variable.name}` is drawn, so it cannot be drawn anew for each seed; use another layer"
                )
    for variable in model.non_trainable_variables:
        if variable.name == GENERATOR:
            yield variable, None


def _initializer(layer: Any, weight: str) -> Any:
    """Return the initializer of a layer's weight, or None; `depthwise` is that of a kernel for each channel."""
    for name in (weight, weight.removesuffix("_kernel"), "depthwise"):
        found = getattr(layer, f"{name}_initializer", None)
        if found is not None:
            return found
    return None


def _state_variables(model: keras.Model, fast: keras.Model) -> list[tuple[Any, float | None]]:
    """Return what each state variable of the fast copy is: (the model's variable, None), or (dropout layer, rate)."""
    layers = {layer.name: layer for layer in model.layers}
    rates = {id(variable): layers[name] for name, variable in rate_variables(fast).items()}
    plain = iter(model.non_trainable_variables)
    return [
        (rates[id(variable)], rates[id(variable)].rate) if id(variable) in rates else (next(plain), None)
        for variable in fast.non_trainable_variables
    ]
