"""Estimators: arrays to numbers. No tests and no figures here.

Differences are method minus reference, in the unit of the test figure (a fraction, or nats), turned so that more is
better, one a seed, shape (S,). Cells have the axes arm, pooled point, seed: (A, K, S).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Coverage of every interval."""

BCA_FROM = 20
"""Pairs from which a BCa interval is given: below, it covers too little (85 % at 6 pairs, 90 % at 10)."""


CORRELATION_FROM = 3
"""Pairs from which a correlation over seeds is given."""

NO_SPREAD = 1e-12
"""A spread up to this is rounding."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, both ends in the unit of the estimate."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, which has a t distribution.

    Args:
        mean: the estimate.
        error: its standard error; 0 where all values are equal, NaN where there is only one.
        freedom: degrees of freedom of the standard error.
    """

    mean: float
    error: float
    freedom: float

    @property
    def interval(self) -> Interval | None:
        """The interval with coverage `LEVEL`, or None where there is no spread to judge by."""
        if not self.error > 0:
            return None
        half = self.error * float(stats.t.ppf((1 + LEVEL) / 2, self.freedom))
        return Interval(self.mean - half, self.mean + half)


@dataclass(frozen=True)
class Proportion:
    """A share with its interval."""

    share: float
    interval: Interval


def own_best(selection: np.ndarray, searches: np.ndarray | None = None) -> np.ndarray:
    """Return the point with the best mean over seeds, of each arm among the points of each search.

    Args:
        selection: float (A, K, S), higher is better.
        searches: int (K,), the search that each point comes from; None for one search.

    Returns:
        Indices of points, int (A, R), searches in order; the first of equals.
    """
    means = selection.mean(axis=2)
    origins = np.zeros(means.shape[1], dtype=int) if searches is None else searches
    own = [np.where(origins == search, means, -np.inf).argmax(axis=1) for search in np.unique(origins)]
    return np.stack(own, axis=1)


