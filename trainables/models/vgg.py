"""VGG for small images (Simonyan and Zisserman, arXiv 1409.1556), with batch norm and one dense layer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from trainables.models.base import MODELS, Architecture, Shape

if TYPE_CHECKING:
    import keras

STAGES = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}
"""Widths of the 3x3 convolutions of each stage; a max pool ends each stage."""


def build(depth: int, image_shape: Shape, classes: int) -> keras.Model:
    """Return the network; pools round up, and are left out where the map is down to one pixel."""
    import keras
    from keras import layers

    image = keras.Input(image_shape, name="image")
    x: Any = image
    for stage, widths in enumerate(STAGES[depth], start=1):
        for number, width in enumerate(widths, start=1):
            name = f"stage{stage}_{number}"
            x = layers.Conv2D(
                width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
            )(x)
            x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        if max(x.shape[1:3]) > 1:
            x = layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(classes, kernel_initializer="he_normal", name="logits")(x)
    return keras.Model(image, logits, name=f"vgg{depth}")


for _depth in STAGES:
    MODELS.register(f"vgg{_depth}")(
        Architecture(f"VGG-{_depth} for small images, with batch norm", smallest=8, network=partial(build, _depth))
    )
