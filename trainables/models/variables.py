"""Variables of Keras models: which layers contain them, and how their initial values are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError

if TYPE_CHECKING:
    import keras

    from trainables.models.base import Model

GENERATOR = "seed_generator_state"
"""Keras's name for the state of a random generator; its dtype differs between backends."""


def layers_of(layer: Any) -> list[Any]:
    """Return the innermost layers of a model, with those of nested models in place of the model."""
    inner = getattr(layer, "layers", None)
    return [layer] if inner is None else [innermost for each in inner for innermost in layers_of(each)]


def random_variables(model: keras.Model, settings: Model) -> Iterator[tuple[Any, Any]]:
    """Yield each variable whose initial value is random, with its initializer, or None for a generator's state.

    Variables of layers that keep pretrained weights are left out.

    Args:
        model: the Keras model.
        settings: the settings that it was built from.

    Raises:
        InputError: a layer does not declare how a trainable weight is initialized.
    """
    for layer in layers_of(model):
        if settings.keeps(layer.name):
            continue
        for variable in layer.weights:
            initializer = _initializer(layer, variable.name)
            if initializer is not None and "seed" in initializer.get_config():
                yield variable, initializer
            elif initializer is None and variable.trainable:
                raise InputError(
                    f"model `{settings.name}`: layer `{layer.name}` ({type(layer).__name__}) has no initializer for "
                    f"its weight `{variable.name}`, so the weight cannot be redrawn for each seed; use another layer"
                )
    for variable in model.non_trainable_variables:
        if variable.name == GENERATOR:
            yield variable, None


def _initializer(layer: Any, weight: str) -> Any:
    """Return the initializer of a layer's weight, or None; a depthwise kernel uses `depthwise_initializer`."""
    for name in (weight, weight.removesuffix("_kernel"), "depthwise"):
        found = getattr(layer, f"{name}_initializer", None)
        if found is not None:
            return found
    return None
