"""Dropout with the rate as a variable, so that runs with different rates share a compiled step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


class VariableDropout(keras.layers.Dropout):
    """Keras's dropout with the rate as a state variable of the model; it draws the same random numbers."""

    def build(self, input_shape: Any) -> None:
        """Create the variable."""
        super().build(input_shape)
        start = keras.initializers.Constant(self.rate)
        self.current_rate = self.add_weight(
            shape=(), initializer=start, trainable=False, autocast=False, dtype="float32", name="current_rate"
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Return the inputs; in training, a fraction of them is set to zero and the others are scaled up."""
        if not training or self.rate == 0:
            return inputs
        rate: Tensor = ops.convert_to_tensor(self.current_rate)
        drawn: Tensor = keras.random.uniform(ops.shape(inputs), dtype="float32", seed=self.seed_generator)
        enlarged = inputs / ops.cast(1 - rate, inputs.dtype)
        return ops.where(drawn >= rate, enlarged, ops.zeros_like(inputs))


def with_variable_rates(model: keras.Model) -> keras.Model:
    """Return a copy of a model with each `Dropout` replaced by `VariableDropout`, or the model if it has none."""
    if not any(_is_plain(layer) for layer in model.layers):
        return model
    return keras.models.clone_model(model, clone_function=_copy)


def rate_variables(model: keras.Model) -> dict[str, Any]:
    """Return the variables of the dropout rates by the names of their layers."""
    return {layer.name: layer.current_rate for layer in model.layers if isinstance(layer, VariableDropout)}


def _is_plain(layer: keras.layers.Layer) -> bool:
    return type(layer) is keras.layers.Dropout and layer.noise_shape is None


def _copy(layer: keras.layers.Layer) -> keras.layers.Layer:
    kind = VariableDropout if _is_plain(layer) else type(layer)
    return kind.from_config(layer.get_config())
