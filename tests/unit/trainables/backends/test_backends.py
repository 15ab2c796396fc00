"""TensorFlow backend: replaced layers against Keras's own, in values and gradients, and the XLA option."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from trainables.backends import tensorflow as tensorflow_backend


def gradient(model: keras.Model, images: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inputs = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs: Any = model(inputs, training=True)
        loss = tf.reduce_sum(outputs * weights)
    slope: Any = tape.gradient(loss, inputs)
    return outputs.numpy(), slope.numpy()


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (1, 2), (3, 1), ((2, 3), (3, 1))])
def test_max_pooling_for_xla_equals_keras(window: Any, stride: Any, padding: str) -> None:
    model = keras.Sequential([keras.Input((7, 9, 2)), layers.MaxPooling2D(window, stride, padding=padding)])
    rng = np.random.default_rng(0)
    images = rng.integers(-3, 4, (3, 7, 9, 2)).astype("float32")  # with ties
    weights = rng.normal(size=(3, *model.output_shape[1:])).astype("float32")
    (values, slopes), (expected, expected_slopes) = (
        gradient(each, images, weights) for each in (tensorflow_backend.accelerated(model, "float32", True), model)
    )
    assert np.array_equal(values, expected)
    assert np.allclose(slopes, expected_slopes, atol=1e-6)


def test_fused_batch_norm_equals_keras() -> None:
    model = keras.Sequential([keras.Input((5, 4, 3)), layers.BatchNormalization()])
    fast = tensorflow_backend.accelerated(model, "float32", False)
    fast.set_weights(model.get_weights())
    rng = np.random.default_rng(0)
    images, weights = (rng.normal(2, 3, (6, 5, 4, 3)).astype("float32") for _ in range(2))
    (values, slopes), (expected, expected_slopes) = (gradient(each, images, weights) for each in (fast, model))
    assert np.allclose(values, expected, atol=1e-5)
    assert np.allclose(slopes, expected_slopes, atol=1e-5)
    for one, other in zip(fast.get_weights(), model.get_weights(), strict=True):
        assert np.allclose(one, other, atol=1e-5)


def test_mixed_precision_keeps_weights_and_averages_in_float32() -> None:
    steps = [layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2)]
    model = keras.Sequential([keras.Input((5, 4, 3)), *steps])
    fast = tensorflow_backend.accelerated(model, "mixed", False)
    assert {variable.dtype for variable in fast.variables} == {"float32"}
    images = np.random.default_rng(0).normal(size=(6, 5, 4, 3)).astype("float32")
    outputs: Any = fast(images, training=True)
    assert outputs.dtype == "bfloat16"


def test_xla_is_off_on_a_cpu_unless_asked_for() -> None:
    assert tensorflow_backend.compiles("xla")
    assert not tensorflow_backend.compiles("off")
    assert tensorflow_backend.compiles("auto") == bool(tf.config.list_physical_devices("GPU"))


def test_a_loop_is_traced_once_for_all_numbers_of_images_and_steps() -> None:
    traces = []

    def body(state: Any, data: Any, constants: Any, batch: Any) -> tuple[Any, Any]:
        traces.append(batch)
        return state + constants["rate"] * batch["scale"], tf.reduce_sum(tf.gather(data["images"], batch["index"]))

    loop = tensorflow_backend.Loop(body, {"index": 2, "scale": 1})
    for steps, images, batch in ((2, 5, 3), (4, 9, 1)):
        data = {"images": np.arange(images, dtype="float32")}
        index = np.arange(steps * batch, dtype="int32").reshape(steps, batch) % images
        batches = {"index": index, "scale": np.ones(steps, "float32")}
        state, outputs = loop(np.float32(1), data, {"rate": np.float32(0.5)}, batches)
        assert state == 1 + 0.5 * steps
        assert np.array_equal(outputs, index.sum(axis=1))
    assert len(traces) == 1
