"""SGD: stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from trainables.optimizers.base import OPTIMIZERS, AddedDecay, DecayRate, Optimizer
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from typing import Any

    Tensor = Any


@OPTIMIZERS.register("sgd")
class Sgd(Optimizer):
    """Stochastic gradient descent with momentum: v = momentum v + g; w = w - rate v.

    Nesterov momentum steps by g + momentum v. Weight decay is `l2` by default, as in the papers that give values for
    SGD (1e-4 or 5e-4 for CIFAR).
    """

    summary: ClassVar[str] = "stochastic gradient descent with momentum; weight decay as part of the gradient"
    slots: ClassVar[int] = 1
    structural: ClassVar[tuple[str, ...]] = ("decay", "nesterov")
    name: Literal["sgd"] = "sgd"
    learning_rate: Annotated[float, Field(gt=0, le=1000), Range(0.005, 0.5, log=True)] = 0.1
    momentum: Annotated[DecayRate, Range(0.8, 0.98)] = 0.9
    nesterov: bool = False
    weight_decay: AddedDecay = 1e-4

    def own_rates(self) -> dict[str, float]:
        """Return the momentum (see `Optimizer.own_rates`)."""
        return {"momentum": self.momentum}

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the velocity, or with Nesterov momentum the look-ahead (see `Optimizer.direction`)."""
        velocity = rates["momentum"] * slots[0] + gradient
        return (gradient + rates["momentum"] * velocity if self.nesterov else velocity), [velocity]
