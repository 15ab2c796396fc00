"""Optimizers: their fields, ranges and update rules.

A rule is a pure function on one flat vector of all weights. Rates, momentum, decay and the clipping norm are
numbers that it gets, so runs that differ only in them share a compiled step; the fields in `structural` are
compiled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field

from trainables.registration.fields import Frozen, Range
from trainables.registration.registry import Registry

if TYPE_CHECKING:
    from typing import Any

    Tensor = Any

OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer")

Decay = Literal["l2", "decoupled"]
Rate = Annotated[float, Field(gt=0), Range(1e-4, 1e-2, log=True)]
Fading = Annotated[float, Field(ge=0, lt=1)]
AddedDecay = Annotated[float, Field(ge=0), Range(1e-5, 1e-2, log=True)]


class Optimizer(Frozen):
    """An optimizer's settings, and its rule: clip, decay, and a step in the direction that subclasses give.

    Weight decay is `l2`, part of the gradient before the rule sees it, or `decoupled`, weights shrunk beside
    the rule (Loshchilov and Hutter, arXiv 1711.05101); both are multiplied by the learning rate and follow its
    schedule. It spares biases and batch norm unless `decay_all`. `clip_norm` is the largest norm of the whole
    gradient, before decay; a longer one is scaled down to it. A network's L2 penalty is `weight_decay` with
    `decay: l2` (half of it times the squared weights).
    """

    summary: ClassVar[str] = ""
    slots: ClassVar[int] = 0
    """Vectors that the rule carries from step to step; zero at the start."""
    structural: ClassVar[tuple[str, ...]] = ("decay",)
    """Fields that change the compiled step, beside whether anything is clipped."""
    learning_rate: Rate = 1e-3
    weight_decay: AddedDecay = 0.0
    decay: Annotated[Decay, Field(description="l2: part of the gradient; decoupled: beside the rule")] = "l2"
    decay_all: Annotated[bool, Field(description="decay biases and batch norm, too")] = False
    clip_norm: Annotated[float, Field(gt=0, description="largest norm of the gradient")] | None = None

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))

    def structure(self) -> Self:
        """Return the optimizer with all its numbers at their defaults: what a compiled step depends on."""
        kept = {name: getattr(self, name) for name in self.structural}
        return type(self)(**kept, clip_norm=None if self.clip_norm is None else 1.0)

    def rates(self) -> dict[str, float]:
        """Return the numbers that the rule gets, except the learning rate, which has a schedule."""
        clip = {} if self.clip_norm is None else {"clip_norm": self.clip_norm}
        return {"weight_decay": self.weight_decay, **clip, **self.own_rates()}

    def own_rates(self) -> dict[str, float]:
        """Return the numbers that only this rule has."""
        return {}

    def update(
        self, weights: Tensor, gradient: Tensor, slots: list[Tensor], decayed: Tensor, rates: dict[str, Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the weights and slots after a step.

        Args:
            weights: float32 (p,), all trainable weights.
            gradient: float32 (p,).
            slots: as many float32 (p,) as `Optimizer.slots` says.
            decayed: float32 (p,), 1 where weight decay applies, else 0.
            rates: scalars: what `rates` returned, `learning_rate`, and `step` (from 1, float32).
        """
        if self.clip_norm is not None:
            gradient = gradient * clipping(gradient, rates["clip_norm"])
        decay = rates["weight_decay"] * decayed * weights
        if self.decay == "l2":
            direction, slots = self.direction(gradient + decay, slots, rates)
        else:
            direction, slots = self.direction(gradient, slots, rates)
            direction = direction + decay
        return weights - rates["learning_rate"] * direction, slots

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the step for a learning rate of 1, float32 (p,), and the slots after it (see `update`)."""
        raise TypeError("this optimizer has no update rule")


def clipping(gradient: Tensor, most: Tensor) -> Tensor:
    """Return the factor, at most 1, that brings the norm of a gradient down to `most`.

    A gradient with an element that is not a number gives no number, so that a run that diverges is seen to.
    """
    from keras import ops

    norm: Tensor = ops.sqrt(ops.sum(gradient * gradient))
    return most / ops.maximum(norm, most)
