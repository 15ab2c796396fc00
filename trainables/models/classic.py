"""Small and early networks: LeNet-5, AlexNet, and two convolutions with a global average."""

from __future__ import annotations

from typing import Any, ClassVar

from trainables.models.base import MODELS, Architecture, Dropout, Stem, Width
from trainables.models.blocks import average, classify, convolve_relu, dense_relu, drop, flatten, scaled

Tensor = Any


@MODELS.register("lenet")
class LeNet(Architecture):
    """LeNet-5 (LeCun et al. 1998) with tanh, average pooling, fully connected maps, and logits instead of distances.

    The first convolution keeps the image size, as if 28x28 images were padded to 32x32.
    """

    about: ClassVar[str] = "LeNet-5: two 5x5 convolutions, three dense layers, tanh"
    paper: ClassVar[str] = "doi 10.1109/5.726791"
    width: Width = 1.0

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 12

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        from keras import layers

        x = image
        for number, (width, padding) in enumerate(((6, "same"), (16, "valid")), start=1):
            name, channels = f"conv{number}", scaled(width, self.width)
            x = layers.Conv2D(channels, 5, padding=padding, activation="tanh", name=name)(x)
            x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
        x = flatten(x)
        for number, width in enumerate((120, 84), start=1):
            x = layers.Dense(scaled(width, self.width), activation="tanh", name=f"dense{number}")(x)
        return classify(x, classes, self.dropout)


@MODELS.register("alexnet")
class AlexNet(Architecture):
    """Single-column AlexNet (arXiv 1404.5997) without local response norm; dropout 0.5 before each large dense layer.

    `stem: cifar` replaces the first convolution, 11x11 with stride 4, by 3x3 with stride 1.
    """

    about: ClassVar[str] = "single-column AlexNet, with `stem: imagenet` or `stem: cifar`"
    paper: ClassVar[str] = "arXiv 1404.5997"
    dropout: Dropout = 0.5
    width: Width = 1.0
    batch_norm: bool = False
    stem: Stem = "imagenet"

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 57 if self.stem == "imagenet" else 15

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        size, stride = (11, 4) if self.stem == "imagenet" else (3, 1)
        x = _pool(self._convolution(image, 64, size, "conv1", stride), "conv1")
        x = _pool(self._convolution(x, 192, 5, "conv2"), "conv2")
        for number, width in ((3, 384), (4, 256), (5, 256)):
            x = self._convolution(x, width, 3, f"conv{number}")
        x = flatten(_pool(x, "conv5"))
        for number in (1, 2):
            x = drop(x, self.dropout, f"dropout{number}")
            x = dense_relu(x, scaled(4096, self.width), f"dense{number}")
        return classify(x, classes)

    def _convolution(self, x: Tensor, width: int, size: int, name: str, stride: int = 1) -> Tensor:
        return convolve_relu(x, scaled(width, self.width), size, name, stride=stride, norm=self.batch_norm)


def _pool(x: Tensor, name: str) -> Tensor:
    """Apply max pooling with overlapping windows; output sizes are rounded down."""
    from keras import layers

    return layers.MaxPooling2D(3, strides=2, name=f"{name}_pool")(x)


@MODELS.register("small_cnn")
class SmallCnn(Architecture):
    """Two 5x5 convolutions of widths 16 and 32 with max pooling, dropout 0.2, global average pooling, and dense 128.

    It has 18 762 weights for ten classes of grey images. Weights are Glorot-uniform, Keras's default.
    """

    about: ClassVar[str] = "two 5x5 convolutions, global average, dense 128"
    dropout: Dropout = 0.2
    width: Width = 1.0

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 16

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        from keras import layers

        x = image
        for number, width in enumerate((16, 32), start=1):
            x = layers.Conv2D(scaled(width, self.width), 5, activation="relu", name=f"conv{number}")(x)
            x = layers.MaxPooling2D(2, name=f"conv{number}_pool")(x)
        x = average(drop(x, self.dropout))
        x = layers.Dense(scaled(128, self.width), activation="relu", name="dense")(x)
        return layers.Dense(classes, name="logits")(x)
