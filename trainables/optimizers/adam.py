"""Adam and AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trainables.optimizers.base import OPTIMIZERS, Decay, DecayRate, Optimizer
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from typing import Any

    Tensor = Any


class _Adaptive(Optimizer):
    """Adam's rule (Kingma and Ba, arXiv 1412.6980)."""

    slots: ClassVar[int] = 2
    beta_1: DecayRate = 0.9
    beta_2: DecayRate = 0.999
    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-8

    def own_rates(self) -> dict[str, float]:
        """Return the decay rates of the averages and epsilon (see `Optimizer.own_rates`)."""
        return {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}

    def direction(self, gradient: Tensor, slots: list[Tensor], rates: dict[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the mean gradient divided by its root mean square (see `Optimizer.direction`)."""
        beta_1, beta_2, step = rates["beta_1"], rates["beta_2"], rates["step"]
        first = beta_1 * slots[0] + (1 - beta_1) * gradient
        second = beta_2 * slots[1] + (1 - beta_2) * gradient * gradient
        scale = (second / (1 - beta_2**step)) ** 0.5 + rates["epsilon"]
        return first / (1 - beta_1**step) / scale, [first, second]


@OPTIMIZERS.register("adam")
class Adam(_Adaptive):
    """Adam (Kingma and Ba, arXiv 1412.6980); without weight decay by default, which is `l2` if set."""

    summary: ClassVar[str] = "Adam; weight decay, off by default, as part of the gradient"
    name: Literal["adam"] = "adam"


@OPTIMIZERS.register("adamw")
class AdamW(_Adaptive):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101).

    w = w - rate (adam + weight_decay w). For `l2` decay use `adam`.
    """

    summary: ClassVar[str] = "Adam with decoupled weight decay"
    name: Literal["adamw"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0, le=1000), Range(1e-4, 1.0, log=True)] = 1e-2
    decay: Decay = "decoupled"

    @model_validator(mode="after")
    def _is_decoupled(self) -> Self:
        if self.decay != "decoupled":
            raise ValueError("`adamw` has decoupled weight decay only; for `decay: l2` choose `adam`")
        return self
