"""SamplePairing: average each image with another, keep the first label, by a schedule of on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from trainables.errors import InputError
from trainables.fields import Range
from trainables.methods.base import METHODS, Cycle, Method
from trainables.methods.blend import batch_partners, blend
from trainables.schedules import selection_epochs

if TYPE_CHECKING:
    from trainables.methods.base import Draws

LEAST_ON = 0.25
"""Smallest fraction of the epochs with the method on."""


@METHODS.register("sample_pairing")
class SamplePairing(Method):
    """SamplePairing (Inoue 2018): x = (x_a + x_b) / 2 after the augmentation of each, the label of a.

    Off before `start` and from `end` on (fractions of the length); between them on for `on_epochs`, off for
    `off_epochs`, and so on. The end comes earlier where it would leave fewer epochs without the method than a
    run is judged on. `end` alone is searched: it leaves the ends of the off blocks, at which the runs of a
    condition are compared, where they are.
    """

    summary: ClassVar[str] = "averages of two images with the label of the first, by an on/off schedule"
    paper: ClassVar[str] = "arXiv 1801.02929"
    name: Literal["sample_pairing"] = "sample_pairing"
    start: Annotated[float, Field(ge=0, lt=1, description="off before, as a fraction of the length")] = 0.1
    end: Annotated[
        float,
        Field(gt=0, le=1, description="off from here on, as a fraction of the length"),
        Range(0.6, 0.9),
    ] = 0.9
    on_epochs: Annotated[int, Field(ge=1, description="epochs on in each block")] = 8
    off_epochs: Annotated[int, Field(ge=1, description="epochs off at the end of each block")] = 2

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start >= self.end:
            raise ValueError(f"`start` must be below `end`, but got start={self.start}, end={self.end}")
        return self

    def cycle(self, epochs: int) -> Cycle:
        """Return the on/off cycle (see `Method.cycle`)."""
        start = round(self.start * epochs)
        end = min(round(self.end * epochs), epochs - selection_epochs(epochs))
        return Cycle(start, max(start, end), self.on_epochs + self.off_epochs, self.off_epochs)

    def check(self, epochs: int, augmentation: str) -> None:
        """Refuse a schedule that is hardly ever on, or has fewer than two blocks (see `Method.check`)."""
        cycle = self.cycle(epochs)
        on = sum(map(cycle.on, range(epochs)))
        fields = ", ".join(f"{name}={value}" for name, value in self if name != "name")
        if cycle.end - cycle.start < 2 * cycle.length:
            raise InputError(
                f"sample_pairing with {fields} has fewer than two blocks in {epochs} epochs (it may be on "
                f"from epoch {cycle.start} to {cycle.end}); train longer, or shorten `on_epochs` and "
                f"`off_epochs`: their sum may be {max(2, (cycle.end - cycle.start) // 2)} at most"
            )
        if on < LEAST_ON * epochs:
            raise InputError(
                f"sample_pairing with {fields} is on for {on} of {epochs} epochs, and at least a quarter is "
                "needed to differ from the baseline; lower `start` or `off_epochs`, or raise the others"
            )

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw the partner of every example (see `Method.draw`)."""
        return {
            "partner": batch_partners(rng, n, batch),
            "weight": np.full(n, 0.5 if active else 1.0, dtype="float32"),
            "label_weight": np.ones(n, dtype="float32"),
        }

    apply = staticmethod(blend)
