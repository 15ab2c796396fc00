"""CutMix: paste a box of another image and weight the labels by area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from trainables.methods.mixing import OffPhaseMixing, chosen
from trainables.methods.registry import METHODS
from trainables.registration.fields import Range

if TYPE_CHECKING:
    from trainables.methods.base import Draws, Tensor


def paste(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return each image with a box of its partner pasted in, and the labels weighted by the number of pixels.

    Args:
        images: float32, (copies, pool, height, width, channels).
        labels: float32, (copies, pool, classes).
        draws: `partner` int32 (copies, batch, 1), positions in the pool; `box` float32 (copies, batch, 3): the
            side of the box, and its centre (down, across), as fractions of the image. Side 0 leaves it unchanged.
    """
    from keras import ops

    height, width = images.shape[2:4]
    inside_rows, rows = _span(draws["box"][..., 0], draws["box"][..., 1], height)
    inside_columns, columns = _span(draws["box"][..., 0], draws["box"][..., 2], width)
    inside = inside_rows[..., :, None, None] & inside_columns[..., None, :, None]
    shape: Tensor = ops.shape(draws["partner"])
    own, own_labels = images[:, : shape[1]], labels[:, : shape[1]]
    mixed = ops.where(inside, chosen(images, draws["partner"])[:, :, 0], own)
    pixels: Tensor = ops.cast(rows * columns, "float32")
    weight = pixels[..., None] / (height * width)
    return mixed, (1 - weight) * own_labels + weight * chosen(labels, draws["partner"])[:, :, 0]


def _span(side: Tensor, centre: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return which of `size` pixels lie in the box, bool (copies, batch, size), and their number, int32.

    As in the authors' code: whole pixels, half of the length on each side of the centre, clipped at the border.
    """
    from keras import ops

    length: Tensor = ops.cast(side * size, "int32")
    middle: Tensor = ops.cast(centre * size, "int32")
    low: Tensor = ops.maximum(middle - length // 2, 0)
    high: Tensor = ops.minimum(middle + length // 2, size)
    pixel = np.arange(size, dtype="int32")
    return (pixel >= low[..., None]) & (pixel < high[..., None]), high - low


@METHODS.register("cutmix")
class Cutmix(OffPhaseMixing):
    """CutMix (Yun et al. 2019): a box with the share 1 - lam of the area comes from a partner.

    lam ~ Beta(alpha, alpha). The box has the aspect ratio of the image and a uniform centre, and is clipped at the
    border. The weight of the partner's label is the share of its pixels in the mixture, not 1 - lam.
    """

    summary: ClassVar[str] = "a box of another image pasted in, labels by area"
    paper: ClassVar[str] = "arXiv 1905.04899"
    name: Literal["cutmix"] = "cutmix"
    alpha: Annotated[
        float,
        Field(ge=0.05, le=32, description="parameter of Beta(alpha, alpha), the area that is kept; 1 in the paper"),
        Range(0.2, 2.0, log=True),
    ] = 1.0
    share: Annotated[Literal["example", "batch"], Field(description="one box per example, or one per batch")] = (
        "example"
    )

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw the box and the partner of every example (see `Method.draw`)."""
        lam = rng.beta(self.alpha, self.alpha, n)
        box = np.column_stack([np.sqrt(1 - lam), rng.random((n, 2))])
        if self.share == "batch":
            box = np.repeat(box[::batch], batch, axis=0)
        partner = self.partners(rng, n, batch, active)
        return {"partner": partner, "box": (box if active else np.zeros((n, 3))).astype("float32")}

    apply = staticmethod(paste)
