"""Optimizers: their fields, ranges and update rules.

A rule is a pure function on one flat vector of all weights. Rates, momentum, decay and the clipping norm are
numbers that it gets, so runs that differ only in them share a compiled step; the fields in `structural` are
compiled in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.fields import Frozen, Range
from trainables.registry import Registry

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


@OPTIMIZERS.register("sgd")
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum: v = momentum v + g; w = w - rate v.

    Nesterov's steps by g + momentum v. The decay is `l2` by default, as in the papers whose recipes give one
    for SGD (1e-4 or 5e-4 for CIFAR), so their values keep their meaning.
    """

    summary: ClassVar[str] = "stochastic gradient descent with momentum; weight decay as part of the gradient"
    slots: ClassVar[int] = 1
    structural: ClassVar[tuple[str, ...]] = ("decay", "nesterov")
    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0), Range(0.005, 0.5, log=True)] = 0.1
    momentum: Annotated[Fading, Range(0.8, 0.98)] = 0.9
    nesterov: bool = False
    weight_decay: AddedDecay = 1e-4

    def own_rates(self) -> dict[str, float]:
        """Return the momentum (see `Optimizer.own_rates`)."""
        return {"momentum": self.momentum}

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the velocity, or with Nesterov the look ahead (see `Optimizer.direction`)."""
        velocity = rates["momentum"] * slots[0] + gradient
        return (gradient + rates["momentum"] * velocity if self.nesterov else velocity), [velocity]


class _Adaptive(Optimizer):
    """Adam's rule (Kingma and Ba, arXiv 1412.6980)."""

    slots: ClassVar[int] = 2
    beta_1: Fading = 0.9
    beta_2: Fading = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8

    def own_rates(self) -> dict[str, float]:
        """Return the averages' rates and epsilon (see `Optimizer.own_rates`)."""
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return mean over root mean square of the gradients (see `Optimizer.direction`)."""
        beta_1, beta_2, step = rates["beta_1"], rates["beta_2"], rates["step"]
        first = beta_1 * slots[0] + (1 - beta_1) * gradient
        second = beta_2 * slots[1] + (1 - beta_2) * gradient * gradient
        scale = (second / (1 - beta_2**step)) ** 0.5 + rates["epsilon"]
        return first / (1 - beta_1**step) / scale, [first, second]


@OPTIMIZERS.register("adam")
class Adam(_Adaptive):
    """Adam (Kingma and Ba, arXiv 1412.6980); no weight decay by default, and `l2` where one is set."""

    summary: ClassVar[str] = "Adam; weight decay, off by default, as part of the gradient"
    name: Literal["adam"] = "adam"


@OPTIMIZERS.register("adamw")
class AdamW(_Adaptive):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).

    w = w - rate (adam + weight_decay w). With `l2` it would be `adam`.
    """

    summary: ClassVar[str] = "Adam with decoupled weight decay"
    name: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0), Range(1e-4, 1.0, log=True)] = 1e-2
    decay: Decay = "decoupled"

    @model_validator(mode="after")
    def _is_decoupled(self) -> Self:
        if self.decay != "decoupled":
            raise ValueError("`adamw` has decoupled weight decay only; for `decay: l2` choose `adam`")
        return self


@OPTIMIZERS.register("rmsprop")
class RmsProp(Optimizer):
    """RMSprop (Tieleman and Hinton 2012), optionally with momentum on its steps; Keras's place for epsilon.

    s = rho s + (1 - rho) g^2; v = momentum v + g / sqrt(s + epsilon); w = w - rate v. No weight decay by
    default, and `l2` where one is set.
    """

    summary: ClassVar[str] = "RMSprop; weight decay, off by default, as part of the gradient"
    slots: ClassVar[int] = 2
    name: Literal["rmsprop"] = "rmsprop"
    momentum: Fading = 0.0
    rho: Fading = 0.9
    epsilon: Annotated[float, Field(gt=0)] = 1e-7

    def own_rates(self) -> dict[str, float]:
        """Return momentum, the average's rate and epsilon (see `Optimizer.own_rates`)."""
        return {"momentum": self.momentum, "rho": self.rho, "epsilon": self.epsilon}

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the momentum of gradients over their root mean square (see `Optimizer.direction`)."""
        square = rates["rho"] * slots[0] + (1 - rates["rho"]) * gradient * gradient
        velocity = rates["momentum"] * slots[1] + gradient / (square + rates["epsilon"]) ** 0.5
        return velocity, [square, velocity]
