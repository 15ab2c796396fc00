"""RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from trainables.optimizers.base import OPTIMIZERS, DecayRate, Optimizer

if TYPE_CHECKING:
    from typing import Any

    Tensor = Any


@OPTIMIZERS.register("rmsprop")
class RmsProp(Optimizer):
    """RMSprop (Tieleman and Hinton 2012), optionally with momentum; epsilon is inside the root, as in Keras.

    s = rho s + (1 - rho) g^2; v = momentum v + g / sqrt(s + epsilon); w = w - rate v. Without weight decay by default,
    which is `l2` if set.
    """

    summary: ClassVar[str] = "RMSprop; weight decay, off by default, as part of the gradient"
    slots: ClassVar[int] = 2
    name: Literal["rmsprop"] = "rmsprop"
    momentum: DecayRate = 0.0
    rho: DecayRate = 0.9
    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-7

    def own_rates(self) -> dict[str, float]:
        """Return momentum, the decay rate of the average and epsilon (see `Optimizer.own_rates`)."""
        return {"momentum": self.momentum, "rho": self.rho, "epsilon": self.epsilon}

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the momentum of gradients divided by their root mean square (see `Optimizer.direction`)."""
        square = rates["rho"] * slots[0] + (1 - rates["rho"]) * gradient * gradient
        velocity = rates["momentum"] * slots[1] + gradient / (square + rates["epsilon"]) ** 0.5
        return velocity, [square, velocity]
