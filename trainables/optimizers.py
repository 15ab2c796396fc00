"""Optimizers: their fields, ranges and update rules.

A rule is a pure function on one flat vector of all weights. Rates, momentum and decay are numbers that it
gets, so runs that differ only in them share a compiled step. Weight decay spares biases and batch norm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from trainables.fields import Frozen, Range
from trainables.registry import Registry

if TYPE_CHECKING:
    from typing import Any

    Tensor = Any

OPTIMIZERS: Registry[type[Optimizer]] = Registry("optimizer")


class Optimizer(Frozen):
    """An optimizer's settings, and its rule."""

    summary: ClassVar[str] = ""
    slots: ClassVar[int] = 0
    """Vectors that the rule carries from step to step; zero at the start."""
    learning_rate: float = 0.1
    weight_decay: float = 0.0

    def rates(self) -> dict[str, float]:
        """Return the numbers that the rule gets, except the learning rate, which has a schedule."""
        return {"weight_decay": self.weight_decay}

    @staticmethod
    def update(
        weights: Tensor, gradient: Tensor, slots: list[Tensor], decayed: Tensor, rates: dict[str, Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the weights and slots after a step.

        Args:
            weights: float32 (p,), all trainable weights.
            gradient: float32 (p,).
            slots: as many float32 (p,) as `Optimizer.slots` says.
            decayed: float32 (p,), 1 where weight decay applies, else 0.
            rates: scalars: what `rates` returned, `learning_rate`, and `step` (from 1, float32).
        """
        raise TypeError("this optimizer has no update rule")


@OPTIMIZERS.register("sgd")
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum.

    v = momentum v + g + weight_decay w; w = w - rate v. The decay is coupled (part of the gradient), as in
    the papers whose recipes give one for SGD (1e-4 or 5e-4 for CIFAR), so their values keep their meaning.
    """

    summary: ClassVar[str] = "stochastic gradient descent with momentum; weight decay as part of the gradient"
    slots: ClassVar[int] = 1
    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0), Range(0.005, 0.5, log=True)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1), Range(0.8, 0.98)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0), Range(1e-5, 1e-2, log=True)] = 1e-4

    def rates(self) -> dict[str, float]:
        """Return momentum, decay and whether to look ahead, as numbers (see `Optimizer.rates`)."""
        return {
            "momentum": self.momentum,
            "nesterov": float(self.nesterov),
            "weight_decay": self.weight_decay,
        }

    @staticmethod
    def update(
        weights: Tensor, gradient: Tensor, slots: list[Tensor], decayed: Tensor, rates: dict[str, Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the weights and the velocity after a step (see `Optimizer.update`)."""
        gradient = gradient + rates["weight_decay"] * decayed * weights
        velocity = rates["momentum"] * slots[0] + gradient
        ahead = gradient + rates["momentum"] * velocity
        step = rates["nesterov"] * ahead + (1 - rates["nesterov"]) * velocity
        return weights - rates["learning_rate"] * step, [velocity]


@OPTIMIZERS.register("adamw")
class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).

    w = w - rate (adam + weight_decay w).
    """

    summary: ClassVar[str] = "Adam with decoupled weight decay"
    slots: ClassVar[int] = 2
    name: Literal["adamw"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0), Range(1e-4, 1e-2, log=True)] = 1e-3
    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0), Range(1e-4, 1.0, log=True)] = 1e-2

    def rates(self) -> dict[str, float]:
        """Return the averages' rates, epsilon and the decay (see `Optimizer.rates`)."""
        return {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "weight_decay": self.weight_decay,
        }

    @staticmethod
    def update(
        weights: Tensor, gradient: Tensor, slots: list[Tensor], decayed: Tensor, rates: dict[str, Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the weights and both running averages after a step (see `Optimizer.update`)."""
        beta_1, beta_2, step = rates["beta_1"], rates["beta_2"], rates["step"]
        first = beta_1 * slots[0] + (1 - beta_1) * gradient
        second = beta_2 * slots[1] + (1 - beta_2) * gradient * gradient
        scale = (second / (1 - beta_2**step)) ** 0.5 + rates["epsilon"]
        adam = first / (1 - beta_1**step) / scale
        decay = rates["weight_decay"] * decayed * weights
        return weights - rates["learning_rate"] * (adam + decay), [first, second]
