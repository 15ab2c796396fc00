"""SamplePairing: the average of two images with the label of the first, in an on/off schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from trainables.errors import InputError
from trainables.methods.base import LEAST_ON, Cycle
from trainables.methods.mixing import Partnered, blend
from trainables.methods.registry import METHODS
from trainables.registration.fields import Range
from trainables.schedules import selection_epochs

if TYPE_CHECKING:
    from trainables.methods.base import Draws


@METHODS.register("sample_pairing")
class SamplePairing(Partnered):
    """SamplePairing (Inoue 2018): x = (x_a + x_b) / 2 after base augmentation, with the label of a.

    The method is off before `start` and from `end` on; in between it alternates between `on_epochs` epochs on and
    `off_epochs` epochs off. Each length is a fraction of the training if below 1 (`end`: up to 1), and otherwise a
    whole number of epochs. `end` is moved forward if fewer epochs than a run is judged on would follow it. Only
    `end` is searched by default, because it does not move the ends of the off blocks, where the runs of a condition
    are compared. A study that searches the others (`start: auto`) compares runs only before the first and after the
    last block. Their declared ranges allow every combination from 20 epochs on.
    """

    summary: ClassVar[str] = "averages of two images with the label of the first, by an on/off schedule"
    paper: ClassVar[str] = "arXiv 1801.02929"
    name: Literal["sample_pairing"] = "sample_pairing"
    start: Annotated[
        float,
        Field(ge=0, le=100_000, description="off before: a fraction of the length below 1, or epochs"),
        Range(0.0, 0.1, on_request=True),
    ] = 0.1
    end: Annotated[
        float,
        Field(
            gt=0,
            le=100_000,
            description="epoch from which the method is off: a fraction of the length up to 1, or epochs",
        ),
        Range(0.6, 0.9),
    ] = 0.9
    on_epochs: Annotated[
        float,
        Field(gt=0, le=100_000, description="epochs on in each block, or a fraction below 1"),
        Range(0.07, 0.17, on_request=True),
    ] = 8
    off_epochs: Annotated[
        float,
        Field(gt=0, le=100_000, description="epochs off at the end of each block, or a fraction below 1"),
        Range(0.02, 0.05, on_request=True),
    ] = 2

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("start", "end", "on_epochs", "off_epochs"):
            value = getattr(self, name)
            if value > 1 and value != int(value):
                raise ValueError(
                    f"`{name}` is a fraction of the length, or a whole number of epochs above 1, but got {value:g}"
                )
        if (self.start < 1) == (self.end <= 1) and self.start >= self.end:
            raise ValueError(f"`start` must be below `end`, but got start={self.start:g}, end={self.end:g}")
        return self

    def cycle(self, epochs: int) -> Cycle:
        """Return the on/off cycle (see `Method.cycle`)."""
        start = round(self.start * epochs) if self.start < 1 else int(self.start)
        end = round(self.end * epochs) if self.end <= 1 else int(self.end)
        on, off = (_block(length, epochs) for length in (self.on_epochs, self.off_epochs))
        return Cycle(start, max(start, min(end, epochs - selection_epochs(epochs))), on + off, off)

    def rescaled(self, before: int, after: int) -> Self:
        """Return the cycle for another length, with lengths in epochs scaled (see `Method.rescaled`)."""
        ratio = after / before
        return self.model_copy(
            update={
                "start": float(round(self.start * ratio)) if self.start >= 1 else self.start,
                "end": float(max(2, round(self.end * ratio))) if self.end > 1 else self.end,
                "on_epochs": _stretched(self.on_epochs, ratio),
                "off_epochs": _stretched(self.off_epochs, ratio),
            }
        )

    def check(self, epochs: int, augmented: bool) -> None:
        """Refuse a schedule with fewer than two blocks, or on for less than a quarter of the epochs."""
        cycle = self.cycle(epochs)
        on = sum(map(cycle.on, range(epochs)))
        fields = ", ".join(f"{name}={value}" for name, value in self if name != "name")
        if cycle.end - cycle.start < 2 * cycle.length:
            raise InputError(
                f"sample_pairing with {fields} has fewer than two blocks in {epochs} epochs (it may be on "
                f"from epoch {cycle.start} to {cycle.end}); train longer, or shorten `on_epochs` and "
                f"`off_epochs`: their sum may be at most {max(2, (cycle.end - cycle.start) // 2)}"
            )
        if on < LEAST_ON * epochs:
            raise InputError(
                f"sample_pairing with {fields} is on for {on} of {epochs} epochs, and at least a quarter is "
                "needed to differ from the baseline; lower `start` or `off_epochs`, or raise the others"
            )

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw the partner of every example (see `Method.draw`)."""
        own = np.eye(1, 2, dtype="float32").repeat(n, axis=0)
        weight = np.full((n, 2), 0.5, dtype="float32") if active else own
        return {"partner": self.partners(rng, n, batch, active), "weight": weight, "label_weight": own}

    apply = staticmethod(blend)


def _stretched(length: float, ratio: float) -> float:
    return float(max(1, round(length * ratio))) if length >= 1 else length


def _block(length: float, epochs: int) -> int:
    """Return the length of a block in epochs, at least 1."""
    return int(length) if length >= 1 else max(1, round(length * epochs))
