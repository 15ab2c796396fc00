"""VGG networks (Simonyan and Zisserman, arXiv 1409.1556): for small images, as published, and with ReLU before norm."""

from __future__ import annotations

from typing import Any, ClassVar

from trainables.models.base import MODELS, Architecture, Dropout, Width
from trainables.models.blocks import (
    average,
    classify,
    convolve,
    convolve_relu,
    dense_relu,
    drop,
    flatten,
    normalise,
    pool,
    relu,
    scaled,
)

Tensor = Any
STAGES = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}
"""Widths of the 3x3 convolutions of each stage by depth; each stage ends with max pooling."""


class Vgg(Architecture):
    """Base class: five stages of 3x3 convolutions. Pooling rounds sizes up and is omitted for maps of one pixel."""

    paper: ClassVar[str] = "arXiv 1409.1556"
    width: Width = 1.0
    batch_norm: bool = True

    @property
    def depth(self) -> int:
        """Number of layers with weights, including the three dense layers of the published network."""
        return int(self.name.removeprefix("vgg").split("_", maxsplit=1)[0])

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 8

    def features(self, x: Tensor) -> Tensor:
        """Return the feature maps after the last pooling layer."""
        for stage, widths in enumerate(STAGES[self.depth], start=1):
            for number, width in enumerate(widths, start=1):
                x = self.convolution(x, scaled(width, self.width), f"stage{stage}_{number}")
            if max(x.shape[1:3]) > 1:
                x = pool(x, 2, 2, f"stage{stage}")
        return x

    def convolution(self, x: Tensor, width: int, name: str) -> Tensor:
        """Apply a convolution with its norm and activation."""
        return convolve_relu(x, width, 3, name, norm=self.batch_norm)


class SmallVgg(Vgg):
    """VGG for small images: batch norm, global average pooling, one dense layer."""

    about: ClassVar[str] = "VGG-{0.depth} for small images: batch norm, one dense layer"

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        return classify(average(self.features(image)), classes, self.dropout)


class PublishedVgg(Vgg):
    """VGG as published: no batch norm, two dense layers of 4096, each followed by dropout 0.5."""

    about: ClassVar[str] = "VGG-{0.depth} as published: no batch norm, two dense layers of 4096, dropout 0.5"
    batch_norm: bool = False
    dropout: Dropout = 0.5

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        x = flatten(self.features(image))
        x = drop(dense_relu(x, scaled(4096, self.width), "dense1"), self.dropout, "dropout1")
        return classify(dense_relu(x, scaled(4096, self.width), "dense2"), classes, self.dropout)


class ReluNormVgg(Vgg):
    """The convolutions of VGG-13, each followed by ReLU and then batch norm without scale; dense 512 and 256."""

    about: ClassVar[str] = "VGG-{0.depth} with batch norm after the ReLU, dense 512 and 256"

    def convolution(self, x: Tensor, width: int, name: str) -> Tensor:
        """Apply a convolution, ReLU, and batch norm without scale."""
        x = relu(convolve(x, width, 3, name, bias=True), name)
        return normalise(x, name, scale=False) if self.batch_norm else x

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        x = dense_relu(flatten(self.features(image)), scaled(512, self.width), "dense1")
        x = dense_relu(drop(x, self.dropout, "dropout1"), scaled(256, self.width), "dense2")
        return classify(x, classes, self.dropout)


for _depth in STAGES:
    MODELS.register(f"vgg{_depth}")(SmallVgg)
    MODELS.register(f"vgg{_depth}_published")(PublishedVgg)
MODELS.register("vgg13_relu_norm")(ReluNormVgg)
