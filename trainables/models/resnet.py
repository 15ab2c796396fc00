"""Residual networks for small images (He et al., arXiv 1512.03385, section 4.2)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from trainables.models.base import MODELS, Architecture, Shape

if TYPE_CHECKING:
    import keras

WIDTHS = (16, 32, 64)
BLOCKS = {8: 1, 20: 3, 32: 5, 44: 7, 56: 9, 110: 18}
"""Blocks per stage of each depth: 6n + 2 layers."""


def build(blocks: int, image_shape: Shape, classes: int) -> keras.Model:
    """Return the v1 network: 3x3 stem, three stages of `blocks` blocks, global average, dense.

    Shortcuts are identities; where the width doubles they take every second pixel and pad with zero channels
    (option A of the paper), so they have no weights.
    """
    import keras
    from keras import layers

    image = keras.Input(image_shape, name="image")
    x = _convolution(image, WIDTHS[0], 1, "stem")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, width in enumerate(WIDTHS):
        for block in range(blocks):
            x = _block(x, width, 2 if stage > 0 and block == 0 else 1, f"stage{stage + 1}_block{block + 1}")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(image, logits, name=f"resnet{6 * blocks + 2}")


def _block(x: Any, width: int, stride: int, name: str) -> Any:
    """Return two convolutions plus the shortcut."""
    from keras import layers

    y = _convolution(x, width, stride, f"{name}_a")
    y = layers.ReLU(name=f"{name}_a_relu")(y)
    y = _convolution(y, width, 1, f"{name}_b")
    if stride > 1:
        x = _narrow_shortcut(x, width, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _convolution(x: Any, width: int, stride: int, name: str) -> Any:
    """Return a 3x3 convolution with batch norm, padded alike on all sides also where it has a stride."""
    from keras import layers

    if stride > 1:
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    x = layers.Conv2D(
        width,
        3,
        strides=stride,
        padding="same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)


def _narrow_shortcut(x: Any, width: int, stride: int, name: str) -> Any:
    """Return every `stride`-th pixel, with zero channels on both sides up to `width`."""
    from keras import layers

    x = layers.MaxPooling2D(1, strides=stride, name=f"{name}_take")(x)
    height, breadth, channels = x.shape[1:]
    missing = width - channels
    sides = (missing // 2, missing - missing // 2)
    x = layers.Reshape((height, breadth, channels, 1), name=f"{name}_open")(x)
    x = layers.ZeroPadding3D(((0, 0), (0, 0), sides), name=f"{name}_pad")(x)
    return layers.Reshape((height, breadth, width), name=f"{name}_close")(x)


for _depth, _blocks in BLOCKS.items():
    MODELS.register(f"resnet{_depth}")(
        Architecture(f"ResNet-{_depth} for small images", smallest=8, network=partial(build, _blocks))
    )
