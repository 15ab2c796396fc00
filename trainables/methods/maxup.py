"""MaxUp: train on the worst of several augmented copies; and its control, the mean over the same copies."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.errors import InputError
from trainables.fields import Range
from trainables.methods.base import METHODS, Method

Copies = Annotated[
    int,
    Field(ge=1, le=64, description="augmented copies of each image in a step; 1 is plain training"),
    Range(2, 10, integer=True),
]


class _Copies(Method):
    """What both share: m copies, which need an augmentation that makes them differ."""

    m: Copies = 4

    @property
    def copies(self) -> int:
        return self.m

    def check(self, epochs: int, augmentation: str) -> None:
        """Refuse copies that cannot differ (see `Method.check`)."""
        name = type(self).model_fields["name"].default
        if augmentation == "none":
            raise InputError(
                f"{name} needs a base augmentation: with `augmentation: none` all copies of an image are "
                "the same; choose `crop` or `crop_flip`"
            )
        if self.m < 2:
            raise InputError(f"{name} needs at least two copies to differ from the baseline, but m={self.m}")


@METHODS.register("maxup")
class Maxup(_Copies):
    """MaxUp (Gong et al. 2020): the mean over examples of the maximum over m copies of the loss.

    All copies go forward in training mode, updating nothing; then the worst copy of each is trained on.
    """

    summary: ClassVar[str] = "the worst of m augmented copies of each image"
    paper: ClassVar[str] = "arXiv 2002.09024"
    name: Literal["maxup"] = "maxup"

    @property
    def reduction(self) -> Literal["mean", "max"]:
        """Only the worst copy counts."""
        return "max"

    @property
    def cost(self) -> float:
        """m forward passes, then forward and backward on one copy (see `Method.cost`)."""
        return (self.m + 3) / 3 if self.m > 1 else 1.0


@METHODS.register("maxup_mean")
class MaxupMean(_Copies):
    """The control of MaxUp: the same copies, and the mean of their losses in place of the maximum."""

    summary: ClassVar[str] = "the mean over the copies that maxup takes the worst of: its control"
    name: Literal["maxup_mean"] = "maxup_mean"

    @property
    def cost(self) -> float:
        """Forward and backward on m copies (see `Method.cost`)."""
        return float(self.m)
