"""Small networks for tests, as a user's own: `tests.support.networks:linear`."""

from __future__ import annotations

import keras
from keras import layers

LINEAR, NORMALISING, DROPOUT, CONVOLUTIONAL, NORMED_CONVOLUTION, PLAIN_CONVOLUTION = (
    f"tests.support.networks:{name}" for name in (
        "linear", "normalising", "dropout", "convolutional", "normed_convolution", "plain_convolution",
    )
)  # fmt: skip


def linear(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a softmax regression."""
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(classes)])


def normalising(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a softmax regression on normalised pixels."""
    normalise = layers.BatchNormalization(momentum=0.5, epsilon=1e-3)
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), normalise, layers.Dense(classes)])


def dropout(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a network with a hidden layer, batch norm and dropout."""
    steps = [layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input(image_shape), *steps, layers.Dense(classes)])


def convolutional(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a small network with a convolution, batch norm and a max pool with overlap."""
    steps = [layers.Conv2D(8, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    steps += [layers.MaxPooling2D(3, 2), layers.Flatten(), layers.Dropout(0.1), layers.Dense(classes)]
    return keras.Sequential([keras.Input(image_shape), *steps])


def normed_convolution(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a small network with a convolution and batch norm, without anything random."""
    steps = [layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(), layers.Flatten()]
    return keras.Sequential([keras.Input(image_shape), *steps, layers.Dense(classes)])


def plain_convolution(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a small network with a convolution and dropout, without batch norm."""
    steps = [layers.Conv2D(8, 3, strides=2, activation="relu"), layers.Flatten(), layers.Dropout(0.2)]
    return keras.Sequential([keras.Input(image_shape), *steps, layers.Dense(classes)])
