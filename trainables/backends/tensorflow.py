"""Everything that needs TensorFlow by name: set-up, gradient, loop, compilation. All else speaks `keras.ops`.

`jax_backend` has the same functions for JAX; `backend` chooses.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from trainables.backends.suppress_stderr import muted
from trainables.errors import InputError

QUIET = "3"


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", QUIET)
# Before their own settings hold, the libraries speak while they load.
with muted() if os.environ["TF_CPP_MIN_LOG_LEVEL"] == QUIET else nullcontext():
    import keras
    import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise InputError(
        f"Assay trains with Keras on TensorFlow or JAX, but the Keras backend is {keras.backend.backend()}; "
        "set KERAS_BACKEND to tensorflow or jax"
    )

log = logging.getLogger(__name__)

Tensor = Any
"""A tensor of the backend, or a nest of tensors (dictionaries and lists)."""
MIXED = "mixed_bfloat16"
"""Keras's policy for `precision: mixed`: bfloat16 has float32's range, so that losses need no scaling."""


def configure(threads: int | None = None, deterministic: bool = True) -> None:
    """Set up TensorFlow in this process, before it is first used; later calls cannot change the threads.

    A GPU's memory is taken as it is needed, so that runs with a fraction of a GPU each can share it.

    Args:
        threads: CPU threads of one training run; None leaves the choice to TensorFlow.
        deterministic: make operations give the same bits every time, which can cost speed on a GPU. Once on,
            it stays on in this process.
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
            log.warning("TensorFlow has started with %s threads and cannot change to %s", now, threads)


def compiles(option: str) -> bool:
    """Return whether XLA compiles the network.

    Args:
        option: `xla` or `off` decide; `auto` is on where there is a GPU and off on a CPU, where a step of a
            small network takes two to four times as long with it.
    """
    return option == "xla" or (option == "auto" and bool(tf.config.list_physical_devices("GPU")))


def jitted(function: Callable[..., Tensor], on: bool) -> Callable[..., Tensor]:
    """Return a part of a compiled function, itself compiled by XLA if `on`, whatever stands around it."""
    return tf.function(function, jit_compile=True, autograph=False) if on else function


def value_and_gradient(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], at: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the value of a function, what it gives besides, and its gradient.

    Args:
        function: takes one tensor, returns a scalar and anything else.
        at: where the gradient is taken.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(at)
        value, besides = function(at)
    return value, besides, tape.gradient(value, at)


def scan(
    body: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], state: Tensor, batches: Tensor
) -> tuple[Tensor, Tensor]:
    """Fold `body` over the first dimension of `batches`, inside a compiled function.

    Args:
        body: (state, batch) to (next state, output); an output is one float32 tensor.
        state: a nest of tensors whose shapes stay.
        batches: a nest of tensors with the same first dimension.

    Returns:
        the last state, and the outputs stacked.
    """
    steps = tf.shape(tf.nest.flatten(batches)[0])[0]
    outputs = tf.TensorArray("float32", size=steps)

    def advance(i: Tensor, state: Tensor, outputs: tf.TensorArray) -> tuple[Tensor, Tensor, tf.TensorArray]:
        state, output = body(state, tf.nest.map_structure(lambda every: every[i], batches))
        return i + 1, state, outputs.write(i, output)

    start = (tf.constant(0), state, outputs)
    _, state, outputs = tf.while_loop(lambda i, state, outputs: i < steps, advance, start)
    return state, outputs.stack()


class Compiled:
    """A function of nests of tensors, traced once: at its first call, for the shapes that it then gets.

    Args:
        function: what is compiled.
        open_dimensions: for each argument a number, or a dictionary of numbers by key: how many leading
            dimensions of its arrays may differ from call to call. A change of anything else is an error.
    """

    def __init__(self, function: Callable[..., Tensor], *open_dimensions: Any) -> None:
        self._function = function
        self._open_dimensions = open_dimensions
        self._traced: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function gives, as tensors."""
        if self._traced is None:
            signature = tuple(map(_signature, arguments, self._open_dimensions))
            function = tf.function(self._function, input_signature=signature, autograph=False)
            self._traced = function.get_concrete_function()
        return self._traced(*arguments)


def _signature(argument: Any, dimensions: Any) -> Any:
    """Return the nest of shapes and types of an argument, with its first dimensions left open."""
    if isinstance(dimensions, dict):
        return {key: _signature(part, dimensions[key]) for key, part in argument.items()}

    def spec(array: Any) -> tf.TensorSpec:
        shape = (None,) * min(dimensions, len(array.shape)) + tuple(array.shape[dimensions:])
        return tf.TensorSpec(shape, tf.as_dtype(array.dtype))

    return tf.nest.map_structure(spec, argument)


def resident(array: np.ndarray) -> Tensor:
    """Return the array as a tensor on the device."""
    return tf.convert_to_tensor(array)


def accelerated(model: keras.Model, precision: str, xla: bool) -> keras.Model:
    """Return a copy of a model, with variables in the same order, that trains faster.

    Keras normalises batches by elementary operations, and TensorFlow has one for it: a fifth less time per
    step of a CIFAR ResNet on a CPU, and nearly half the time to trace.

    Args:
        model: float32.
        precision: `float32`, or `mixed`: convolutions and products in bfloat16, weights and averages in float32.
        xla: whether XLA will compile it.
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
    """Batch normalisation over (batch, height, width) as one operation; same figures up to rounding."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        """Return the normalised inputs; in training also move the averages."""
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
    """Max pooling as the maximum of shifted slices, which XLA can train deterministically.

    The gradient goes to the first of equal values, as TensorFlow's own does.
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
    """Return how many pixels `padding="same"` adds before and after."""
    missing = max((-(-size // stride) - 1) * stride + window - size, 0)
    return missing // 2, missing - missing // 2
