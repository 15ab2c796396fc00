"""MaxUp: the worst of several augmented copies; its control, their mean; and a diagnostic, the batch maximum."""

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

    A forward pass over all copies in training mode, without updates, finds the worst copy of each example, which
    is then trained on. With `reduction: softmax` all copies are trained on, weighted by the softmax of
    loss / temperature over the copies of an example: the gradient of the smooth maximum T log mean exp(loss / T).
    It approaches the maximum at small temperatures and `maxup_mean` at large ones.
    """

    summary: ClassVar[str] = "the worst of m augmented copies of each image"
    paper: ClassVar[str] = "arXiv 2002.09024"
    only_if: ClassVar = {"temperature": ("reduction", "softmax")}
    name: Literal["maxup"] = "maxup"
    reduction: Annotated[
        Literal["max", "softmax"],
        Field(description="train on the worst copy only, or on all, weighted by a softmax of their losses"),
        Choice(("max", "softmax"), on_request=True),
    ] = "max"
    temperature: Annotated[
        float,
        Field(gt=0, le=1000, description="temperature of the softmax, in nats; searched if it has an effect"),
        Range(0.05, 5.0, log=True),
    ] = 1.0

    @property
    def objective(self) -> Objective:
        """Maximum over copies, or softmax (see `Objective`)."""
        return Objective(self.reduction, self.temperature)

    @property
    def cost(self) -> float:
        """m forward passes, then forward and backward on one copy, or on all with softmax (see `Method.cost`)."""
        return (self.m + 3) / 3 if self.m > 1 and self.reduction == "max" else float(self.m)

    @classmethod
    def searched(cls, settings: Mapping[str, Any]) -> dict[str, Range | Choice]:
        """Return the search space, with the temperature only if it has an effect (see `Method.searched`)."""
        marks = super().searched(settings)
        reduction = settings.get("reduction", cls.model_fields["reduction"].default)
        options = reduction.options if isinstance(reduction, Choice) else (reduction,)
        if "temperature" not in settings and "softmax" not in options:
            del marks["temperature"]
        return marks


@METHODS.register("maxup_mean")
class MaxupMean(Copies):
    """Control of MaxUp: the same copies, with the mean of their losses instead of the maximum."""

    summary: ClassVar[str] = "the mean over the copies that maxup takes the worst of: its control"
    name: Literal["maxup_mean"] = "maxup_mean"


@METHODS.register("batch_max")
class BatchMax(Copies):
    """Diagnostic: trains on the largest loss among all images and copies of a batch.

    This is the result of taking MaxUp's maximum over the batch instead of over the copies of each example. For a
    batch of one image it is MaxUp; for more it is not, and it takes part in no contrasts.
    """

    summary: ClassVar[str] = "diagnostic, not in contrasts: only the largest loss of a whole batch"
    name: Literal["batch_max"] = "batch_max"
    claims: ClassVar[bool] = False

    @property
    def objective(self) -> Objective:
        """Largest loss in the batch (see `Objective`)."""
        return Objective("batch_max")
