"""Early stopping inside one arm: asynchronous successive halving whose rungs can be rebuilt from the journal.

The rule is that of Ray's `AsyncHyperBandScheduler` (Li et al. 2018, arXiv 1810.05934), stopping variant: at a rung,
a run goes on if it is among the best 1/reduction_factor of the arm's runs that reached the rung before it; the
first one always goes on. Ray's own scheduler loses its rungs when a study is resumed, and is one pool over all
methods.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from trainables.methods import Cycle
from trainables.records import PASS, STOP, WOULD_STOP, Action


@dataclass
class Rungs:
    """The rungs of one arm.

    Args:
        reduction_factor: one of so many goes on.
    """

    reduction_factor: float
    values: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def cutoff(self, rung: int) -> float | None:
        """Return the value below which a run stops at a rung, or None while nothing is recorded there."""
        if not self.values[rung]:
            return None
        return float(np.percentile(self.values[rung], (1 - 1 / self.reduction_factor) * 100))

    def decide(self, rung: int, value: float, audit: bool) -> tuple[Action, float | None]:
        """Record a run's value at a rung and say what happens to the run.

        Args:
            rung: epochs finished.
            value: the selection metric there; higher is better.
            audit: the run goes on in any case; only what would have happened is recorded.
        """
        cutoff = self.cutoff(rung)
        self.values[rung].append(value)
        if cutoff is None or value >= cutoff:
            return PASS, cutoff
        return (WOULD_STOP if audit else STOP), cutoff


SETTLED = 1 / 40
"""Part of the length, one epoch at least, after which a fall of the learning rate shows in the validation metric."""


def rung_epochs(epochs: int, milestones: list[float], factor: float, cycles: list[Cycle]) -> list[int]:
    """Return the rungs of a condition: the same epochs for all its arms.

    None lies before a third of the length, or before the first fall of the learning rate shows: until then, the
    order of the runs says little about their order at the end. Where methods go on and off in cycles, each rung
    moves to the end of an off block, where the methods can be compared.

    Args:
        epochs: training length.
        milestones: fractions of the length at which the learning rate falls.
        factor: the reduction factor; rungs grow by it.
        cycles: the cycles of the condition's methods.
    """
    settled = max(1, math.ceil(epochs * SETTLED))
    rungs = []
    rung = max([epochs / 3, *(fall * epochs + settled for fall in milestones[:1])])
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
