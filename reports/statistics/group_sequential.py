"""The verdict rule over a family of claims, look after look.

Group sequential by Bonferroni over looks and Holm over claims (Maurer and Bretz, 2013): look i tests at its own error
rate alpha_i, and these add up to alpha. A claim that is decided keeps that verdict; a difference that was found counts
as found at the looks that follow, so that its share goes to the claims that are left. However the data decide which
looks are held and which claims get more seeds, the chance of any false difference stays below alpha: the test of
look i is the same whether or not it is held. Differences and equivalences are two families of the same size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.statistics.estimators import Estimate
from reports.statistics.significance import difference_p, equivalence_p, holm
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED


@dataclass(frozen=True)
class Decision:
    """What the rule says of one claim.

    Args:
        estimate: what it rests on, None without data.
        verdict: one of `records.VERDICTS`.
        look: number of the look whose data these are.
        p: of no difference.
        p_adjusted: corrected for the claims and for the looks; a difference is claimed up to alpha.
        equivalence_p: of a difference of at least the smallest effect of interest.
        equivalence_p_adjusted: the same, corrected.
    """

    estimate: Estimate | None
    verdict: str
    look: int
    p: float
    p_adjusted: float
    equivalence_p: float
    equivalence_p_adjusted: float

    @property
    def decided(self) -> bool:
        """Whether the verdict is any but `undecided`."""
        return self.verdict != UNDECIDED


def decide(
    estimates: Sequence[Sequence[Estimate | None]], alphas: Sequence[float], alpha: float, margin: float
) -> list[list[Decision]]:
    """Judge a family of claims at every look.

    Args:
        estimates: by look and claim; None where a claim has no data for a look: it takes part with p = 1.
        alphas: the error rate of each look, at least as many as there are looks.
        alpha: their sum.
        margin: smallest effect of interest; 0 asks for differences only.

    Returns:
        What stands after each look, by look and claim. A claim that is decided, or has no data for a look, stands
        as it was.
    """
    standing: list[list[Decision]] = []
    for look, found in enumerate(estimates):
        before: Sequence[Decision | None] = standing[-1] if standing else [None] * len(found)
        standing.append(_judged(look, found, before, _price(alpha, alphas[look]), alpha, margin))
    return standing


def _price(alpha: float, share: float) -> float:
    return alpha / share if share > 0 else math.inf


def _judged(
    look: int,
    estimates: Sequence[Estimate | None],
    before: Sequence[Decision | None],
    price: float,
    alpha: float,
    margin: float,
) -> list[Decision]:
    """Judge one look; `price` is what its p-values are multiplied with to be held against alpha."""
    tests = [_tests(estimate, old, margin) for estimate, old in zip(estimates, before, strict=True)]
    differences, equivalences = [test[0] for test in tests], [test[1] for test in tests]
    adjusted, equivalent = _priced(holm(differences), price), _priced(holm(equivalences), price)

    def decision(claim: int) -> Decision:
        estimate, old = estimates[claim], before[claim]
        if old is not None and (estimate is None or old.decided):
            return old
        return Decision(
            estimate=estimate,
            verdict=_rule(estimate, adjusted[claim], equivalent[claim], alpha),
            look=look,
            p=differences[claim],
            p_adjusted=adjusted[claim],
            equivalence_p=equivalences[claim],
            equivalence_p_adjusted=equivalent[claim],
        )

    return [decision(claim) for claim in range(len(estimates))]


def _tests(estimate: Estimate | None, before: Decision | None, margin: float) -> tuple[float, float]:
    """Return the p-values of difference and equivalence; a claim that is decided claims nothing else."""
    if before is not None and before.decided:
        return (1.0, 0.0) if before.verdict == EQUIVALENT else (0.0, 1.0)
    return (1.0, 1.0) if estimate is None else (difference_p(estimate), equivalence_p(estimate, margin))


def _priced(p_values: Sequence[float], price: float) -> list[float]:
    return [min(1.0, price * p) if p > 0 else 0.0 for p in p_values]


def _rule(estimate: Estimate | None, difference: float, equivalence: float, alpha: float) -> str:
    """Return the verdict from the two adjusted p-values; equivalence takes precedence."""
    if estimate is None:
        return UNDECIDED
    if equivalence <= alpha:
        return EQUIVALENT
    if difference <= alpha:
        return HELPS if estimate.mean > 0 else HURTS
    return UNDECIDED
