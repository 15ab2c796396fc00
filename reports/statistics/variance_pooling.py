"""Variance pooling: standard errors of several contrasts that borrow strength from each other (Smyth, 2004).

With few seeds, the standard deviation of a paired difference is itself hardly known, and a t-test pays for this with
wide intervals: by a factor of 4.3 with three seeds, 2.6 with six. The contrasts of a family are measured with the same
seeds and similar networks, so their standard deviations are often similar. As in limma, the variance of each contrast
is combined with a prior, and gains its degrees of freedom:

    s~^2 = (d0 s0^2 + d s^2) / (d0 + d),    with d0 + d degrees of freedom,

where d = seeds - 1, and d0 follows from how much more the log variances differ than chance allows: contrasts with
different spreads get a small d0. If the variances differ between conditions (Bartlett's test), each condition has a
prior of its own, since little data, for example, makes all results of a condition vary more. Three restrictions keep
the family-wise error rate also where spreads differ: s0^2 is the arithmetic mean of the variances, which exceeds
limma's; d0 is at most d * min(`MOST_WEIGHT`, (contrasts - 1) / `CONTRASTS_PER_WEIGHT`); and a variance is never
lowered, only raised, so that a contrast with a large spread keeps it. `tests/benchmarks/README.md` has the error rates
and the power in simulated studies and on real training.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from reports.statistics.estimators import Estimate

MOST_WEIGHT = 3.0
"""Largest weight of the prior, in degrees of freedom of a contrast."""
CONTRASTS_PER_WEIGHT = 4.0
"""Number of other contrasts that justify a weight of one."""
SAME_SPREAD = 0.1
"""P-value from which the variances of several conditions count as equal."""
DRAWS = 1_000
"""Simulated families for the computation of power."""
MOST_SIMULATED = 40
"""Contrasts of a simulated family; the prior of larger families is as good."""


def pool_variances(
    estimates: Sequence[Estimate | None], conditions: Sequence[str] | None = None
) -> list[Estimate | None]:
    """Return the estimates of a family with standard errors that use the variances of all of them.

    Args:
        estimates: estimates over seeds (`over_seeds`), None for contrasts without data. Estimates without a standard
            error are returned as they are and contribute nothing.
        conditions: the condition of each contrast; by default the same.

    >>> similar = [Estimate(0.01, error, 5) for error in (0.003, 0.004, 0.005, 0.004, 0.003)]
    >>> [(round(estimate.error, 4), estimate.freedom) for estimate in pool_variances(similar)[:3]]
    [(0.0035, 10.0), (0.004, 10.0), (0.005, 10.0)]
    """
    names = conditions or [""] * len(estimates)
    known = {place: one for place, one in enumerate(estimates) if one is not None and one.error > 0}
    groups = [[place for place in known if names[place] == name] for name in dict.fromkeys(names)]
    groups = [group for group in groups if group]
    if not _differ([[known[place] for place in group] for group in groups]):
        groups = [list(known)]
    pooled = list(estimates)
    for group in groups:
        for place, estimate in zip(group, _pooled([known[place] for place in group]), strict=True):
            pooled[place] = estimate
    return pooled


def _pooled(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return estimates that share one prior."""
    if len(estimates) < 2:
        return list(estimates)
    freedoms = np.array([estimate.freedom for estimate in estimates])
    variances, total = _moderate(np.array([_variance(estimate) for estimate in estimates])[None], freedoms)
    errors = np.sqrt(variances[0] / (freedoms + 1))
    return [
        Estimate(estimate.mean, float(error), float(freedom))
        for estimate, error, freedom in zip(estimates, errors, total[0], strict=True)
    ]


def _variance(estimate: Estimate) -> float:
    """Return the variance of the differences over seeds."""
    return estimate.error**2 * (estimate.freedom + 1)


def _differ(groups: Sequence[Sequence[Estimate]]) -> bool:
    """Return whether the variances differ between groups, by Bartlett's test of their means.

    The contrasts of a group share their reference, so that the mean of m of them has the degrees of freedom of about
    (m + 1) / 2 independent ones.
    """
    if len(groups) < 2:
        return False
    from scipy.stats import chi2

    means = np.array([np.mean([_variance(estimate) for estimate in group]) for group in groups])
    freedoms = np.array([np.mean([one.freedom for one in group]) * (len(group) + 1) / 2 for group in groups])
    total, count = freedoms.sum(), len(groups)
    statistic = total * np.log(np.average(means, weights=freedoms)) - (freedoms * np.log(means)).sum()
    correction = 1 + ((1 / freedoms).sum() - 1 / total) / (3 * (count - 1))
    return bool(chi2.sf(statistic / correction, count - 1) < SAME_SPREAD)


@lru_cache(maxsize=512)
def simulated_spreads(seeds: int, contrasts: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pooled variances and degrees of freedom in families whose true variances are all 1, float (DRAWS,) each.

    Args:
        seeds: number of pairs, at least 2.
        contrasts: size of the family.
    """
    freedom = seeds - 1
    rng = np.random.default_rng([seeds, contrasts])
    variances = rng.chisquare(freedom, (DRAWS, min(contrasts, MOST_SIMULATED))) / freedom
    if contrasts < 2:
        return variances[:, 0], np.full(DRAWS, float(freedom))
    pooled, total = _moderate(variances, np.full(variances.shape[1], float(freedom)))
    return pooled[:, 0], total[:, 0]


def _moderate(variances: np.ndarray, freedoms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pooled variances and their degrees of freedom, float (families, contrasts) each.

    Args:
        variances: sample variances, positive, float (families, contrasts).
        freedoms: their degrees of freedom (df), float (contrasts,).
    """
    from scipy.special import digamma, polygamma

    count = variances.shape[1]
    logs = np.log(variances) - digamma(freedoms / 2) + np.log(freedoms / 2)
    excess = logs.var(axis=1, ddof=1) - polygamma(1, freedoms / 2).mean()
    weight = freedoms * min(MOST_WEIGHT, (count - 1) / CONTRASTS_PER_WEIGHT)
    prior_freedom = np.minimum(_prior_freedom(excess)[:, None], weight)
    prior = np.average(variances, axis=1, weights=freedoms)[:, None]
    total = prior_freedom + freedoms
    return np.maximum((prior_freedom * prior + freedoms * variances) / total, variances), total


def _prior_freedom(excess: np.ndarray) -> np.ndarray:
    """Return d0, for which trigamma(d0 / 2) equals the excess variance of the log variances; infinite without excess.

    Newton's iteration converges monotonically from its start (Smyth, 2004, appendix).
    """
    from scipy.special import polygamma

    known = excess > 0
    freedom = np.full(excess.shape, np.inf)
    if known.any():
        target = excess[known]
        value = 0.5 + 1 / target
        for _ in range(30):
            trigamma = polygamma(1, value)
            step = trigamma * (1 - trigamma / target) / polygamma(2, value)
            value = value + step
            if np.all(np.abs(step) < 1e-10 * value):
                break
        freedom[known] = 2 * value
    return freedom
