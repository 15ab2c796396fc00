"""Significance tests: p-values of estimates, Holm's correction, statistical power and required sample size.

A test that is missing or undefined has p = 1: it remains in its family and supports no claim.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.statistics.anytime import anytime_p, equivalent_level
from reports.statistics.estimators import Estimate, first_best, spread_interval
from reports.statistics.variance_pooling import simulated_spreads

EXACT_UP_TO = 12
"""Largest number of seeds for which the sign-flip test enumerates all patterns."""

FLIPS = 9_999
"""Number of random patterns for more seeds."""

TIES_TO_CLAIM = 3
"""Minimum number of pairs, all exactly equal, that count as equivalent."""

POWER = 0.8
"""Power at which required numbers of seeds and detectable effects are computed."""

MOST_SEEDS = 1_000
"""Larger numbers of required seeds are not reported."""


def difference_p(estimate: Estimate) -> float:
    """Return the two-sided p-value of the null hypothesis of no difference (t-test, or its anytime-valid form).

    Without a positive standard error (all values equal, or a single one) p = 1.

    Args:
        estimate: the effect; with `over_seeds` the test is the paired t-test.

    >>> round(difference_p(Estimate(mean=0.0045, error=0.0017, freedom=5)), 3)
    0.046
    """
    if not estimate.error > 0:
        return 1.0
    statistic = abs(estimate.mean) / estimate.error
    if estimate.anytime:
        return anytime_p(statistic, estimate.freedom)
    return float(2 * stats.t.sf(statistic, estimate.freedom))


def equivalence_p(estimate: Estimate, margin: float) -> float:
    """Return the p-value of two one-sided tests of equivalence (TOST; Schuirmann, 1987).

    The null hypothesis is that the absolute effect is at least `margin`. Differences that are all exactly zero in at
    least `TIES_TO_CLAIM` pairs give p = 0. An anytime-valid p-value is that of the nearer bound, tested on both sides:
    it is at most alpha if the confidence sequence with coverage 1 - alpha lies between the bounds.

    Args:
        estimate: the effect.
        margin: smallest effect of interest; with 0 nothing is equivalent.

    >>> round(equivalence_p(Estimate(mean=0.001, error=0.0017, freedom=5), margin=0.01), 3)
    0.002
    """
    if margin <= 0:
        return 1.0
    if estimate.error > 0:
        nearer = (margin - abs(estimate.mean)) / estimate.error
        if estimate.anytime:
            return anytime_p(nearer, estimate.freedom) if nearer > 0 else 1.0
        return float(stats.t.sf(nearer, estimate.freedom))
    identical = estimate.error == 0 and estimate.mean == 0 and estimate.freedom >= TIES_TO_CLAIM - 1
    return 0.0 if identical else 1.0


def sign_flip_p(
    selection: np.ndarray, test: np.ndarray, searches: np.ndarray | None = None, shrunken: bool = False
) -> float:
    """Return the p-value of a sign-flip permutation test of the tuned effect that repeats the selection of points.

    Under the null hypothesis the two arms are exchangeable within each seed. For every pattern of exchanges both arms
    reselect their points, so that the test accounts for the randomness of the selection. All 2^S patterns are
    enumerated for up to `EXACT_UP_TO` seeds; for more seeds, `FLIPS` random patterns (with a fixed seed) and the
    observed one are used.

    Args:
        selection: float (2, K, S), higher is better; method first, reference second.
        test: float (2, K, S), higher is better.
        searches: int (K,), the search that found each point; None for a single search.
        shrunken: as in `reports.statistics.estimators.own_best`.

    Returns:
        The two-sided p-value, a multiple of 1 / 2^S where all patterns are enumerated; 1 without seeds.

    >>> test = np.array([[[0.92, 0.94, 0.91, 0.95, 0.93]], [[0.90, 0.91, 0.90, 0.92, 0.91]]])
    >>> sign_flip_p(selection=test, test=test)
    0.0625
    """
    seeds = test.shape[2]
    if seeds == 0:
        return 1.0
    flips = _flips(seeds)  # (B, S), the first without exchanges
    effects = _effects_after(flips, selection, test, searches, shrunken)
    return float(np.mean(np.abs(effects) >= abs(effects[0]) - 1e-12))


def _flips(seeds: int) -> np.ndarray:
    """Return patterns of exchanges, bool (B, S), of which the first is all False."""
    if seeds <= EXACT_UP_TO:
        return (np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1).astype(bool)
    drawn = np.random.default_rng(0).random((FLIPS, seeds)) < 0.5
    return np.concatenate([np.zeros((1, seeds), dtype=bool), drawn])


def _effects_after(
    flips: np.ndarray, selection: np.ndarray, test: np.ndarray, searches: np.ndarray | None, shrunken: bool
) -> np.ndarray:
    """Return the tuned effect under each pattern of exchanges, float (B,)."""
    stay, go = (~flips).astype(float), flips.astype(float)

    def means(values: np.ndarray) -> np.ndarray:
        """Return the means over seeds of both arms at each point, float (2, K, B)."""
        method, reference = values
        return np.stack([method @ stay.T + reference @ go.T, method @ go.T + reference @ stay.T]) / values.shape[2]

    judged_on = means(test)
    origins = np.zeros(test.shape[1], dtype=int) if searches is None else searches
    by_search = []
    for search in np.unique(origins):
        own = origins == search
        chosen_on = means(selection[:, own])
        if shrunken:
            chosen_on = _shrunken_after(flips, selection[:, own], chosen_on)
        best = first_best(chosen_on)  # (2, B)
        method, reference = np.take_along_axis(judged_on[:, own], best[:, None], axis=1)[:, 0]
        by_search.append(method - reference)
    return np.mean(by_search, axis=0)


def _shrunken_after(flips: np.ndarray, selection: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the shrunken means of both arms under each pattern of exchanges, float (2, K, B).

    An exchange changes the sign of the interaction of its seed, so that only the mean interaction depends on it.

    Args:
        flips: bool (B, S).
        selection: float (2, K, S).
        means: float (2, K, B), the plain means.
    """
    seeds = flips.shape[1]
    centred = selection - selection.mean(axis=1, keepdims=True)
    total = ((centred - centred.mean(axis=0)) ** 2).sum()
    after = means - means.mean(axis=1, keepdims=True)
    common = after.mean(axis=0)  # (K, B)
    interaction = after - common
    explained = seeds * (interaction**2).sum(axis=(0, 1))  # (B,)
    residual = np.maximum(total - explained, 0.0) / max(seeds - 1, 1)
    share = np.maximum(0.0, 1 - np.divide(residual, explained, out=np.ones_like(residual), where=explained > 0))
    return common + share * interaction


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values (Holm, 1979).

    Rejecting all hypotheses whose adjusted p-value is at most alpha controls the family-wise error rate at alpha.
    Equal to `multipletests(..., method="holm")` of statsmodels, which runs the garbage collector in every call.

    Args:
        p_values: one per claim of the family; 1 for a claim without data.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    ordered = np.argsort(p_values, kind="stable")
    stepped = np.asarray(p_values, dtype=float)[ordered] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ordered] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted.tolist()


