"""Base class of optimizers: fields, search ranges and update rule.

An update rule is a pure function of one flat vector of all weights. Learning rate, momentum, decay and clipping norm
are arguments, so that runs that differ only in these share a compiled step; fields in `structural` are compiled in.
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
Rate = Annotated[float, Field(gt=0, le=1000), Range(1e-4, 1e-2, log=True)]
DecayRate = Annotated[float, Field(ge=0, lt=1)]
AddedDecay = Annotated[float, Field(ge=0, le=1000), Range(1e-5, 1e-2, log=True)]


class Optimizer(Frozen):
    """Base class of optimizers: clipping, weight decay, and a step in the direction that subclasses define.

    Weight decay is either `l2`, added to the gradient, or `decoupled`, applied to the weights separately (Loshchilov
    and Hutter, arXiv 1711.05101); both are scaled by the scheduled learning rate. Biases and batch normalisation are
    exempt unless `decay_all`. `clip_norm` limits the global norm of the gradient before decay. An L2 penalty of
    `weight_decay` / 2 times the squared weights is the same as `weight_decay` with `decay: l2`.
    """

    summary: ClassVar[str] = ""
    slots: ClassVar[int] = 0
    """Number of state vectors of the rule, which start at zero."""
    structural: ClassVar[tuple[str, ...]] = ("decay",)
    """Fields that are compiled in, in addition to whether the gradient is clipped."""
    learning_rate: Rate = 1e-3
    weight_decay: AddedDecay = 0.0
    decay: Annotated[Decay, Field(description="l2: added to the gradient; decoupled: separate")] = "l2"
    decay_all: Annotated[bool, Field(description="also decay biases and batch normalisation")] = False
    clip_norm: Annotated[float, Field(gt=0, le=1e6, description="largest global norm of the gradient")] | None = None

    def __hash__(self) -> int:
        return hash((type(self), self.model_dump_json()))

    def structure(self) -> Self:
        """Return the optimizer with all numbers at their defaults; the compiled step depends on nothing else."""
        kept = {name: getattr(self, name) for name in self.structural}
        return type(self)(**kept, clip_norm=None if self.clip_norm is None else 1.0)

    def rates(self) -> dict[str, float]:
        """Return the numeric arguments of the rule, except the learning rate, which follows a schedule."""
        clip = {} if self.clip_norm is None else {"clip_norm": self.clip_norm}
        return {"weight_decay": self.weight_decay, **clip, **self.own_rates()}

    def own_rates(self) -> dict[str, float]:
        """Return the numeric arguments that are specific to this rule."""
        return {}

    def update(
        self, weights: Tensor, gradient: Tensor, slots: list[Tensor], decayed: Tensor, rates: dict[str, Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return weights and slots after a step.

        Args:
            weights: float32 (p,), all trainable weights.
            gradient: float32 (p,).
            slots: state vectors, `Optimizer.slots` float32 (p,).
            decayed: float32 (p,), 1 where weight decay applies, else 0.
            rates: scalars: the result of `rates`, `learning_rate`, and `step` (from 1, float32).
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
        """Return the direction of the step, float32 (p,), and the slots after it (see `update`)."""
        raise TypeError("this optimizer does not define an update rule")


def clipping(gradient: Tensor, most: Tensor) -> Tensor:
    """Return the factor, at most 1, that scales a gradient to a norm of at most `most`.

    The factor of a gradient with NaN is NaN, so that divergence is detected.
    """
    from keras import ops

    norm: Tensor = ops.sqrt(ops.sum(gradient * gradient))
    return most / ops.maximum(norm, most)
