"""What the families have in common: convolution with or without batch norm, pools, and the last layers.

Keras is imported where a network is built, not before.
"""

from __future__ import annotations

from typing import Any

Tensor = Any


def scaled(width: int, factor: float) -> int:
    """Return a number of channels times the factor, at least 1."""
    return max(1, round(width * factor))


def convolve(x: Tensor, width: int, size: int, name: str, *, stride: int = 1, bias: bool = False) -> Tensor:
    """Return a `size` x `size` convolution, He-normal, padded alike on all sides also where it has a stride."""
    from keras import layers

    if stride > 1 and size > 1:
        x = layers.ZeroPadding2D((size - 1) // 2, name=f"{name}_pad")(x)
    return layers.Conv2D(
        width,
        size,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=bias,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)


def normalise(x: Tensor, name: str, *, scale: bool = True) -> Tensor:
    """Return batch norm as the CIFAR recipes have it: momentum 0.9, epsilon 1e-5."""
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, scale=scale, name=f"{name}_norm")(x)


def relu(x: Tensor, name: str) -> Tensor:
    """Return the positive part."""
    from keras import layers

    return layers.ReLU(name=f"{name}_relu")(x)


def convolve_relu(x: Tensor, width: int, size: int, name: str, *, stride: int = 1, norm: bool = True) -> Tensor:
    """Return convolution, batch norm if `norm` (else a bias), and ReLU."""
    x = convolve(x, width, size, name, stride=stride, bias=not norm)
    return relu(normalise(x, name) if norm else x, name)


def pool(x: Tensor, size: int, stride: int, name: str) -> Tensor:
    """Return the largest of each window; maps round up."""
    from keras import layers

    return layers.MaxPooling2D(size, strides=stride, padding="same", name=f"{name}_pool")(x)


def average(x: Tensor) -> Tensor:
    """Return the mean of each channel, (n, channels)."""
    from keras import layers

    return layers.GlobalAveragePooling2D(name="pool")(x)


def dense_relu(x: Tensor, width: int, name: str) -> Tensor:
    """Return a dense layer with ReLU, He-normal."""
    from keras import layers

    return layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=name)(x)


def drop(x: Tensor, rate: float, name: str = "dropout") -> Tensor:
    """Return dropout, or the input where the rate is zero."""
    from keras import layers

    return layers.Dropout(rate, name=name)(x) if rate else x


def flatten(x: Tensor) -> Tensor:
    """Return (n, height x width x channels)."""
    from keras import layers

    return layers.Flatten(name="flatten")(x)


def classify(x: Tensor, classes: int, rate: float = 0.0) -> Tensor:
    """Return the logits of features (n, channels), after dropout."""
    from keras import layers

    return layers.Dense(classes, kernel_initializer="he_normal", name="logits")(drop(x, rate))
