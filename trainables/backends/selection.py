"""Backend selection: `backend` is the module that trains, TensorFlow by default, or JAX with `KERAS_BACKEND=jax`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from trainables.backends.keras_settings import check_keras_settings

if TYPE_CHECKING:
    import keras
    import numpy as np

    from trainables.backends.device import Device

    Tensor = Any


class Backend(Protocol):
    """Functions that each backend module has; all other training code uses `keras.ops`."""

    Loop: Callable[..., Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]]
    """`Loop(body, open_dimensions, devices=1)` returns the compiled loop that applies `body` to batch after batch."""

    def configure(self, threads: int | None = None, deterministic: bool = True) -> None:
        """Configure the backend in this process, before its first tensor."""
        ...

    def compiles(self, option: str) -> bool:
        """Return whether XLA compiles the network, for the setting `compile: auto | xla | off`."""
        ...

    def devices(self) -> list[Device]:
        """Return the devices that the backend can use, initializing them."""
        ...

    def require_devices(self, number: int) -> None:
        """Refuse more devices for one run than the backend can use together."""
        ...

    def divided(self, tensors: Tensor, devices: int) -> Tensor:
        """Return tensors whose first dimension is divided among the devices, for use inside a compiled function."""
        ...

    def jitted(self, function: Callable[..., Any], on: bool) -> Callable[..., Any]:
        """Return a function that is compiled by XLA if `on`, for use inside a compiled function."""
        ...

    def value_and_gradient(
        self, function: Callable[[Tensor], tuple[Tensor, Tensor]], at: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return a function's value, its auxiliary output, and the gradient of the value."""
        ...

    def resident(self, array: np.ndarray, devices: int = 1) -> Tensor:
        """Return the array as a tensor on the device, or on each of several."""
        ...

    def device_memory(self) -> int | None:
        """Return the memory of the accelerator in bytes, or None if there is none, or it does not report it."""
        ...

    def accelerated(self, model: keras.Model, precision: str, xla: bool) -> keras.Model:
        """Return a copy of a model that trains faster, in precision `float32` or `mixed`."""
        ...


def _chosen() -> Any:
    if os.environ.get("KERAS_BACKEND") == "jax":
        from trainables.backends import jax as jax_backend

        return jax_backend
    from trainables.backends import tensorflow as tensorflow_backend

    return tensorflow_backend


def _restore_defaults() -> None:
    """Undo the settings of `~/.keras/keras.json`, which would change runs without a trace."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_epsilon(1e-7)


check_keras_settings()
backend: Backend = _chosen()
_restore_defaults()
