"""Stateless network: a Keras model as a pure function of one weight vector, so that runs can share the model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from trainables.backends.selection import backend
from trainables.engine.dropout import rate_variables, with_variable_rates
from trainables.models import Model
from trainables.models.variables import random_variables
from trainables.randomness import derive_seed

Tensor = Any


class Network:
    """A network for one image shape and number of classes.

    Args:
        model: settings of the network; its dropout rate matters only in being zero or not.
        image_shape: (height, width, channels).
        classes: number of classes.
        precision: precision of the computation, `float32` or `mixed`; weights are always float32.
        xla: whether XLA will compile the network.

    Raises:
        InputError: the images do not fit the network, or it has layers that cannot be trained here.
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
        self._random = list(random_variables(self.model, model))
        self._moving = _state_variables(self.model, self._fast)

    @property
    def decayed(self) -> np.ndarray:
        """float32 (p,): 1 for weights that decay, 0 for biases and the parameters of batch norm."""
        return np.concatenate([np.full(int(np.prod(shape)), len(shape) > 1, dtype="float32") for shape in self._shapes])

    def size(self, images: int, slots: int) -> int:
        """Return an estimate of the memory of training in bytes: weights, gradient, slots, and all layers' outputs.

        Args:
            images: images per step.
            slots: arrays of the optimizer.
        """
        return 4 * ((2 + slots) * self._ends[-1] + images * _outputs(self.model))

    def initial(self, seed: int, dropout: float | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return initial weights, float32 (p,), and the initial state that training updates without a gradient.

        They depend on the seed only: each random variable is drawn from its own seed.

        Args:
            seed: the run's seed.
            dropout: rate of all dropout layers; by default each layer's own.
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
        """Return logits, float32 (n, classes), and the state after the forward pass.

        Args:
            weights: float32 (p,).
            moving: the state, as `initial` or an earlier call returned it.
            images: float32 (n, height, width, channels), normalised.
            training: whether batch norm and dropout are in training mode.
        """
        parts: Tensor = ops.split(weights, self._ends[:-1])
        shaped = [ops.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)]
        result: Tensor = self._fast.stateless_call(shaped, moving, images, training=training)
        logits, moved = result
        return ops.cast(logits, "float32"), moved

    def assign(self, weights: np.ndarray, moving: list[np.ndarray]) -> keras.Model:
        """Assign a run's weights to the Keras model and return it; the next call overwrites them."""
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
    """Return the network of a `Model.structure`, which is built once per process."""
    return Network(model, image_shape, classes, precision, xla)


def _outputs(model: keras.Model) -> int:
    """Return the number of values that all layers compute for one image."""
    return sum(
        _outputs(layer)
        if isinstance(layer, keras.Model)
        else sum(int(np.prod(output.shape[1:])) for output in keras.tree.flatten(layer.output))
        for layer in model.layers
    )


def _state_variables(model: keras.Model, fast: keras.Model) -> list[tuple[Any, float | None]]:
    """Return what each state variable of the accelerated copy stands for.

    That is (the model's variable, None), or (dropout layer, rate) for the rate of a `VariableDropout`.
    """
    layers = {layer.name: layer for layer in model.layers}
    rates = {id(variable): layers[name] for name, variable in rate_variables(fast).items()}
    plain = iter(model.non_trainable_variables)
    return [
        (rates[id(variable)], rates[id(variable)].rate) if id(variable) in rates else (next(plain), None)
        for variable in fast.non_trainable_variables
    ]