def at_points(cells: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the cells (A, K, S) of each arm at its chosen points (A, R): shape (A, R, S)."""
    return cells[np.arange(len(cells))[:, None], chosen]


def tuned_differences(
    selection: np.ndarray, test: np.ndarray, searches: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences of two arms, each at its own best point, chosen on validation.

    With several searches, the mean over them: in each, both arms choose among the points of that search.

    Args:
        selection: float (2, K, S), higher is better.
        test: float (2, K, S).
        searches: int (K,), the search that each point comes from; None for one search.

    Returns:
        The differences (S,), and the indices of the chosen points, int (2, R).
    """
    chosen = own_best(selection, searches)
    method, reference = at_points(test, chosen)
    return (method - reference).mean(axis=0), chosen


def matched_differences(test: np.ndarray, searches: np.ndarray | None = None) -> np.ndarray:
    """Return for each seed the mean over the points of the differences at the same point, (S,).

    With several searches, the mean over searches of that mean.

    Args:
        test: float (2, K, S).
        searches: int (K,), the search that each point comes from; None for one search.
    """
    differences = test[0] - test[1]
    if searches is None:
        return differences.mean(axis=0)
    return np.mean([differences[searches == search].mean(axis=0) for search in np.unique(searches)], axis=0)


def correlation(method: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the correlation of two arms over seeds: what pairing takes out of the spread of their difference.

    Args:
        method: float (S,).
        reference: float (S,).

    Returns:
        Pearson's r; None below three seeds, and where an arm does not vary.
    """
    if len(method) < CORRELATION_FROM or min(np.ptp(method), np.ptp(reference)) <= NO_SPREAD:
        return None
    return float(np.corrcoef(method, reference)[0, 1])


def over_seeds(differences: np.ndarray) -> Estimate:
    """Estimate the mean difference, with its error over seeds (paired t).

    Args:
        differences: float (S,), S >= 1.
    """
    seeds = len(differences)
    mean = float(differences.mean())
    if seeds < 2:
        return Estimate(mean, float("nan"), 0)
    spread = float(differences.std(ddof=1))
    if spread <= NO_SPREAD:
        return Estimate(mean, 0.0, seeds - 1)
    return Estimate(mean, spread / float(np.sqrt(seeds)), seeds - 1)


def unpaired(method: np.ndarray, reference: np.ndarray) -> Estimate:
    """Estimate the difference of two means of seeds that are not shared (Welch, 1947).

    Args:
        method: float (S,).
        reference: float (T,).
    """
    mean = float(method.mean() - reference.mean())
    sizes = len(method), len(reference)
    if min(sizes) < 2:
        return Estimate(mean, float("nan"), 0)
    parts = [float(values.var(ddof=1)) / len(values) for values in (method, reference)]
    if np.sqrt(sum(parts)) <= NO_SPREAD:
        return Estimate(mean, 0.0, min(sizes) - 1)
    freedom = sum(parts) ** 2 / sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return Estimate(mean, float(np.sqrt(sum(parts))), freedom)


def over_seeds_and(differences: np.ndarray) -> Estimate:
    """Estimate the mean difference, with its error over seeds *and* a second source of luck.

    The columns are test images ("new images like these") or searches ("searches like these"). Two-way random
    effects without replication: d[s, i] = mu + seed[s] + column[i] + rest[s, i]. With the mean squares of seeds
    (S - 1 degrees of freedom), columns (N - 1) and rest ((S - 1)(N - 1)),

        error^2 = (MS_seeds + MS_columns - MS_rest) / (S N),

    whose expectation is var(seed)/S + var(column)/N + var(rest)/(S N). Degrees of freedom are Satterthwaite's,

        (MS_seeds + MS_columns - MS_rest)^2 / (MS_seeds^2/df_seeds + MS_columns^2/df_columns +
        MS_rest^2/df_rest),

    and no fewer than those of the shorter side. The result is never narrower than the interval over seeds alone:
    where its estimate would be, that one is returned.

    Args:
        differences: float (S, N).
    """
    seeds, columns = differences.shape
    by_seed, by_column = differences.mean(axis=1), differences.mean(axis=0)
    alone = over_seeds(by_seed)
    if alone.interval is None or columns < 2:
        return alone
    mean = float(differences.mean())
    freedoms = seeds - 1, columns - 1, (seeds - 1) * (columns - 1)
    rest = differences - by_seed[:, None] - by_column[None, :] + mean
    squares = columns * ((by_seed - mean) ** 2).sum(), seeds * ((by_column - mean) ** 2).sum(), (rest**2).sum()
    of_seeds, of_columns, of_rest = (float(sum_) / freedom for sum_, freedom in zip(squares, freedoms, strict=True))
    total = of_seeds + of_columns - of_rest
    if total <= 0:
        return alone
    parts = sum(square**2 / freedom for square, freedom in zip((of_seeds, of_columns, of_rest), freedoms, strict=True))
    both = Estimate(mean, float(np.sqrt(total / (seeds * columns))), max(min(freedoms[:2]), total**2 / parts))
    return both if both.interval and _width(both.interval) > _width(alone.interval) else alone


def _width(interval: Interval) -> float:
    return interval.high - interval.low


def bca_interval(differences: np.ndarray) -> Interval | None:
    """Return the BCa bootstrap interval of the mean, or None below `BCA_FROM` pairs.

    The resamples are drawn with a fixed seed: the same data give the same figures.

    Args:
        differences: float (S,).
    """
    if len(differences) < BCA_FROM or not over_seeds(differences).error > 0:
        return None
    result = stats.bootstrap(
        (differences,), np.mean, confidence_level=LEVEL, method="BCa", rng=np.random.default_rng(0)
    )
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))


def improvement(differences: np.ndarray) -> Proportion:
    """Estimate the probability that the method beats its reference with the same seed.

    A tie counts as half in the share. The interval is Clopper and Pearson's, its low end with ties counted as
    losses and its high end with ties counted as wins, so that it covers either reading.

    Args:
        differences: float (S,), S >= 1.
    """
    seeds = len(differences)
    wins, ties = int((differences > 0).sum()), int((differences == 0).sum())
    low = stats.binomtest(wins, seeds).proportion_ci(LEVEL, method="exact").low
    high = stats.binomtest(wins + ties, seeds).proportion_ci(LEVEL, method="exact").high
    return Proportion((wins + ties / 2) / seeds, Interval(float(low), float(high)))


def spread_interval(spread: float, seeds: int) -> Interval:
    """Return the interval of a standard deviation, from the chi-square distribution of the variance.

    Args:
        spread: standard deviation of the differences.
        seeds: number of pairs, at least 2.
    """
    freedom = seeds - 1
    tails = stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], freedom)
    low, high = spread * np.sqrt(freedom / tails)
    return Interval(float(low), float(high))
