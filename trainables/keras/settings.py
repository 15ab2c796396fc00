"""Settings of the wrappers: methods from plain fields, and the epochs in which a method is on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from trainables.errors import InputError, validation_message
from trainables.methods import METHODS, Method


class TrainingLength(NamedTuple):
    """Length of the training, from which the epochs with the method on or off follow.

    epochs: number of epochs.
    steps_per_epoch: steps of an epoch.
    """

    epochs: int
    steps_per_epoch: int


def made_method(name: str, **fields: Any) -> Method:
    """Return a registered method with the given fields.

    Raises:
        InputError: a field is not valid.
    """
    try:
        return METHODS.get(name).model_validate({"name": name, **fields})
    except ValidationError as error:
        raise InputError("; ".join(_sentence(name, detail) for detail in error.errors())) from None


def _sentence(name: str, detail: Any) -> str:
    message = validation_message(detail)
    field = ".".join(map(str, detail["loc"]))
    return f"{name}: `{field}`: {message}, but got {detail['input']!r}" if field else f"{name}: {message}"


def made_length(epochs: int | None, steps_per_epoch: int | None) -> TrainingLength | None:
    """Return the length of the training, or None if neither number is given.

    Raises:
        InputError: only one is given, or one is not a positive integer.
    """
    if epochs is None and steps_per_epoch is None:
        return None
    for name, value in (("epochs", epochs), ("steps_per_epoch", steps_per_epoch)):
        if not isinstance(value, int) or value < 1:
            raise InputError(
                f"`epochs` and `steps_per_epoch` belong together and are positive integers, but got {name}={value!r}"
            )
    return TrainingLength(int(epochs or 0), int(steps_per_epoch or 0))


def active_epochs(method: Method, training_length: TrainingLength | None) -> np.ndarray | None:
    """Return in which epochs the method is on, bool (epochs,), or None if it always is.

    Raises:
        InputError: the method is off in some epochs and no length is given, or it is hardly ever on.
    """
    if training_length is not None:
        method.check(training_length.epochs, augmented=True)
        return np.array([method.active(epoch, training_length.epochs) for epoch in range(training_length.epochs)])
    if method.cycle(100) is not None or not method.active(99, 100):
        raise InputError(
            f"{type(method).model_fields['name'].default} is off in some epochs, so it needs the length of the "
            "training: `epochs`, and `steps_per_epoch`, such as `len(train_data)`"
        )
    return None
