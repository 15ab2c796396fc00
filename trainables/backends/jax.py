"""JAX backend, for `KERAS_BACKEND=jax`: the same functions as `trainables.backends.tensorflow`.

JAX is installed by the extra `jax`. The same seeds give the same split, order, augmentation and mixing as with
TensorFlow; initial weights and dropout are drawn by the backend, and differ.
"""

from __future__ import annotations

import functools
import importlib
import logging
import operator
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from trainables.backends.device import CPU, GPU, Device
from trainables.errors import InputError

try:
    jax: Any = importlib.import_module("jax")
except ImportError:
    raise InputError(
        "KERAS_BACKEND is jax, but JAX is not installed; install Assay with the extra `jax`, or unset KERAS_BACKEND"
    ) from None
if keras.backend.backend() != "jax":
    raise InputError(f"Keras was imported with the backend {keras.backend.backend()} before KERAS_BACKEND was jax")

log = logging.getLogger(__name__)

Tensor = Any
"""A tensor of the backend, or a nested structure of tensors (dictionaries and lists)."""
MIXED = "mixed_bfloat16"
BATCH = "batch"
"""Name of the only axis of a mesh of devices."""


def configure(threads: int | None = None, deterministic: bool = True) -> None:
    """Configure JAX in this process, before it is first used.

    Args:
        threads: CPU threads; XLA uses one or all, so 1 means one and any other value all.
        deterministic: whether GPU operations are bitwise reproducible.
    """
    flags = os.environ.get("XLA_FLAGS", "").split()
    if threads == 1:
        flags.append("--xla_cpu_multi_thread_eigen=false")
    if deterministic:
        flags.append("--xla_gpu_deterministic_ops=true")
    os.environ["XLA_FLAGS"] = " ".join(dict.fromkeys(flags))
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def compiles(option: str) -> bool:
    """Return True: on JAX everything is compiled, and `compile: off` has no effect.

    Args:
        option: `auto`, `xla` or `off`.
    """
    if option == "off":
        log.warning("`compile: off` has no effect on JAX, which compiles everything")
    return True


def devices() -> list[Device]:
    """Return the devices that JAX can use (see `tensorflow.devices`)."""
    return [
        Device(_kind(found.platform), str(found.device_kind), (found.memory_stats() or {}).get("bytes_limit"))
        for found in jax.devices()
    ]


def _kind(platform: str) -> str:
    return GPU if platform in {"cuda", "gpu", "rocm"} else platform.upper()


def require_devices(number: int) -> None:
    """Refuse more devices for one run than there are.

    Raises:
        InputError: there are fewer.
    """
    usable = len(jax.devices())
    if number > usable:
        raise InputError(
            f"a run is divided among {number} devices (`resources.gpus`), but JAX can use {usable} here; `assay "
            "doctor` shows which"
        )


def divided(tensors: Tensor, devices: int) -> Tensor:
    """Return tensors whose first dimension is divided among the devices, inside a compiled function.

    The values are those of one device; XLA divides the computation that follows and exchanges what it needs. A length
    that is not a multiple of the number of devices is divided as evenly as possible.

    Args:
        tensors: nested tensors with at least one dimension.
        devices: number of devices; with one, nothing changes.
    """
    if devices == 1:
        return tensors
    return jax.lax.with_sharding_constraint(tensors, _sharding(devices, BATCH))


def _sharding(devices: int, *axes: str) -> Any:
    """Return how arrays lie on the first devices: divided along their first dimension, or (no axes) copied."""
    return jax.sharding.NamedSharding(_mesh(devices), jax.sharding.PartitionSpec(*axes))


@functools.cache
def _mesh(devices: int) -> Any:
    return jax.sharding.Mesh(np.array(jax.devices()[:devices]), (BATCH,))


def jitted(function: Callable[..., Tensor], on: bool) -> Callable[..., Tensor]:
    """Return the function unchanged: the function that calls it is compiled as a whole."""
    return function


def value_and_gradient(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], at: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return value, auxiliary output and gradient (see `tensorflow.value_and_gradient`)."""
    (value, besides), gradient = jax.value_and_grad(function, has_aux=True)(at)
    return value, besides, gradient


def loops_on_device() -> bool:
    """Return whether a `Loop` is compiled as a whole: not on a CPU, where only its step is.

    Inside a compiled loop, XLA's convolutions are 10 to 20 times slower on a CPU
    (https://github.com/jax-ml/jax/issues/12868).
    """
    return jax.default_backend() != "cpu"


class Loop:
    """A loop over batches (see `tensorflow.Loop`), compiled as a whole or step by step, once for each new shape.

    Args:
        body: a function of (state, data, constants, batch) to (next state, output).
        open_dimensions: not used: any dimension may differ between calls.
        devices: number of devices, each of which gets all arguments and results.
    """

    def __init__(
        self,
        body: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        open_dimensions: Mapping[str, int],
        devices: int = 1,
    ) -> None:
        copies = {} if devices == 1 else dict.fromkeys(("in_shardings", "out_shardings"), _sharding(devices))
        self._step = jax.jit(body, **copies)
        self._scan = jax.jit(functools.partial(_scan, body), **copies)

    def __call__(self, state: Tensor, data: Tensor, constants: Tensor, batches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last state, and the stacked outputs."""
        if loops_on_device():
            return self._scan(state, data, constants, batches)
        data, constants = jax.tree.map(jax.numpy.asarray, (data, constants))
        batches = jax.tree.map(np.asarray, batches)
        outputs = []
        for i in range(len(jax.tree.leaves(batches)[0])):
            state, output = self._step(state, data, constants, jax.tree.map(operator.itemgetter(i), batches))
            outputs.append(output)
        return state, np.stack(jax.device_get(outputs))  # JAX's own would be compiled for every number of steps


def _scan(
    body: Callable[..., tuple[Tensor, Tensor]], state: Tensor, data: Tensor, constants: Tensor, batches: Tensor
) -> tuple[Tensor, Tensor]:
    return jax.lax.scan(lambda state, batch: body(state, data, constants, batch), state, batches)


def resident(array: np.ndarray, devices: int = 1) -> Tensor:
    """Return the array as a tensor on the device, or on each of several."""
    return jax.numpy.asarray(array) if devices == 1 else jax.device_put(array, _sharding(devices))


def device_memory() -> int | None:
    """Return the memory that JAX may use of the first accelerator in bytes, or None if there is none."""
    first = devices()[0]
    return None if first.kind == CPU else first.memory


def accelerated(model: keras.Model, precision: str, xla: bool) -> keras.Model:
    """Return a copy of a model that computes in `precision` (see `tensorflow.accelerated`)."""
    policy = MIXED if precision == "mixed" else "float32"

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        own = {"dtype": policy} if isinstance(layer, keras.layers.Layer) else {}  # operations have none
        return type(layer).from_config({**layer.get_config(), **own})

    return keras.models.clone_model(model, clone_function=clone)
