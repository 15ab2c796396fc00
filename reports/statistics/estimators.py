"""Estimators: point estimates and confidence intervals of paired differences, computed from arrays.

Differences are method minus reference, one per seed, shape (S,), in the unit of the test metric (a fraction, or nats),
with the sign chosen so that positive is better. Cells have the axes arm, pooled point, seed: (A, K, S).

Here and in the other modules, `error` is a standard error (SE), `freedom` its degrees of freedom (df), and `spread` a
sample standard deviation (SD).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from reports.statistics.anytime import anytime_quantile

LEVEL = 0.95
"""Coverage of every interval."""

BCA_FROM = 20
"""Minimum number of pairs for a BCa interval; with fewer its coverage is too low (85 % at 6 pairs, 90 % at 10)."""

CORRELATION_FROM = 3
"""Minimum number of pairs for a correlation over seeds."""

TIE_DECIMALS = 12
"""Means that are equal to this number of decimals are ties."""

NO_SPREAD = 1e-12
"""Standard deviations up to this value are rounding error."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval with coverage `LEVEL`; both bounds are in the unit of the estimate."""

    low: float
    high: float

    @property
    def width(self) -> float:
        """Distance between the bounds."""
        return self.high - self.low


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error; their ratio follows a t distribution.

    Args:
        mean: the estimate.
        error: standard error (SE) of the mean; 0 if all values are equal, NaN if there is only one.
        freedom: degrees of freedom (df) of the standard error.
        anytime: whether tests and interval hold at all numbers of seeds together (`reports.statistics.anytime`), not
            only at one that was fixed in advance.
    """

    mean: float
    error: float
    freedom: float
    anytime: bool = False

    @property
    def interval(self) -> Interval | None:
        """The t interval or confidence sequence, or None if the standard error is zero or unknown.

        A confidence sequence has no bounds with fewer than five seeds; it is also None.
        """
        if not self.error > 0:
            return None
        quantile = anytime_quantile(self.freedom, 1 - LEVEL) if self.anytime else t_quantile(self.freedom)
        if not np.isfinite(quantile):
            return None
        half = self.error * quantile
        return Interval(self.mean - half, self.mean + half)


@dataclass(frozen=True)
class Proportion:
    """A proportion with its confidence interval."""

    share: float
    interval: Interval


def t_quantile(freedom: float) -> float:
    """Return the half-width of a t interval in standard errors.

    Args:
        freedom: degrees of freedom (df), positive.

    >>> round(t_quantile(5), 3)
    2.571
    """
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))


def own_best(selection: np.ndarray, searches: np.ndarray | None = None, shrunken: bool = False) -> np.ndarray:
    """Return for each arm the point with the best mean over seeds, among the points of each search.

    Args:
        selection: float (A, K, S), higher is better.
        searches: int (K,), the search that found each point; None for a single search.
        shrunken: whether the means are those of `shrunken_means`.

    Returns:
        Indices of points, int (A, R), with searches in order. Of tied points the first is chosen (see `first_best`).
    """
    origins = np.zeros(selection.shape[1], dtype=int) if searches is None else searches
    chosen = []
    for search in np.unique(origins):
        places = np.flatnonzero(origins == search)
        own = selection[:, places]
        means = shrunken_means(own) if shrunken else own.mean(axis=2)
        chosen.append(places[first_best(means)])
    return np.stack(chosen, axis=1)


def first_best(means: np.ndarray) -> np.ndarray:
    """Return for each arm the first point with the largest mean, int (A, ...).

    Means that differ by rounding errors only are ties, so that the choice does not depend on the order of operations.

    Args:
        means: float (A, K, ...).

    >>> first_best(np.array([[0.1 + 0.2, 0.3], [0.3, 0.1 + 0.2]])).tolist()
    [0, 0]
    """
    return means.round(TIE_DECIMALS).argmax(axis=1)


def shrunken_means(selection: np.ndarray) -> np.ndarray:
    """Return the mean of each arm at each point, with the preferences of single arms for points shrunk towards none.

    If arms choose their points by plain means, two equal arms choose different points by chance now and then, and the
    difference between the points is taken for one between the arms. Therefore the interaction of arms and points is
    multiplied with max(0, 1 - MS_residual / MS_interaction), the positive-part estimate of the share of it that is not
    noise (James and Stein, 1961; Efron and Morris, 1973). A clear preference is kept; without one, all arms choose the
    point that is best on average.

    Args:
        selection: float (A, K, S).

    Returns:
        Array of shape (A, K), except for constants that are the same at all points of an arm.

    >>> selection = np.array([[[0.4, 0.9, 0.5], [0.8, 0.1, 0.7]], [[0.4, 0.5, 0.3], [0.6, 0.7, 0.5]]])
    >>> shrunken_means(selection).argmax(axis=1).tolist(), selection.mean(axis=2).argmax(axis=1).tolist()
    ([1, 1], [0, 1])
    """
    seeds = selection.shape[2]
    centred = selection - selection.mean(axis=1, keepdims=True)
    common = centred.mean(axis=0)  # (K, S)
    interaction = centred - common
    means = interaction.mean(axis=2)
    residual = ((interaction - means[:, :, None]) ** 2).sum() / max(seeds - 1, 1)
    explained = seeds * (means**2).sum()
    share = max(0.0, 1 - residual / explained) if explained > 0 else 0.0
    return common.mean(axis=1) + share * means


def at_points(cells: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the cells of each arm at its chosen points.

    Args:
        cells: float (A, K, S).
        chosen: int (A, R), indices of points.

    Returns:
        Array of shape (A, R, S).
    """
    return cells[np.arange(len(cells))[:, None], chosen]