@dataclass(frozen=True)
class SeedsNeeded:
    """Required number of seeds (pairs of runs); None means more than `MOST_SEEDS`.

    Args:
        low: required if the standard deviation is at the lower bound of its interval.
        likely: required at the observed standard deviation.
        high: required at the upper bound.
    """

    low: int | None
    likely: int | None
    high: int | None


def seeds_needed(
    spread: float, seeds: int, effect: float, alpha: float, contrasts: int = 1, anytime: bool = False
) -> SeedsNeeded | None:
    """Return how many seeds a paired t-test needs to find a true effect with a power of `POWER`.

    The effect should be the smallest effect of interest rather than the observed effect: planning with an observed
    effect inherits its random error, and the true effect of an undecided claim may be zero. The standard deviation is
    uncertain after few seeds, so the result is a range based on its chi-square interval.

    Args:
        spread: standard deviation (SD) of the differences observed so far.
        seeds: pairs observed so far.
        effect: true effect to detect.
        alpha: level of the test; for a family, the level of Holm's strictest step.
        contrasts: number of contrasts in the condition, whose variances are pooled.
        anytime: whether the test is the anytime-valid one.

    Returns:
        The range, or None with fewer than two seeds, without spread or without an effect.

    >>> seeds_needed(spread=0.01, seeds=10, effect=0.005, alpha=0.05)
    SeedsNeeded(low=17, likely=34, high=107)
    """
    if seeds < 2 or spread <= 0 or effect <= 0:
        return None
    interval = spread_interval(spread, seeds)
    low, likely, high = (_pairs(effect / sd, alpha, contrasts, anytime) for sd in (interval.low, spread, interval.high))
    return SeedsNeeded(low, likely, high)


def _pairs(standardised: float, alpha: float, contrasts: int, anytime: bool) -> int | None:
    """Return the smallest number of pairs at which the two-sided test reaches `POWER`, None above `MOST_SEEDS`."""
    numbers = range(2, MOST_SEEDS + 1)
    place = bisect_left(numbers, POWER, key=lambda seeds: power(standardised, seeds, alpha, contrasts, anytime))
    return numbers[place] if place < len(numbers) else None


def power(standardised: float, seeds: int, alpha: float, contrasts: int = 1, anytime: bool = False) -> float:
    """Return the power of a two-sided paired t-test, or of its anytime-valid form at that number of seeds.

    The variances of several contrasts are pooled (`reports.statistics.variance_pooling`); the power then assumes that
    all have the same standard deviation, and is averaged over simulated variances. Give the contrasts of one condition:
    other conditions may differ in spread.

    Args:
        standardised: true effect divided by the standard deviation of the differences.
        seeds: number of pairs, at least 2.
        alpha: level of the test.
        contrasts: number of contrasts in the condition.
        anytime: whether the test is the anytime-valid one. What it has found with fewer seeds, some ten points more,
            is not counted.

    >>> round(power(standardised=0.5, seeds=34, alpha=0.05), 3)
    0.808
    >>> round(power(standardised=1.5, seeds=6, alpha=0.05 / 12), 2), round(power(1.5, 6, 0.05 / 12, contrasts=12), 2)
    (0.29, 0.56)
    """
    if anytime:
        return power(standardised, seeds, equivalent_level(seeds, alpha), contrasts)
    if contrasts > 1:
        variances, freedoms = simulated_spreads(seeds, contrasts)
        limits = stats.t.isf(alpha / 2, freedoms) * np.sqrt(variances)
        shift = standardised * np.sqrt(seeds)
        return float(np.mean(stats.norm.sf(limits - shift) + stats.norm.cdf(-limits - shift)))
    critical = stats.f.isf(alpha, 1, seeds - 1)  # F = t^2; SciPy's noncentral t is inaccurate for large effects
    return float(stats.ncf.sf(critical, 1, seeds - 1, standardised**2 * seeds))
