"""TensorFlow backend: configuration, gradient, loop and compilation. All other code uses `keras.ops`.

`trainables.backends.jax` has the same functions for JAX; `trainables.backends.selection` selects one of them.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from trainables.backends.device import CPU, GPU, Device
from trainables.backends.driver import nvidia_memory
from trainables.backends.keras_settings import one_device
from trainables.backends.suppress_stderr import suppressed_stderr
from trainables.errors import InputError

QUIET = "3"


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", QUIET)
# The libraries write messages while they load, before their log settings take effect.
with suppressed_stderr() if os.environ["TF_CPP_MIN_LOG_LEVEL"] == QUIET else nullcontext():
    import keras
    import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise InputError(
        f"Assay trains with Keras on TensorFlow or JAX, but the Keras backend is {keras.backend.backend()}; "
        "set KERAS_BACKEND to tensorflow or jax"
    )

log = logging.getLogger(__name__)

Tensor = Any
"""A tensor of the backend, or a nested structure of tensors (dictionaries and lists)."""
MIXED = "mixed_bfloat16"
"""Keras's dtype policy for `precision: mixed`: bfloat16 has the range of float32, so losses need no scaling."""


def configure(threads: int | None = None, deterministic: bool = True) -> None:
    """Configure TensorFlow in this process, before it is first used; later calls cannot change the threads.

    GPU memory is allocated as needed, so that runs that use a fraction of a GPU can share it.

    Args:
        threads: CPU threads of a training run; None leaves the choice to TensorFlow.
        deterministic: whether operations are bitwise reproducible, which can be slower on a GPU. It cannot be turned
            off again in the same process.
    """
    tf.get_logger().setLevel("ERROR")
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    threading = tf.config.threading
    try:
        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
        if threads:
            threading.set_intra_op_parallelism_threads(threads)
            threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        now = threading.get_intra_op_parallelism_threads()
        if threads and now != threads:
            log.warning("TensorFlow was started with %s threads and cannot change to %s", now, threads)


def compiles(option: str) -> bool:
    """Return whether XLA compiles the network.

    Args:
        option: `xla` is on and `off` is off; `auto` is on if there is a GPU. On a CPU, a step of a small network takes
            two to four times as long with XLA.
    """
    return option == "xla" or (option == "auto" and bool(tf.config.list_physical_devices("GPU")))


def devices() -> list[Device]:
    """Return the devices that TensorFlow can use. This initializes them, so call `configure` first."""
    from tensorflow.python.client import device_lib

    memory = [found.memory_limit for found in device_lib.list_local_devices() if found.device_type == GPU]
    gpus = [tf.config.experimental.get_device_details(found) for found in tf.config.list_physical_devices(GPU)]
    return [
        *(Device(GPU, str(gpu.get("device_name", GPU)), size) for gpu, size in zip(gpus, memory, strict=False)),
        *(Device(CPU, CPU) for _ in tf.config.list_physical_devices(CPU)),
    ]


def require_devices(number: int) -> None:
    """Refuse several devices for one run.

    Raises:
        InputError: there are several.
    """
    if fault := one_device(number):
        raise InputError(fault)


def divided(tensors: Tensor, devices: int) -> Tensor:
    """Return the tensors: a run has one device (see `trainables.backends.jax.divided`)."""
    return tensors


def jitted(function: Callable[..., Tensor], on: bool) -> Callable[..., Tensor]:
    """Return a function that is compiled by XLA if `on`, independently of the function that calls it."""
    return tf.function(function, jit_compile=True, autograph=False) if on else function


def value_and_gradient(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], at: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a function's value, its auxiliary output, and the gradient of the value.

    Args:
        function: a function of one tensor that returns a scalar and an auxiliary output.
        at: the tensor at which the gradient is computed.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        value, besides = function(at)
    return value, besides, tape.gradient(value, at)