def tuned_differences(
    selection: np.ndarray, test: np.ndarray, searches: np.ndarray | None = None, shrunken: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the differences between two arms, each at its own best point as chosen on validation.

    Args:
        selection: float (2, K, S), higher is better; method first, reference second.
        test: float (2, K, S).
        searches: int (K,), the search that found each point; None for a single search.
        shrunken: as in `own_best`.

    Returns:
        The differences within each search, float (R, S), and the indices of the chosen points, int (2, R).

    >>> selection = np.array([[[0.5, 0.5], [0.7, 0.8]], [[0.6, 0.6], [0.5, 0.4]]])
    >>> test = np.array([[[0.9, 0.9], [0.3, 0.4]], [[0.2, 0.2], [0.8, 0.8]]])
    >>> differences, chosen = tuned_differences(selection, test)
    >>> differences.round(2).tolist(), chosen.tolist()
    ([[0.1, 0.2]], [[1], [0]])
    """
    chosen = own_best(selection, searches, shrunken)
    method, reference = at_points(test, chosen)
    return method - reference, chosen


def matched_differences(test: np.ndarray, searches: np.ndarray | None = None) -> np.ndarray:
    """Return the differences between two arms at the same point, averaged over all points.

    With several searches, the differences are averaged within each search first, then over searches.

    Args:
        test: float (2, K, S), method first, reference second.
        searches: int (K,), the search that found each point; None for a single search.

    Returns:
        The differences, float (S,).
    """
    differences = test[0] - test[1]
    if searches is None:
        return differences.mean(axis=0)
    return np.mean([differences[searches == search].mean(axis=0) for search in np.unique(searches)], axis=0)


def correlation(method: np.ndarray, reference: np.ndarray) -> float | None:
    """Return the correlation of two arms over seeds, which determines how much pairing reduces the variance.

    Args:
        method: float (S,).
        reference: float (S,).

    Returns:
        Pearson's r, or None with fewer than `CORRELATION_FROM` seeds or if an arm does not vary.
    """
    if len(method) < CORRELATION_FROM or min(np.ptp(method), np.ptp(reference)) <= NO_SPREAD:
        return None
    return float(np.corrcoef(method, reference)[0, 1])


def over_seeds(differences: np.ndarray, anytime: bool = False) -> Estimate:
    """Estimate the mean difference with its standard error over seeds (paired t).

    Args:
        differences: float (S,), S >= 1.
        anytime: as in `Estimate`.

    >>> estimate = over_seeds(np.array([0.004, -0.002, 0.009, 0.003, 0.004, 0.009]))
    >>> round(estimate.mean, 4), round(estimate.error, 4), estimate.freedom
    (0.0045, 0.0017, 5)
    >>> estimate.interval
    Interval(low=0.0001..., high=0.0088...)
    """
    seeds = len(differences)
    mean = float(differences.mean())
    if seeds < 2:
        return Estimate(mean, float("nan"), 0, anytime)
    spread = float(differences.std(ddof=1))
    if spread <= NO_SPREAD:
        return Estimate(mean, 0.0, seeds - 1, anytime)
    return Estimate(mean, spread / float(np.sqrt(seeds)), seeds - 1, anytime)


def unpaired(method: np.ndarray, reference: np.ndarray) -> Estimate:
    """Estimate the difference between two means over seeds that are not shared (Welch, 1947).

    Args:
        method: float (S,).
        reference: float (T,).

    >>> estimate = unpaired(np.array([0.87, 0.88, 0.86]), np.array([0.85, 0.86, 0.84, 0.85]))
    >>> round(estimate.mean, 3), round(estimate.freedom, 1)
    (0.02, 3.9)
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


def over_seeds_and(differences: np.ndarray, alone: Estimate | None = None, columns: float | None = None) -> Estimate:
    """Estimate the mean difference with its standard error over seeds *and* a second random factor.

    The columns are test images (to generalise to new images of the same kind) or searches (to generalise to new
    searches). The model has two crossed random effects without replication:
    d[s, i] = mu + seed[s] + column[i] + residual[s, i]. With the mean squares of seeds (S - 1 degrees of freedom),
    columns (N - 1) and residuals ((S - 1)(N - 1)),

        error^2 = (MS_seeds + MS_columns - MS_residual) / (S N),

    whose expectation is var(seed)/S + var(column)/N + var(residual)/(S N). The degrees of freedom follow Satterthwaite,

        (MS_seeds + MS_columns - MS_residual)^2 / (MS_seeds^2/df_seeds + MS_columns^2/df_columns +
        MS_residual^2/df_residual),

    with the smaller of S - 1 and N - 1 as a lower bound. If the resulting interval would be narrower than the interval
    over seeds alone, the estimate over seeds is returned instead.

    If another estimate over seeds is given, its squared standard error and its degrees of freedom replace
    MS_seeds/(S N) and S - 1, and its mean is kept: the columns then only show how much the choice of columns matters.

    Args:
        differences: float (S, N).
        alone: the estimate over seeds alone; by default that of the differences.
        columns: number of columns that the estimate over seeds is based on; by default N.

    >>> estimate = over_seeds_and(np.array([[1.0, 1, -1, 0], [1, 1, -1, 1], [1, 1, -1, 0]]))
    >>> round(estimate.mean, 3), round(estimate.error, 3), round(estimate.freedom, 2)
    (0.333, 0.471, 2.99)
    """
    seeds, width = differences.shape
    by_seed, by_column = differences.mean(axis=1), differences.mean(axis=0)
    alone = alone or over_seeds(by_seed)
    if alone.interval is None or width < 2 or seeds < 2:
        return alone
    mean = float(differences.mean())
    freedoms = alone.freedom, width - 1, (seeds - 1) * (width - 1)
    rest = differences - by_seed[:, None] - by_column[None, :] + mean
    size = seeds * (columns or width)
    of_columns = seeds * float(((by_column - mean) ** 2).sum()) / freedoms[1] / size
    of_rest = float((rest**2).sum()) / freedoms[2] / size
    total = alone.error**2 + of_columns - of_rest
    if total <= 0:
        return alone
    parts = sum(
        part**2 / freedom for part, freedom in zip((alone.error**2, of_columns, of_rest), freedoms, strict=True)
    )
    freedom = max(min(freedoms[:2]), total**2 / parts)
    both = replace(alone, error=float(np.sqrt(total)), freedom=freedom)
    return both if both.interval and both.interval.width > alone.interval.width else alone


def bca_interval(differences: np.ndarray) -> Interval | None:
    """Return the BCa bootstrap interval of the mean, or None with fewer than `BCA_FROM` pairs.

    The resampling uses a fixed seed, so equal data give equal intervals.

    Args:
        differences: float (S,).

    >>> bca_interval(np.linspace(-0.01, 0.03, 24))
    Interval(low=0.005..., high=0.014...)
    """
    if len(differences) < BCA_FROM or not over_seeds(differences).error > 0:
        return None
    result = stats.bootstrap(
        (differences,), np.mean, confidence_level=LEVEL, method="BCa", rng=np.random.default_rng(0)
    )
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))


