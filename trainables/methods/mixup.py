"""mixup: train on random convex combinations of two examples and of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.fields import Range
from trainables.methods.base import METHODS, Method
from trainables.methods.blend import batch_partners, blend

if TYPE_CHECKING:
    from trainables.methods.base import Draws


@METHODS.register("mixup")
class Mixup(Method):
    """mixup (Zhang et al. 2018): x = lam x_i + (1 - lam) x_j, labels likewise, lam ~ Beta(alpha, alpha).

    The partner is a permutation of the same batch, after base augmentation, as in the authors' code.
    """

    summary: ClassVar[str] = "convex combinations of two images and of their labels"
    paper: ClassVar[str] = "arXiv 1710.09412"
    name: Literal["mixup"] = "mixup"
    alpha: Annotated[
        float,
        Field(ge=0.05, le=32, description="Beta(alpha, alpha); below 0.05 hardly anything mixes"),
        Range(0.1, 1.0, log=True),
    ] = 0.2
    share: Annotated[Literal["example", "batch"], Field(description="one lambda per example, or one per batch")] = (
        "example"
    )

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw lambda and the partner of every example (see `Method.draw`)."""
        lam = rng.beta(self.alpha, self.alpha, n)
        if self.share == "batch":
            lam = np.repeat(lam[::batch], batch)
        partner = batch_partners(rng, n, batch)
        weight = lam if active else np.ones(n)
        return {
            "partner": partner,
            "weight": weight.astype("float32"),
            "label_weight": weight.astype("float32"),
        }

    apply = staticmethod(blend)
