"""Group-sequential decision rule: the verdicts of a family of claims at every interim look.

The rule applies Bonferroni's correction over looks and Holm's over claims (Maurer and Bretz, 2013). Look i tests at its
own error rate alpha_i; these rates sum to alpha. A decided claim keeps its verdict, and a difference once found counts
as found at all later looks, so that its share of alpha passes to the remaining claims. The family-wise error rate stays
below alpha whichever looks take place and whichever claims receive more seeds, even if the data determine this, because
the test at look i does not depend on whether it takes place. Tests of difference and tests of equivalence form two
families of the same size.

Anytime-valid estimates (`reports.statistics.anytime`) need no correction over looks: each look tests at alpha itself.
The smallest p-value that a claim ever has is then also a p-value, and Holm's rule with the p-values at hand, which are
no smaller, never claims more than it would with the smallest ones.
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
    """Decision about one claim.

    Args:
        estimate: the estimate that was tested, None without data.
        verdict: one of `records.VERDICTS`.
        look: number of the look that provided the data, from 0.
        p: p-value of the null hypothesis of no difference.
        p_adjusted: `p` adjusted for the claims and the looks; a difference is claimed if it is at most alpha.
        equivalence_p: p-value of the null hypothesis that the difference is at least the smallest effect of interest.
        equivalence_p_adjusted: `equivalence_p`, adjusted in the same way.
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
        """Whether the verdict is not `undecided`."""
        return self.verdict != UNDECIDED


def decide(
    estimates: Sequence[Sequence[Estimate | None]], alphas: Sequence[float], alpha: float, margin: float
) -> list[list[Decision]]:
    """Return the decisions about a family of claims at every look.

    Args:
        estimates: estimates by look and claim; a claim without data at a look (None) takes part with p = 1.
        alphas: error rate of each look, at least as many as there are looks.
        alpha: family-wise error rate: the sum of `alphas`, or each of them if the estimates are anytime-valid.
        margin: smallest effect of interest; 0 disables the tests of equivalence.

    Returns:
        The decisions in force after each look, by look and claim. A claim that is decided, or that has no data at a
        look, keeps its earlier decision.

    >>> first = [Estimate(0.020, 0.001, 9), Estimate(0.001, 0.001, 9)]
    >>> second = [Estimate(0.021, 0.001, 19), Estimate(0.004, 0.001, 19)]
    >>> looks = decide([first, second], alphas=[0.02, 0.03], alpha=0.05, margin=0)
    >>> [[decision.verdict for decision in look] for look in looks]
    [['helps', 'undecided'], ['helps', 'helps']]
    """
    standing: list[list[Decision]] = []
    for look, found in enumerate(estimates):
        before: Sequence[Decision | None] = standing[-1] if standing else [None] * len(found)
        factor = alpha / alphas[look] if alphas[look] > 0 else math.inf
        standing.append(_decide_look(look, found, before, factor, alpha, margin))
    return standing


def _decide_look(
    look: int,
    estimates: Sequence[Estimate | None],
    before: Sequence[Decision | None],
    factor: float,
    alpha: float,
    margin: float,
) -> list[Decision]:
    """Return the decisions after one look; its p-values are multiplied by `factor` to be compared with alpha."""
    tests = [_p_values(estimate, old, margin) for estimate, old in zip(estimates, before, strict=True)]
    differences, equivalences = [test[0] for test in tests], [test[1] for test in tests]
    adjusted, equivalent = _scaled(holm(differences), factor), _scaled(holm(equivalences), factor)

    def decision(claim: int) -> Decision:
        estimate, old = estimates[claim], before[claim]
        if old is not None and (estimate is None or old.decided):
            return old
        return Decision(
            estimate=estimate,
            verdict=_verdict(estimate, adjusted[claim], equivalent[claim], alpha),
            look=look,
            p=differences[claim],
            p_adjusted=adjusted[claim],
            equivalence_p=equivalences[claim],
            equivalence_p_adjusted=equivalent[claim],
        )

    return [decision(claim) for claim in range(len(estimates))]


def _p_values(estimate: Estimate | None, before: Decision | None, margin: float) -> tuple[float, float]:
    """Return the p-values of difference and equivalence; a decided claim keeps p = 0 for its verdict only."""
    if before is not None and before.decided:
        return (1.0, 0.0) if before.verdict == EQUIVALENT else (0.0, 1.0)
    return (1.0, 1.0) if estimate is None else (difference_p(estimate), equivalence_p(estimate, margin))


def _scaled(p_values: Sequence[float], factor: float) -> list[float]:
    return [min(1.0, factor * p) if p > 0 else 0.0 for p in p_values]


def _verdict(estimate: Estimate | None, difference: float, equivalence: float, alpha: float) -> str:
    """Return the verdict given the two adjusted p-values; equivalence takes precedence."""
    if estimate is None:
        return UNDECIDED
    if equivalence <= alpha:
        return EQUIVALENT
    if difference <= alpha:
        return HELPS if estimate.mean > 0 else HURTS
    return UNDECIDED
