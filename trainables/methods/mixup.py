"""mixup: random convex combinations of examples and of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.methods.mixing import OffPhaseMixing, blend
from trainables.methods.registry import METHODS
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.methods.base import Draws


@METHODS.register("mixup")
class Mixup(OffPhaseMixing):
    """mixup (Zhang et al. 2018): x = lam x_i + (1 - lam) x_j, labels likewise, lam ~ Beta(alpha, alpha).

    Partners are taken after base augmentation. By default they are a permutation of the batch, as in the authors'
    code; with `partner: batch_with_replacement` each is drawn from the batch independently of the others; with
    `partner: dataset` they are drawn with replacement from the whole training set and augmented independently. With
    more than two images the weights are drawn from Dirichlet(alpha, ..., alpha), which is Beta(alpha, alpha) for two
    images.
    """

    summary: ClassVar[str] = "convex combinations of images and of their labels"
    paper: ClassVar[str] = "arXiv 1710.09412"
    name: Literal["mixup"] = "mixup"
    alpha: Annotated[
        float,
        Field(ge=0.05, le=32, description="parameter of Beta(alpha, alpha); below 0.05 hardly anything is mixed"),
        Range(0.1, 1.0, log=True),
    ] = 0.2
    share: Annotated[Literal["example", "batch"], Field(description="one lambda per example, or one per batch")] = (
        "example"
    )
    images: Annotated[int, Field(ge=2, le=4, description="images in each mixture")] = 2

    @property
    def others(self) -> int:
        """Number of partners: all images of a mixture except the first."""
        return self.images - 1

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw the weights and the partners of every example (see `Method.draw`)."""
        weight = _weights(rng, self.alpha, self.images, n)
        if self.share == "batch":
            weight = np.repeat(weight[::batch], batch, axis=0)
        partner = self.partners(rng, n, batch, active)
        if not active:
            weight = np.eye(1, self.images).repeat(n, axis=0)
        weight = weight.astype("float32")
        return {"partner": partner, "weight": weight, "label_weight": weight}

    apply = staticmethod(blend)


def _weights(rng: np.random.Generator, alpha: float, images: int, n: int) -> np.ndarray:
    """Draw weights (n, images) whose rows sum to 1."""
    if images == 2:
        lam = rng.beta(alpha, alpha, n)
        return np.stack([lam, 1 - lam], axis=1)
    return rng.dirichlet([alpha] * images, n)
