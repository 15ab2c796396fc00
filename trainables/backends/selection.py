"""The Keras backend that trains: TensorFlow, or JAX where `KERAS_BACKEND=jax` says so."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import keras
    import numpy as np

    Tensor = Any


class Backend(Protocol):
    """What a backend's module has; the rest of the training speaks `keras.ops`."""

    Compiled: Callable[..., Callable[..., Any]]
    """Compiled(function, *open_dimensions): the function, traced once."""

    def configure(self, threads: int | None = None, deterministic: bool = True) -> None:
        """Set up this process before its first tensor."""
        ...

    def compiles(self, option: str) -> bool:
        """Return whether XLA compiles the network, given `compile: auto | xla | off`."""
        ...

    def jitted(self, function: Callable[..., Any], on: bool) -> Callable[..., Any]:
        """Return a part of a compiled function, itself compiled by XLA if `on`."""
        ...

    def value_and_gradient(
        self, function: Callable[[Tensor], tuple[Tensor, Tensor]], at: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the value of a function, what it gives besides, and its gradient."""
        ...

    def scan(
        self, body: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], state: Tensor, batches: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fold `body` over the first dimension of `batches`; return the last state and the outputs stacked."""
        ...

    def resident(self, array: np.ndarray) -> Tensor:
        """Return the array as a tensor on the device."""
        ...

    def accelerated(self, model: keras.Model, precision: str, xla: bool) -> keras.Model:
        """Return a copy that trains faster, computing in `precision`: `float32`, or `mixed`."""
        ...


def _chosen() -> Any:
    if os.environ.get("KERAS_BACKEND") == "jax":
        from trainables.backends import jax as jax_backend

        return jax_backend
    from trainables.backends import tensorflow as tensorflow_backend

    return tensorflow_backend


backend: Backend = _chosen()
