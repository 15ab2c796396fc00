"""Tests: is it luck? Each takes estimates or arrays and returns a p-value, or how many seeds would tell.

A missing or undefined test has p = 1: it stays in the family and claims nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.statistics.estimators import Estimate, spread_interval, tuned_differences

EXACT_UP_TO = 12
"""Seeds up to which the sign-flip test goes through all flips."""

FLIPS = 9_999
"""Random flips beyond that."""

TIES_TO_CLAIM = 3
"""Pairs that must tie exactly before "all equal" may count as equivalent."""

POWER = 0.8
MOST_SEEDS = 1_000


def difference_p(estimate: Estimate) -> float:
    """Return the two-sided p-value of "no difference" (paired t, where the error is over seeds).

    Values that are all equal have no spread to judge by: p = 1.
    """
    if not estimate.error > 0:
        return 1.0
    return float(2 * stats.t.sf(abs(estimate.mean) / estimate.error, estimate.freedom))


def equivalence_p(estimate: Estimate, margin: float) -> float:
    """Return the p-value of two one-sided tests against effects of `margin` and more, either way (Schuirmann,
    1987).

    Args:
        estimate: the effect.
        margin: smallest effect of interest; 0 means that nothing is equivalent.
    """
    if margin <= 0:
        return 1.0
    if estimate.error > 0:
        nearer = (margin - abs(estimate.mean)) / estimate.error
        return float(stats.t.sf(nearer, estimate.freedom))
    identical = estimate.error == 0 and estimate.mean == 0 and estimate.freedom >= TIES_TO_CLAIM - 1
    return 0.0 if identical else 1.0


def sign_flip_p(selection: np.ndarray, test: np.ndarray, searches: np.ndarray | None = None) -> float:
    """Return the p-value of the tuned effect when the arms are exchanged seed by seed, and choose again.

    If the methods are alike, a seed's results at all points could as well have come from the other arm. For
    every pattern of exchanges both arms choose their points again, so that the luck of choosing is part of the
    test. All 2^S patterns up to `EXACT_UP_TO` seeds; beyond, `FLIPS` random ones with a fixed seed, and the
    observed one.

    Args:
        selection: float (2, K, S), higher is better.
        test: float (2, K, S), higher is better.
        searches: int (K,), the search that each point comes from; None for one search.
    """
    seeds = test.shape[2]
    if seeds == 0:
        return 1.0
    flips = _flips(seeds)  # (B, S), the first without any
    effects = _effects_after(flips, selection, test, searches)
    observed = abs(tuned_differences(selection, test, searches)[0].mean())
    return float(np.mean(np.abs(effects) >= observed - 1e-12))


def _flips(seeds: int) -> np.ndarray:
    """Return patterns of exchanges, bool (B, S), the first of them all False."""
    if seeds <= EXACT_UP_TO:
        return (np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1).astype(bool)
    drawn = np.random.default_rng(0).random((FLIPS, seeds)) < 0.5
    return np.concatenate([np.zeros((1, seeds), dtype=bool), drawn])


def _effects_after(
    flips: np.ndarray, selection: np.ndarray, test: np.ndarray, searches: np.ndarray | None
) -> np.ndarray:
    """Return the tuned effect after each pattern of exchanges, (B,)."""
    stay, go = (~flips).astype(float), flips.astype(float)

    def means(values: np.ndarray) -> np.ndarray:
        """Return the means over seeds of both arms at each point, (2, K, B)."""
        method, reference = values
        return np.stack([method @ stay.T + reference @ go.T, method @ go.T + reference @ stay.T]) / values.shape[2]

    chosen_on, judged_on = means(selection), means(test)
    origins = np.zeros(test.shape[1], dtype=int) if searches is None else searches
    by_search = []
    for search in np.unique(origins):
        own = origins == search
        best = chosen_on[:, own].argmax(axis=1)  # (2, B)
        method, reference = np.take_along_axis(judged_on[:, own], best[:, None], axis=1)[:, 0]
        by_search.append(method - reference)
    return np.mean(by_search, axis=0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (Holm, 1979): claims up to alpha hold at that family-wise error rate.

    The same as `multipletests(..., method="holm")` of statsmodels, which collects garbage in every call.

    Args:
        p_values: one for every claim of the family, 1 where there are no data.
    """
    ordered = np.argsort(p_values, kind="stable")
    stepped = np.asarray(p_values, dtype=float)[ordered] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ordered] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.tolist()


@dataclass(frozen=True)
class SeedsNeeded:
    """Pairs of runs needed; None means more than `MOST_SEEDS`.

    Args:
        low: if the spread is at the low end of its interval.
        likely: if it is what it looks like.
        high: if it is at the high end.
    """

    low: int | None
    likely: int | None
    high: int | None


def seeds_needed(spread: float, seeds: int, effect: float, alpha: float) -> SeedsNeeded | None:
    """Return how many seeds would find a true effect with a probability of 80 %.

    The effect is the smallest effect of interest, not the observed one: planning on what was just observed
    repeats its luck, and an undecided effect may be nothing at all. The spread of the differences is
    uncertain after few seeds; the range comes from its chi-square interval.

    Args:
        spread: standard deviation of the differences so far.
        seeds: pairs so far.
        effect: the true effect that should be found.
        alpha: level of the test; for a family, its strictest step.

    Returns:
        The range, or None where there is nothing to go by.
    """
    if seeds < 2 or spread <= 0 or effect <= 0:
        return None
    interval = spread_interval(spread, seeds)
    low, likely, high = (_pairs(effect / sd, alpha) for sd in (interval.low, spread, interval.high))
    return SeedsNeeded(low, likely, high)


def _pairs(standardised: float, alpha: float) -> int | None:
    """Return the smallest number of pairs whose two-sided t-test has the power, None above `MOST_SEEDS`."""
    low, high = 2, MOST_SEEDS
    if power(standardised, high, alpha) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(standardised, middle, alpha) >= POWER else (middle + 1, high)
    return low


def power(standardised: float, seeds: int, alpha: float) -> float:
    """Return the power of a two-sided paired t-test.

    Args:
        standardised: true effect in standard deviations of the differences.
        seeds: number of pairs.
        alpha: level of the test.
    """
    critical = stats.f.isf(alpha, 1, seeds - 1)  # the square of t; SciPy's noncentral t fails at large shifts
    return float(stats.ncf.sf(critical, 1, seeds - 1, standardised**2 * seeds))
