"""Building blocks of the networks: convolution with or without batch norm, pooling, and classification layers.

Keras is imported only when a network is built.
"""

from __future__ import annotations

from typing import Any

Tensor = Any


def scaled(width: int, factor: float) -> int:
    """Return a number of channels multiplied by a factor, rounded, at least 1.

    Examples:
        >>> scaled(16, 0.25), scaled(16, 0.01)
        (4, 1)
    """
    return max(1, round(width * factor))


def convolve(x: Tensor, width: int, size: int, name: str, *, stride: int = 1, bias: bool = False) -> Tensor:
    """Apply a `size` x `size` convolution, He-normal, with equal padding on all sides also with a stride."""
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
    """Apply batch norm with the momentum 0.9 and epsilon 1e-5 of the CIFAR recipes."""
    from keras import layers

    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, scale=scale, name=f"{name}_norm")(x)


def relu(x: Tensor, name: str) -> Tensor:
    """Apply ReLU."""
    from keras import layers

    return layers.ReLU(name=f"{name}_relu")(x)


def convolve_relu(x: Tensor, width: int, size: int, name: str, *, stride: int = 1, norm: bool = True) -> Tensor:
    """Apply a convolution, batch norm if `norm` (otherwise a bias), and ReLU."""
    x = convolve(x, width, size, name, stride=stride, bias=not norm)
    return relu(normalise(x, name) if norm else x, name)


def pool(x: Tensor, size: int, stride: int, name: str) -> Tensor:
    """Apply max pooling; output sizes are rounded up."""
    from keras import layers

    return layers.MaxPooling2D(size, strides=stride, padding="same", name=f"{name}_pool")(x)


def average(x: Tensor) -> Tensor:
    """Apply global average pooling; return (n, channels)."""
    from keras import layers

    return layers.GlobalAveragePooling2D(name="pool")(x)


def dense_relu(x: Tensor, width: int, name: str) -> Tensor:
    """Apply a dense layer with ReLU, He-normal."""
    from keras import layers

    return layers.Dense(width, activation="relu", kernel_initializer="he_normal", name=name)(x)


def drop(x: Tensor, rate: float, name: str = "dropout") -> Tensor:
    """Apply dropout, or return the input if the rate is zero."""
    from keras import layers

    return layers.Dropout(rate, name=name)(x) if rate else x


def flatten(x: Tensor) -> Tensor:
    """Flatten to (n, height x width x channels)."""
    from keras import layers

    return layers.Flatten(name="flatten")(x)


def classify(x: Tensor, classes: int, rate: float = 0.0) -> Tensor:
    """Apply dropout and a dense layer to features (n, channels); return logits (n, classes)."""
    from keras import layers

    return layers.Dense(classes, kernel_initializer="he_normal", name="logits")(drop(x, rate))
