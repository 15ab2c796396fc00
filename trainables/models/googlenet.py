"""GoogLeNet (Szegedy et al., arXiv 1409.4842) without auxiliary classifiers and local response norm."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainables.models.base import MODELS, Architecture, Dropout, Width
from trainables.models.blocks import average, classify, convolve_relu, pool, scaled

Tensor = Any
POOL = "pool"
LAYERS = (
    ("3a", (64, 96, 128, 16, 32, 32)),
    ("3b", (128, 128, 192, 32, 96, 64)),
    POOL,
    ("4a", (192, 96, 208, 16, 48, 64)),
    ("4b", (160, 112, 224, 24, 64, 64)),
    ("4c", (128, 128, 256, 24, 64, 64)),
    ("4d", (112, 144, 288, 32, 64, 64)),
    ("4e", (256, 160, 320, 32, 128, 128)),
    POOL,
    ("5a", (256, 160, 320, 32, 128, 128)),
    ("5b", (384, 192, 384, 48, 128, 128)),
)
"""Table 1 of the paper: widths of 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool projection."""
SMALLEST = {"imagenet": 32, "stride1": 16, "cifar": 8}
"""Smallest height and width of an image by stem, in pixels."""


@MODELS.register("googlenet")
class GoogLeNet(Architecture):
    """Nine inception modules; no batch norm by default, and dropout 0.4, as published.

    `stem: imagenet` is the published stem, 7x7 with stride 2; `stride1` is the same with stride 1, for smaller images;
    `cifar` is three 3x3 convolutions with stride 1 and no pooling. Weights are He-normal.
    """

    about: ClassVar[str] = "GoogLeNet without auxiliary classifiers, with `stem: imagenet`, `stride1` or `cifar`"
    paper: ClassVar[str] = "arXiv 1409.4842"
    dropout: Dropout = 0.4
    width: Width = 1.0
    batch_norm: bool = False
    stem: Annotated[
        Literal["imagenet", "stride1", "cifar"],
        Field(description="`imagenet` as published; `stride1` with first stride 1; `cifar` 3x3 without pooling"),
    ] = "imagenet"

    @property
    def smallest(self) -> int:
        """Smallest height and width in pixels."""
        return SMALLEST[self.stem]

    def logits(self, image: Tensor, classes: int) -> Tensor:
        """Return the logits (see `Architecture.logits`)."""
        x = self._stem(image)
        for number, layer in enumerate(LAYERS):
            x = (
                pool(x, 3, 2, f"pool{number}")
                if layer == POOL
                else self._inception(x, layer[1], f"inception{layer[0]}")
            )
        return classify(average(x), classes, self.dropout)

    def _convolution(self, x: Tensor, width: int, size: int, name: str, stride: int = 1) -> Tensor:
        return convolve_relu(x, scaled(width, self.width), size, name, stride=stride, norm=self.batch_norm)

    def _stem(self, x: Tensor) -> Tensor:
        if self.stem == "cifar":
            for number, width in enumerate((64, 64, 192), start=1):
                x = self._convolution(x, width, 3, f"stem{number}")
            return x
        x = pool(self._convolution(x, 64, 7, "stem1", stride=2 if self.stem == "imagenet" else 1), 3, 2, "stem1")
        x = self._convolution(self._convolution(x, 64, 1, "stem2"), 192, 3, "stem3")
        return pool(x, 3, 2, "stem3")

    def _inception(self, x: Tensor, widths: Any, name: str) -> Tensor:
        """Apply an inception module: four parallel branches."""
        from keras import layers

        one, three_reduce, three, five_reduce, five, project = widths
        return layers.Concatenate(name=name)(
            [
                self._convolution(x, one, 1, f"{name}_1x1"),
                self._convolution(self._convolution(x, three_reduce, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"),
                self._convolution(self._convolution(x, five_reduce, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
                self._convolution(pool(x, 3, 1, name), project, 1, f"{name}_project"),
            ]
        )