class Loop:
    """A compiled loop over batches: a function of (state, data, constants, batches) to (last state, stacked outputs).

    It is traced once, at its first call, for the shapes of its arguments. Later calls may have other data, whose arrays
    differ in their first dimension, and other batches, according to `open_dimensions`.

    Args:
        body: a function of (state, data, constants, batch) to (next state, output), all nested tensors. The shapes of
            the state do not change; the output is a float32 tensor. A batch is one part of each array of `batches`,
            which have the same first dimension.
        open_dimensions: for each key of `batches`, the number of leading dimensions of its arrays that may differ
            between calls.
        devices: number of devices, which is one.
    """

    def __init__(
        self,
        body: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
        open_dimensions: Mapping[str, int],
        devices: int = 1,
    ) -> None:
        self._body = body
        self._open_dimensions = open_dimensions
        self._traced: Any = None

    def __call__(self, state: Tensor, data: Tensor, constants: Tensor, batches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the last state, and the stacked outputs, as tensors."""
        if self._traced is None:
            each = {key: _signature(part, self._open_dimensions[key]) for key, part in batches.items()}
            signature = (_signature(state), _signature(data, open_dimensions=1), _signature(constants), each)
            function = tf.function(functools.partial(_scan, self._body), input_signature=signature, autograph=False)
            self._traced = function.get_concrete_function()
        return self._traced(state, data, constants, batches)


def _scan(
    body: Callable[..., tuple[Tensor, Tensor]], state: Tensor, data: Tensor, constants: Tensor, batches: Tensor
) -> tuple[Tensor, Tensor]:
    steps = tf.shape(tf.nest.flatten(batches)[0])[0]
    outputs = tf.TensorArray("float32", size=steps)

    def advance(i: Tensor, state: Tensor, outputs: tf.TensorArray) -> tuple[Tensor, Tensor, tf.TensorArray]:
        state, output = body(state, data, constants, tf.nest.map_structure(lambda every: every[i], batches))
        return i + 1, state, outputs.write(i, output)

    start = (tf.constant(0), state, outputs)
    _, state, outputs = tf.while_loop(lambda i, state, outputs: i < steps, advance, start)
    return state, outputs.stack()


def _signature(arrays: Tensor, open_dimensions: int = 0) -> Any:
    """Return the nested shapes and dtypes of nested arrays; their leading dimensions may be open."""

    def spec(array: Any) -> tf.TensorSpec:
        shape = (None,) * min(open_dimensions, len(array.shape)) + tuple(array.shape[open_dimensions:])
        return tf.TensorSpec(shape, tf.as_dtype(array.dtype))

    return tf.nest.map_structure(spec, arrays)


def resident(array: np.ndarray, devices: int = 1) -> Tensor:
    """Return the array as a tensor on the device."""
    return tf.convert_to_tensor(array)


def device_memory() -> int | None:
    """Return the memory of the smallest GPU in bytes, or None if there is no GPU, or it does not report it."""
    return nvidia_memory() if tf.config.list_physical_devices("GPU") else None


def accelerated(model: keras.Model, precision: str, xla: bool) -> keras.Model:
    """Return a copy of a model, with variables in the same order, that trains faster.

    Keras composes batch norm of elementary operations; TensorFlow has a fused one, which saves a fifth of the time per
    step of a CIFAR ResNet on a CPU, and nearly half of the tracing time.

    Args:
        model: a float32 model.
        precision: `float32`, or `mixed`: convolutions and products in bfloat16, weights and averages in float32.
        xla: whether XLA will compile the copy.
    """
    policy = MIXED if precision == "mixed" else "float32"

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = type(layer)
        if kind is keras.layers.BatchNormalization and _is_fusible(layer):
            kind = _FusedBatchNormalization
        elif kind is keras.layers.MaxPooling2D and xla:
            kind = _SlicedMaxPooling
        own = {"dtype": policy} if isinstance(layer, keras.layers.Layer) else {}  # operations have none
        return kind.from_config({**layer.get_config(), **own})

    return keras.models.clone_model(model, clone_function=clone)


def _is_fusible(layer: keras.layers.BatchNormalization) -> bool:
    spec: Any = layer.input_spec  # a layer that is used twice has no single input
    return spec.ndim == 4 and layer.axis in {-1, 3} and layer.center and layer.scale and not layer.renorm


class _FusedBatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation over (batch, height, width) as one operation; equal to Keras's up to rounding."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Return the normalised inputs; in training, also update the moving averages."""
        if not training or not self.trainable:
            return super().call(inputs, training=training, mask=mask)
        gamma, beta = (tf.cast(variable, "float32") for variable in (self.gamma, self.beta))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, gamma, beta, epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], variance.dtype)
        biased = variance * ((count - 1) / count)
        moves: Any = ((self.moving_mean, mean), (self.moving_variance, biased))
        for average, now in moves:
            average.assign(average * self.momentum + now * (1 - self.momentum))
        return outputs


class _SlicedMaxPooling(keras.layers.MaxPooling2D):
    """Max pooling as the maximum of shifted slices, whose gradient is deterministic under XLA.

    The gradient goes to the first of equal values, as in TensorFlow's own operation.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Return the largest value of each window."""
        if self.data_format != "channels_last":
            return super().call(inputs)
        sizes: Any = (self.pool_size, self.strides, inputs.shape[1:3])
        if self.padding == "same":
            sides = [_same_padding(*each) for each in zip(*sizes, strict=True)]
            inputs = tf.pad(inputs, [(0, 0), *sides, (0, 0)], constant_values=inputs.dtype.min)
        (height, width), (down, right) = self.pool_size, self.strides
        rows, columns = inputs.shape[1] - height + 1, inputs.shape[2] - width + 1
        largest = None
        for i in range(height):
            for j in range(width):
                shifted = inputs[:, i : i + rows : down, j : j + columns : right]
                largest = shifted if largest is None else tf.maximum(largest, shifted)
        return largest


def _same_padding(window: int, stride: int, size: int) -> tuple[int, int]:
    """Return the numbers of pixels that `padding="same"` adds before and after."""
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2
