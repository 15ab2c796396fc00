"""Estimators: arrays to numbers. No tests and no figures here.

Differences are method minus reference, as fractions of test accuracy, one a seed, shape (S,).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Coverage of every interval."""

BCA_FROM = 20
"""Pairs from which a BCa interval is given: below, it covers too little (85 % at 6 pairs, 90 % at 10)."""


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


def best_point(selection: np.ndarray) -> int:
    """Return the index of the point with the best mean over seeds (the first of equals).

    Args:
        selection: float (K, S), higher is better.
    """
    return int(np.argmax(selection.mean(axis=1)))


def tuned_differences(selection: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the differences of two arms, each at its own best point, chosen on validation.

    Args:
        selection: float (2, K, S), higher is better.
        test: float (2, K, S).

    Returns:
        The differences (S,), and the indices of the two chosen points.
    """
    method, reference = best_point(selection[0]), best_point(selection[1])
    return test[0, method] - test[1, reference], (method, reference)


def matched_differences(test: np.ndarray) -> np.ndarray:
    """Return for each seed the mean over the points of the differences at the same point, (S,).

    Args:
        test: float (2, K, S).
    """
    return (test[0] - test[1]).mean(axis=0)


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
    if spread <= 1e-12:  # equal but for rounding
        return Estimate(mean, 0.0, seeds - 1)
    return Estimate(mean, spread / float(np.sqrt(seeds)), seeds - 1)


def over_seeds_and_images(method: np.ndarray, reference: np.ndarray) -> Estimate:
    """Estimate the mean difference, with its error over seeds *and* test images: "new images like these".

    Two-way random effects without replication: d[s, i] = mu + seed[s] + image[i] + rest[s, i], with d the
    difference of correctness (-1, 0 or 1). With the mean squares of seeds (S - 1 degrees of freedom), images
    (N - 1) and rest ((S - 1)(N - 1)),

        error^2 = (MS_seeds + MS_images - MS_rest) / (S N),

    whose expectation is var(seed)/S + var(image)/N + var(rest)/(S N). Degrees of freedom are Satterthwaite's,

        (MS_seeds + MS_images - MS_rest)^2 / (MS_seeds^2/df_seeds + MS_images^2/df_images +
        MS_rest^2/df_rest).

    The result is never narrower than the interval over seeds alone: where its estimate would be, that one is
    returned.

    Args:
        method: bool (S, N), whether each test image is classified rightly.
        reference: bool (S, N).
    """
    differences = method.astype(np.float64) - reference.astype(np.float64)
    seeds, images = differences.shape
    by_seed, by_image = differences.mean(axis=1), differences.mean(axis=0)
    alone = over_seeds(by_seed)
    if alone.interval is None or images < 2:
        return alone
    mean = float(differences.mean())
    square_seeds = images * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    square_images = seeds * float(((by_image - mean) ** 2).sum()) / (images - 1)
    rest = differences - by_seed[:, None] - by_image[None, :] + mean
    square_rest = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    total = square_seeds + square_images - square_rest
    if total <= 0:
        return alone
    parts = (
        square_seeds**2 / (seeds - 1) + square_images**2 / (images - 1) + square_rest**2 / ((seeds - 1) * (images - 1))
    )
    both = Estimate(mean, float(np.sqrt(total / (seeds * images))), max(seeds - 1, total**2 / parts))
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
