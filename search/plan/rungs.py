"""Rungs: the epochs at which runs of a condition may be stopped early."""

from __future__ import annotations

import math

from trainables.methods import Cycle

SETTLING_SHARE = 1 / 40
"""Share of the length, one epoch at least, after which a drop of the learning rate shows in the validation metric."""


def rung_epochs(epochs: int, milestones: list[float], factor: float, cycles: list[Cycle]) -> list[int]:
    """Return the rungs of a condition: the same epochs for all its arms.

    No rung lies before a third of the length, or before the first drop of the learning rate shows: until then, the
    order of the runs says little about their order at the end. Where methods are switched on and off in cycles, each
    rung moves to the end of an off block, where the methods can be compared.

    Args:
        epochs: training length.
        milestones: fractions of the length at which the learning rate falls.
        factor: the reduction factor; each rung is this many times the one before.
        cycles: the cycles of the condition's methods.
    """
    settling = max(1, math.ceil(epochs * SETTLING_SHARE))
    rungs = []
    rung = max([epochs / 3, *(fall * epochs + settling for fall in milestones[:1])])
    while rung < epochs:
        moved = next((epoch for epoch in range(math.ceil(rung), epochs) if _quiet(epoch, cycles)), None)
        if moved is not None and moved not in rungs:
            rungs.append(moved)
        rung *= factor
    return rungs


def _quiet(epoch: int, cycles: list[Cycle]) -> bool:
    """Return whether, after so many epochs, every cycle is at the end of an off block or over."""
    return all(
        epoch < cycle.start or epoch > cycle.end or (epoch > cycle.start and (epoch - cycle.start) % cycle.length == 0)
        for cycle in cycles
    )
