"""Tuning curves: expected best result against the search budget (Dodge et al., 2019, arXiv 1909.03004).

Valid for random and quasi-random search only, because the points of an adaptive sampler depend on earlier results.
Trials of an adaptive sampler are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from reports.data.frames import UNFINISHED, StudyData
from reports.statistics.estimators import LEVEL
from trainables.records import (
    DIVERGED,
    FAILED,
    PLAIN_EPOCHS,
    SEARCH,
    SECONDS,
    SELECTION,
    STOPPED,
    ArmRecord,
    worst,
)

RESAMPLES = 1000
"""Number of bootstrap resamples."""

BAND_FROM = 4
"""Minimum number of runs for a bootstrap band."""


@dataclass(frozen=True)
class TuningCurve:
    """Expected best selection metric among n search runs of an arm, n = 1 ... B. All arrays have shape (B,).

    Args:
        method: display name of the arm.
        plain_epochs: cost of n runs, in plain epochs.
        seconds: cost of n runs, in seconds of training.
        plug_in: expectation for n draws with replacement from the B runs.
        unbiased: expectation for n draws without replacement.
        low, high: 95 % bootstrap band of the plug-in estimate, NaN with fewer than `BAND_FROM` runs.
        stopped: number of runs that were stopped early; they count with their last value.
    """

    method: str
    plain_epochs: np.ndarray
    seconds: np.ndarray
    plug_in: np.ndarray
    unbiased: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stopped: int


def tuning_curve(study: StudyData, arm: ArmRecord, costs: pd.DataFrame) -> TuningCurve | None:
    """Return the tuning curve of an arm, or None if none of its search runs has ended.

    Args:
        study: the study.
        arm: the arm.
        costs: total cost of every run, as returned by `overview.run_costs`.
    """
    runs = study.runs_of(SEARCH, arm.condition, arm.method)
    runs = runs[
        (runs["index"] % study.plan.trials_per_arm < study.plan.designed) & ~runs["outcome"].isin([FAILED, UNFINISHED])
    ]
    found = selection_values(study, runs).dropna()
    runs = runs.loc[found.index]
    if runs.empty:
        return None
    oriented = study.plan.as_maximized
    values = oriented(found.to_numpy())
    count = np.arange(1, len(values) + 1)
    mean = costs.reindex(runs["run"]).mean()
    band = [oriented(bound) for bound in bootstrap_band(values)]
    return TuningCurve(
        method=arm.method,
        plain_epochs=count * float(mean[PLAIN_EPOCHS]),
        seconds=count * float(mean[SECONDS]),
        plug_in=oriented(expected_best(values, plug_in_weights(len(values)))),
        unbiased=oriented(expected_best(values, unbiased_weights(len(values)))),
        low=np.minimum(*band),
        high=np.maximum(*band),
        stopped=int((runs["outcome"] == STOPPED).sum()),
    )


def selection_values(study: StudyData, runs: pd.DataFrame) -> pd.Series:
    """Return the value with which each run counts, NaN if it has none.

    This is the selection metric if the run has one, the last value of the validation metric for a stopped run, and the
    worst possible value for a diverged run.

    Args:
        study: the study.
        runs: rows of `study.runs`.
    """
    last = study.curves_of(runs["run"]).groupby("run", observed=True)[study.plan.metric].last()
    found = runs[SELECTION].astype(float)
    found = found.fillna(runs["run"].map(last).astype(float).where(runs["outcome"] == STOPPED))
    return found.fillna(pd.Series(worst(study.plan.metric), runs.index).where(runs["outcome"] == DIVERGED))


def expected_best(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the expected maximum of n of B values for n = 1 ... B, float (..., B).

    Args:
        values: float (..., B), higher is better.
        weights: float (B, B), weight of the j-th smallest value for each n, such as `plug_in_weights(B)`.

    >>> expected_best(np.array([0.2, 0.6]), unbiased_weights(2)).round(2).tolist()
    [0.4, 0.6]
    """
    return np.sort(values, axis=-1) @ weights


def plug_in_weights(count: int) -> np.ndarray:
    """Return the weights for n draws with replacement, (j / B)^n - ((j - 1) / B)^n, as float (j, n).

    The estimator is biased downwards but has less variance than the unbiased one. In the comparison by Dodge et al.
    (2021, arXiv 2110.00613) it led to fewer wrong conclusions.
    """
    ranks, draws = np.arange(count + 1)[:, None] / count, np.arange(1, count + 1)[None, :]
    return np.diff(ranks**draws, axis=0)


def unbiased_weights(count: int) -> np.ndarray:
    """Return the weights for n draws without replacement, C(j - 1, n - 1) / C(B, n), as float (j, n). Unbiased."""
    ranks, draws = np.arange(1, count + 1)[:, None], np.arange(1, count + 1)[None, :]
    possible = ranks >= draws
    rest = np.where(possible, ranks - draws, 0)
    numerator = gammaln(ranks) - gammaln(draws) - gammaln(rest + 1)
    denominator = gammaln(count + 1) - gammaln(draws + 1) - gammaln(count - draws + 1)
    return np.where(possible, np.exp(numerator - denominator), 0.0)


def bootstrap_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile bootstrap band of the plug-in estimate, two arrays of shape (B,).

    The resamples are drawn with a fixed seed. With fewer than about twenty runs the band is too narrow.

    Args:
        values: float (B,), higher is better.
    """
    count = len(values)
    if count < BAND_FROM:
        return np.full(count, np.nan), np.full(count, np.nan)
    drawn = np.random.default_rng(0).integers(0, count, (RESAMPLES, count))
    curves = expected_best(values[drawn], plug_in_weights(count))
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
