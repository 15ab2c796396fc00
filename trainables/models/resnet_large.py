"""ResNet-18, 34 and 50 (He et al., arXiv 1512.03385, table 1), for large or small images."""

from __future__ import annotations

from typing import Any, ClassVar

from trainables.models.base import MODELS, Architecture, Stem, Width
from trainables.models.blocks import average, classify, convolve, convolve_relu, normalise, pool, relu, scaled

Tensor = Any
WIDTHS = (64, 128, 256, 512)
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Blocks per stage by depth."""
EXPANSION = 4
"""Ratio of the output width to the inner width of a bottleneck block, used from 50 layers."""


class ResNet(Architecture):
    """Four stages of blocks; shortcuts are 1x1 convolutions where the shape changes (option B of the paper).

    `stem: imagenet` is 7x7 with stride 2 and max pooling, which reduces 32x32 images to 1x1 maps; `stem: cifar` is 3x3
    with stride 1 and no pooling. The stride of a bottleneck block is in the 3x3 convolution.
    """

    about: ClassVar[str] = "ResNet-{0.depth}, with `stem: imagenet` or `stem: cifar`"
    paper: ClassVar[str] = "arXiv 1512.03385"
    width: Width = 1.0
    stem: Stem = "imagenet"

    @property
    def depth(self) -> int:
        """Number of layers with weights."""
        return int(self.name.removeprefix("resnet"))

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 32 if self.stem == "imagenet" else 8

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        first = scaled(WIDTHS[0], self.width)
        if self.stem == "imagenet":
            x = pool(convolve_relu(image, first, 7, "stem", stride=2), 3, 2, "stem")
        else:
            x = convolve_relu(image, first, 3, "stem")
        block = _bottleneck if self.depth >= 50 else _basic
        for stage, (width, count) in enumerate(zip(WIDTHS, BLOCKS[self.depth], strict=True), start=1):
            for number in range(1, count + 1):
                stride = 2 if stage > 1 and number == 1 else 1
                x = block(x, scaled(width, self.width), stride, f"stage{stage}_block{number}")
        return classify(average(x), classes, self.dropout)


def _basic(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    """Apply a basic block: two 3x3 convolutions plus the shortcut."""
    y = convolve_relu(x, width, 3, f"{name}_a", stride=stride)
    y = normalise(convolve(y, width, 3, f"{name}_b"), f"{name}_b")
    return _sum(x, y, stride, name)


def _bottleneck(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    """Apply a bottleneck block: a 1x1, a 3x3 and a widening 1x1 convolution plus the shortcut."""
    y = convolve_relu(x, width, 1, f"{name}_a")
    y = convolve_relu(y, width, 3, f"{name}_b", stride=stride)
    y = normalise(convolve(y, EXPANSION * width, 1, f"{name}_c"), f"{name}_c")
    return _sum(x, y, stride, name)


def _sum(x: Tensor, y: Tensor, stride: int, name: str) -> Tensor:
    from keras import layers

    if stride > 1 or x.shape[-1] != y.shape[-1]:
        x = normalise(convolve(x, y.shape[-1], 1, f"{name}_shortcut", stride=stride), f"{name}_shortcut")
    return relu(layers.Add(name=f"{name}_add")([x, y]), name)


for _depth in BLOCKS:
    MODELS.register(f"resnet{_depth}")(ResNet)
