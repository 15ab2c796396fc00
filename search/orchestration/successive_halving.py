"""Asynchronous successive halving within one arm, with rungs that can be rebuilt from the journal.

The rule is that of Ray's `AsyncHyperBandScheduler` (Li et al. 2018, arXiv 1810.05934), stopping variant: at a rung, a
run continues if it is among the best 1/reduction_factor of the arm's runs that reached the rung before it; the first
one always continues. Ray's own scheduler loses its rungs when a study is resumed, and pools all methods.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from trainables.records import PASS, STOP, WOULD_STOP, Action, RungDecision


@dataclass
class Rungs:
    """The rungs of one arm.

    Args:
        reduction_factor: one run in this many continues.
        values: the values recorded at each rung, in order of arrival.
    """

    reduction_factor: float
    values: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def cutoff(self, rung: int) -> float | None:
        """Return the value below which a run stops at a rung, or None while nothing is recorded there."""
        if not self.values[rung]:
            return None
        return float(np.percentile(self.values[rung], (1 - 1 / self.reduction_factor) * 100))

    def decide(self, rung: int, value: float, audit: bool) -> RungDecision:
        """Record the value of a run at a rung and decide whether the run continues.

        Args:
            rung: epochs finished.
            value: the selection metric there; higher is better.
            audit: the run continues in any case; only what would have happened is recorded.
        """
        cutoff = self.cutoff(rung)
        self.values[rung].append(value)
        failing: Action = WOULD_STOP if audit else STOP
        action: Action = PASS if cutoff is None or value >= cutoff else failing
        return RungDecision(rung=rung, value=value, cutoff=cutoff, action=action)
