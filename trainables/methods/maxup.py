"""MaxUp: train on the worst of several augmented copies; its control, the mean; and the maximum over a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainables.methods.base import Copies, Objective
from trainables.methods.registry import METHODS
from trainables.registration.fields import Choice, Range


@METHODS.register("maxup")
class Maxup(Copies):
    """MaxUp (Gong et al. 2020): the mean over examples of the maximum over m copies of the loss.

    All copies go forward in training mode, updating nothing; then the worst copy of each is trained on. With
    `reduction: softmax` all copies are trained on, and those of an example are weighted by the softmax of
    loss / temperature: the gradient of the smooth maximum T log mean exp(loss / T). A small temperature comes
    close to the maximum, a large one to `maxup_mean`.
    """

    summary: ClassVar[str] = "the worst of m augmented copies of each image"
    paper: ClassVar[str] = "arXiv 2002.09024"
    name: Literal["maxup"] = "maxup"
    reduction: Annotated[
        Literal["max", "softmax"], Field(description="the worst copy alone, or all by a softmax of their losses")
    ] = "max"
    temperature: Annotated[
        float,
        Field(gt=0, le=1000, description="of the softmax, in nats; searched where the reduction may be `softmax`"),
        Range(0.05, 5.0, log=True),
    ] = 1.0

    @property
    def objective(self) -> Objective:
        """Only the worst copy counts, or all by their losses."""
        return Objective(self.reduction, self.temperature)

    @property
    def cost(self) -> float:
        """m forward passes, then forward and backward on one copy; on all with softmax (see `Method.cost`)."""
        return (self.m + 3) / 3 if self.m > 1 and self.reduction == "max" else float(self.m)

    @classmethod
    def searched(cls, settings: Mapping[str, Any]) -> dict[str, Range | Choice]:
        """Return what is searched: the temperature only where it may matter (see `Method.searched`)."""
        marks = super().searched(settings)
        reduction = settings.get("reduction", cls.model_fields["reduction"].default)
        options = reduction.options if isinstance(reduction, Choice) else (reduction,)
        if "temperature" not in settings and "softmax" not in options:
            del marks["temperature"]
        return marks


@METHODS.register("maxup_mean")
class MaxupMean(Copies):
    """The control of MaxUp: the same copies, and the mean of their losses in place of the maximum."""

    summary: ClassVar[str] = "the mean over the copies that maxup takes the worst of: its control"
    name: Literal["maxup_mean"] = "maxup_mean"


@METHODS.register("batch_max")
class BatchMax(Copies):
    """A diagnostic: the largest loss of the whole batch and all copies alone is trained on.

    This is what becomes of MaxUp where the maximum is taken over a batch. With one image in a batch it *is*
    MaxUp; with many it is not, and makes no claims.
    """

    summary: ClassVar[str] = "diagnostic, not in contrasts: only the largest loss of a whole batch"
    name: Literal["batch_max"] = "batch_max"
    claims: ClassVar[bool] = False

    @property
    def objective(self) -> Objective:
        """One copy of one image counts."""
        return Objective("batch_max")