def improvement(differences: np.ndarray) -> Proportion:
    """Estimate the probability of improvement: that the method beats its reference with the same seed.

    A tie counts as half a win. The interval combines two Clopper-Pearson intervals: the lower bound counts ties as
    losses and the upper bound counts them as wins.

    Args:
        differences: float (S,), S >= 1.

    >>> improvement(np.array([0.01, 0.02, -0.01, 0.03, 0.01, 0.02]))
    Proportion(share=0.83..., interval=Interval(low=0.358..., high=0.995...))
    """
    seeds = len(differences)
    wins, ties = int((differences > 0).sum()), int((differences == 0).sum())
    bounds = Interval(exact_interval(wins, seeds).low, exact_interval(wins + ties, seeds).high)
    return Proportion((wins + ties / 2) / seeds, bounds)


def exact_interval(count: int, total: int) -> Interval:
    """Return the exact interval of a proportion (Clopper and Pearson, 1934).

    Args:
        count: number of successes.
        total: number of trials, at least 1.

    >>> exact_interval(5, 6)
    Interval(low=0.358..., high=0.995...)
    """
    found = stats.binomtest(count, total).proportion_ci(LEVEL, method="exact")
    return Interval(float(found.low), float(found.high))


def spread_interval(spread: float, seeds: int) -> Interval:
    """Return the interval of a standard deviation, based on the chi-square distribution of the variance.

    Args:
        spread: sample standard deviation (SD) of the differences, with n - 1 in the denominator.
        seeds: number of pairs, at least 2.

    >>> spread_interval(1.0, 10)
    Interval(low=0.687..., high=1.825...)
    """
    freedom = seeds - 1
    tails = stats.chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], freedom)
    low, high = spread * np.sqrt(freedom / tails)
    return Interval(float(low), float(high))
