"""Everything that needs JAX by name: the twin of `tensorflow_backend`, for `KERAS_BACKEND=jax`.

JAX comes with the extra `assay[jax]`. The same seeds give the same split, order, augmentation and mixing as on
TensorFlow; initial weights and dropout are drawn by the backend, and differ.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trainables.errors import InputError

try:
    jax: Any = importlib.import_module("jax")
except ImportError:
    raise InputError(
        "KERAS_BACKEND is jax, but JAX is not installed; install `assay[jax]`, or unset KERAS_BACKEND"
    ) from None
if keras.backend.backend() != "jax":
    raise InputError(f"Keras was imported with the backend {keras.backend.backend()} before KERAS_BACKEND was jax")

log = logging.getLogger(__name__)

Tensor = Any
"""A tensor of the backend, or a nest of tensors (dictionaries and lists)."""
MIXED = "mixed_bfloat16"


def configure(threads: int | None = None, deterministic: bool = True) -> None:
    """Set up JAX in this process, before it is first used.

    Args:
        threads: CPU threads; XLA takes one or all, so that 1 means one and anything else all.
        deterministic: make GPU operations give the same bits every time.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    if threads == 1:
        flags.append("--xla_cpu_multi_thread_eigen=false")
    if deterministic:
        flags.append("--xla_gpu_deterministic_ops=true")
    os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys(flags))
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def compiles(option: str) -> bool:
    """Return True: JAX has no other way, so that `compile: off` is not honoured.

    Args:
        option: `auto`, `xla` or `off`.
    """
    if option == "off":
        log.warning("`compile: off` has no meaning on JAX, which compiles everything")
    return True


def jitted(function: Callable[..., Tensor], on: bool) -> Callable[..., Tensor]:
    """Return the function as it is: the whole of which it is a part is compiled."""
    return function


def value_and_gradient(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], at: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the value of a function, what it gives besides, and its gradient (see `tensorflow_backend`)."""
    (value, besides), gradient = jax.value_and_grad(function, has_aux=True)(at)
    return value, besides, gradient


def scan(
    body: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], state: Tensor, batches: Tensor
) -> tuple[Tensor, Tensor]:
    """Fold `body` over the first dimension of `batches` (see `tensorflow_backend.scan`)."""
    return jax.lax.scan(body, state, batches)


class Compiled:
    """A function of nests of tensors, compiled anew for every new shape (see `tensorflow_backend.Compiled`)."""

    def __init__(self, function: Callable[..., Tensor], *open_dimensions: Any) -> None:
        self._function = jax.jit(function)

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function gives, as tensors."""
        return self._function(*arguments)


def resident(array: np.ndarray) -> Tensor:
    """Return the array as a tensor on the device."""
    return jax.numpy.asarray(array)


def accelerated(model: keras.Model, precision: str, xla: bool) -> keras.Model:
    """Return a copy of a model that computes in `precision` (see `tensorflow_backend.accelerated`)."""
    policy = MIXED if precision == "mixed" else "float32"

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        own = {"dtype": policy} if isinstance(layer, keras.layers.Layer) else {}  # operations have none
        return type(layer).from_config({**layer.get_config(), **own})

    return keras.models.clone_model(model, clone_function=clone)
