"""The compiled loss of a Keras model, example by example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from trainables.errors import InputError

Tensor = Any


def single_loss(loss: Any) -> Any:
    """Return the loss of a compiled model, a function or a `keras.losses.Loss`.

    Args:
        loss: what `compile` got.

    Raises:
        InputError: there is none, or one for each of several outputs.
    """
    if loss is None or isinstance(loss, list | tuple | Mapping):
        raise InputError(
            f"a single loss is needed, as in compile(loss='categorical_crossentropy'), but got loss={loss!r}"
        )
    return keras.losses.get(loss)


def loss_name(loss: Any) -> str:
    """Return the name of a loss, such as `sparse_categorical_crossentropy`."""
    found = single_loss(loss)
    return str(getattr(found, "name", getattr(found, "__name__", "")))


def example_losses(loss: Any, labels: Tensor, predictions: Tensor) -> Tensor:
    """Return the loss of each example, float32 (n,).

    Args:
        loss: what `compile` got.
        labels: (n, ...), in the form that the loss expects.
        predictions: (n, ...).

    Raises:
        InputError: there is no single loss, or it does not give one number per example.
    """
    found = single_loss(loss)
    function = found.call if isinstance(found, keras.losses.Loss) else found
    values: Tensor = ops.cast(function(labels, predictions), "float32")
    if len(values.shape) == 0:
        raise InputError(
            f"the loss {loss!r} returns one number for the whole batch, but MaxUp compares the copies of each image; "
            "return one loss per example, and leave the mean to Keras"
        )
    return ops.mean(values, axis=tuple(range(1, len(values.shape)))) if len(values.shape) > 1 else values
