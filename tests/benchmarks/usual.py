"""The usual ways of doing the same: `model.fit` on tf.data, hand-written loops, layers in the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.benchmarks.common import CLASSES, images, shape_of
from trainables.config import RunConfig

EXECUTION = 20
"""Most steps that `fit` executes at once, in the variants that do."""
if keras.backend.backend() != "tensorflow":
    tf.config.set_visible_devices([], "GPU")  # tf.data runs on the CPU, and leaves the memory of the GPU to the backend


def network(model: str, precision: str = "float32") -> keras.Model:
    """Return a new Keras model that gives logits; `mixed` sets Keras's policy while it is built."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "mixed" else "float32")
    try:
        return RunConfig.from_plain({"data": "digits", "model": model}).model.build(shape_of(model), CLASSES)
    finally:
        keras.config.set_dtype_policy(policy)


def compiled(
    model: keras.Model, sparse: bool = True, jit: bool | str = False, steps_per_execution: int = 1
) -> keras.Model:
    """Return the model, ready for `fit`; on JAX it is always compiled, since it would otherwise not be usable."""
    jit = jit if keras.backend.backend() == "tensorflow" else True
    losses = keras.losses
    loss = losses.SparseCategoricalCrossentropy if sparse else losses.CategoricalCrossentropy
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, loss(from_logits=True), jit_compile=jit, steps_per_execution=steps_per_execution)
    return model


def pipeline(model: str, augmentation: str, batch: int, steps: int) -> tf.data.Dataset:
    """Return shuffled batches of normalised images; augmented image by image, as in most tutorials."""
    shape = shape_of(model)
    arrays = images(batch * steps, shape)
    data = tf.data.Dataset.from_tensor_slices((arrays["images"], arrays["labels"])).shuffle(batch * steps)
    if augmentation == "crop_flip":
        data = data.map(lambda x, y: (crop_flip(x, shape), y), num_parallel_calls=tf.data.AUTOTUNE)
    data = data.batch(batch, drop_remainder=True)
    return data.map(lambda x, y: ((tf.cast(x, "float32") - 127) / 64, y), num_parallel_calls=tf.data.AUTOTUNE)


def crop_flip(image: Any, shape: tuple[int, int, int]) -> Any:
    """Return a randomly shifted and mirrored image."""
    by = shape[0] // 8
    padded = tf.pad(image, ((by, by), (by, by), (0, 0)))
    return tf.image.random_flip_left_right(tf.image.random_crop(padded, shape))


def fit(
    model: str,
    augmentation: str,
    batch: int,
    steps: int,
    jit: bool | str = False,
    at_once: bool = False,
    precision: str = "float32",
) -> Callable[[], Any]:
    """Return `fit` on tf.data.

    Args:
        model, augmentation, batch, steps: what is trained.
        jit: Keras's `jit_compile`, on TensorFlow.
        at_once: whether Keras executes several steps at once (`steps_per_execution`).
        precision: `float32` or `mixed`.
    """
    several = min(steps, EXECUTION) if at_once else 1
    net = compiled(network(model, precision), jit=jit, steps_per_execution=several)
    data = pipeline(model, augmentation, batch, steps).prefetch(tf.data.AUTOTUNE)
    return lambda: net.fit(data, epochs=1, verbose=0)


def bare(model: str, batch: int, steps: int) -> Callable[[], Any]:
    """Return a compiled loop of forward, backward and update on one batch that stays on the device."""
    net, optimizer = network(model), keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(net.trainable_variables)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(batch, *shape_of(model))).astype("float32"))
    y = tf.constant(np.arange(batch) % CLASSES)

    @tf.function
    def loop() -> Any:
        loss = tf.constant(0.0)
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                losses: Any = keras.losses.sparse_categorical_crossentropy(y, net(x, training=True), from_logits=True)
                loss = tf.reduce_mean(losses)
            optimizer.apply(tape.gradient(loss, net.trainable_variables))
        return loss

    return lambda: loop().numpy()


def keras_mixup(model: str, augmentation: str, batch: int, steps: int) -> Callable[[], Any]:
    """Return `fit` on a pipeline with `keras.layers.MixUp`."""
    mix = keras.layers.MixUp(alpha=0.2)

    def mixed(x: Any, y: Any) -> tuple[Any, Any]:
        out: Any = mix({"images": x, "labels": tf.one_hot(y, CLASSES)})
        return out["images"], out["labels"]

    data = pipeline(model, augmentation, batch, steps).map(mixed, num_parallel_calls=tf.data.AUTOTUNE)
    net, data = compiled(network(model), sparse=False), data.prefetch(tf.data.AUTOTUNE)
    return lambda: net.fit(data, epochs=1, verbose=0)


class AllCopies(keras.Model):
    """The usual MaxUp: all copies forward and backward, the maximum in the loss."""

    def __init__(self, net: keras.Model, copies: int) -> None:
        super().__init__()
        self.net, self.copies = net, copies

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the logits."""
        return self.net(inputs, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the mean over images of the largest loss over their copies."""
        losses: Any = keras.losses.sparse_categorical_crossentropy(y, y_pred, from_logits=True)
        return tf.reduce_mean(tf.reduce_max(tf.reshape(losses, (-1, self.copies)), axis=1))


def all_copies(model: str, batch: int, steps: int, copies: int) -> Callable[[], Any]:
    """Return `fit` with all copies of each image in the batch; a batch of 1 is one image at a time."""
    shape = shape_of(model)
    arrays = images(batch * steps, shape)
    data = tf.data.Dataset.from_tensor_slices((arrays["images"], arrays["labels"])).shuffle(batch * steps)

    def copied(x: Any, y: Any) -> tuple[Any, Any]:
        return tf.stack([crop_flip(x, shape) for _ in range(copies)]), tf.repeat(y, copies)

    data = data.map(copied, num_parallel_calls=tf.data.AUTOTUNE).unbatch().batch(batch * copies, drop_remainder=True)
    data = data.map(lambda x, y: ((tf.cast(x, "float32") - 127) / 64, y)).prefetch(tf.data.AUTOTUNE)
    net = AllCopies(network(model), copies)
    net.compile(keras.optimizers.SGD(0.01, momentum=0.9), jit_compile=False)
    return lambda: net.fit(data, epochs=1, verbose=0)
