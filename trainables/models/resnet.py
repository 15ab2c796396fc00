"""Residual networks for small images (He et al., arXiv 1512.03385, section 4.2, and arXiv 1603.05027)."""

from __future__ import annotations

from typing import Any, ClassVar

from trainables.models.base import MODELS, Architecture, Width
from trainables.models.blocks import average, classify, convolve, normalise, relu, scaled

Tensor = Any
WIDTHS = (16, 32, 64)
BLOCKS = {8: 1, 20: 3, 32: 5, 44: 7, 56: 9, 110: 18}
"""Blocks per stage, n, by depth, 6n + 2."""


class CifarResNet(Architecture):
    """Three stages of blocks of two 3x3 convolutions.

    Shortcuts are identities. Where the width doubles, they take every second pixel and pad with zero channels (option A
    of the paper), so they have no weights.
    """

    width: Width = 1.0

    @property
    def depth(self) -> int:
        """Number of layers with weights."""
        return int(self.name.removeprefix("resnet").removesuffix("_v2"))

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return 8

    def stages(self) -> list[tuple[int, int, str]]:
        """Return width, stride and name of each block.

        Examples:
            >>> ResNetV1(name="resnet8").stages()
            [(16, 1, 'stage1_block1'), (32, 2, 'stage2_block1'), (64, 2, 'stage3_block1')]
        """
        return [
            (scaled(width, self.width), 2 if stage > 1 and block == 1 else 1, f"stage{stage}_block{block}")
            for stage, width in enumerate(WIDTHS, start=1)
            for block in range(1, BLOCKS[self.depth] + 1)
        ]


class ResNetV1(CifarResNet):
    """Residual network with convolution, batch norm and ReLU, and a ReLU after each sum."""

    about: ClassVar[str] = "ResNet-{0.depth} for small images"
    paper: ClassVar[str] = "arXiv 1512.03385"

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        from keras import layers

        x = relu(normalise(convolve(image, scaled(WIDTHS[0], self.width), 3, "stem"), "stem"), "stem")
        for width, stride, name in self.stages():
            y = normalise(convolve(x, width, 3, f"{name}_a", stride=stride), f"{name}_a")
            y = relu(y, f"{name}_a")
            y = normalise(convolve(y, width, 3, f"{name}_b"), f"{name}_b")
            x = shortcut(x, width, stride, f"{name}_shortcut")
            x = relu(layers.Add(name=f"{name}_add")([x, y]), name)
        return classify(average(x), classes, self.dropout)


class ResNetV2(CifarResNet):
    """Pre-activation residual network: batch norm and ReLU precede each convolution, and sums are not transformed."""

    about: ClassVar[str] = "ResNet-{0.depth} for small images, batch norm and ReLU before the convolutions"
    paper: ClassVar[str] = "arXiv 1603.05027"

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        from keras import layers

        x = convolve(image, scaled(WIDTHS[0], self.width), 3, "stem")
        for width, stride, name in self.stages():
            y = relu(normalise(x, f"{name}_a"), f"{name}_a")
            y = convolve(y, width, 3, f"{name}_a", stride=stride)
            y = relu(normalise(y, f"{name}_b"), f"{name}_b")
            y = convolve(y, width, 3, f"{name}_b")
            x = layers.Add(name=f"{name}_add")([shortcut(x, width, stride, f"{name}_shortcut"), y])
        return classify(average(relu(normalise(x, "last"), "last")), classes, self.dropout)


def shortcut(x: Tensor, width: int, stride: int, name: str) -> Tensor:
    """Return every `stride`-th pixel, padded on both sides with zero channels up to `width`."""
    from keras import layers

    if stride > 1:
        x = layers.MaxPooling2D(1, strides=stride, name=f"{name}_take")(x)
    height, breadth, channels = x.shape[1:]
    missing = width - channels
    if not missing:
        return x
    sides = (missing // 2, missing - missing // 2)
    x = layers.Reshape((height, breadth, channels, 1), name=f"{name}_open")(x)
    x = layers.ZeroPadding3D(((0, 0), (0, 0), sides), name=f"{name}_pad")(x)
    return layers.Reshape((height, breadth, width), name=f"{name}_close")(x)


for _depth in BLOCKS:
    MODELS.register(f"resnet{_depth}")(ResNetV1)
    MODELS.register(f"resnet{_depth}_v2")(ResNetV2)
