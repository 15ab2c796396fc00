"""Expected best result after some tuning (Dodge et al. 2019, arXiv 1909.03004), from runs drawn without looking.

Valid for random and quasi-random search only: the points of an adaptive sampler depend on earlier results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from reports.data.frames import UNFINISHED, StudyData
from reports.statistics.estimators import LEVEL
from trainables.records import DIVERGED, FAILED, PLAIN_EPOCHS, SEARCH, SECONDS, SELECTION, STOPPED, ArmRecord, worst

RESAMPLES = 1000
BAND_FROM = 4
"""Runs below which no band is drawn."""


@dataclass(frozen=True)
class TuningCurve:
    """The expected best of the first n runs of an arm's search, n = 1 ... B. All arrays have shape (B,).

    Args:
        method: display name.
        plain_epochs: cost of n runs, in plain epochs.
        seconds: cost of n runs, in seconds of training.
        plug_in: expectation with n draws from the runs as they are.
        unbiased: expectation of the best of n different ones of the runs.
        low, high: 95 % bootstrap band of the plug-in estimate, NaN where there are too few runs.
        stopped: how many of the runs were stopped early; they count with the last value that they had.
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
    """Return the tuning curve of an arm, or None where none of its search runs has ended.

    Args:
        study: the study.
        arm: the arm.
        costs: total cost of every run, see `overview.run_costs`.
    """
    runs = study.runs_of(SEARCH, arm.condition, arm.method)
    runs = runs[
        (runs["index"] % study.plan.trials_per_arm < study.plan.designed) & ~runs["outcome"].isin([FAILED, UNFINISHED])
    ]
    found = qualities(study, runs).dropna()
    runs = runs.loc[found.index]
    if runs.empty:
        return None
    sign = 1.0 if study.plan.higher_is_better else -1.0
    values = sign * found.to_numpy()
    count = np.arange(1, len(values) + 1)
    mean = costs.reindex(runs["run"]).mean()
    low, high = bootstrap_band(values)
    return TuningCurve(
        method=arm.method,
        plain_epochs=count * float(mean[PLAIN_EPOCHS]),
        seconds=count * float(mean[SECONDS]),
        plug_in=sign * expected_best(values, plug_in_weights(len(values))),
        unbiased=sign * expected_best(values, unbiased_weights(len(values))),
        low=np.minimum(sign * low, sign * high),
        high=np.maximum(sign * low, sign * high),
        stopped=int((runs["outcome"] == STOPPED).sum()),
    )


def qualities(study: StudyData, runs: pd.DataFrame) -> pd.Series:
    """Return what each run was worth: its selection metric; else, if stopped, its last; if diverged, the worst.

    Args:
        study: the study.
        runs: rows of its frame of runs.
    """
    last = study.curves_of(runs["run"]).groupby("run", observed=True)[study.plan.metric].last()
    found = runs[SELECTION].astype(float)
    found = found.fillna(runs["run"].map(last).astype(float).where(runs["outcome"] == STOPPED))
    return found.fillna(pd.Series(worst(study.plan.metric), runs.index).where(runs["outcome"] == DIVERGED))


def expected_best(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the expected largest of n values for n = 1 ... B, (..., B).

    Args:
        values: float (..., B), higher is better.
        weights: float (B, B), weight of the j-th smallest value for n, as `plug_in_weights` gives them.
    """
    return np.sort(values, axis=-1) @ weights


def plug_in_weights(count: int) -> np.ndarray:
    """Return (j / B)^n - ((j - 1) / B)^n as (j, n): n draws with replacement. Biased down, with less variance.

    Of the two, this one led to fewer wrong conclusions in the comparison of Dodge et al. 2021 (arXiv 2110.00613).
    """
    ranks, draws = np.arange(count + 1)[:, None] / count, np.arange(1, count + 1)[None, :]
    return np.diff(ranks**draws, axis=0)


def unbiased_weights(count: int) -> np.ndarray:
    """Return C(j - 1, n - 1) / C(B, n) as (j, n): n draws without replacement. Unbiased."""
    ranks, draws = np.arange(1, count + 1)[:, None], np.arange(1, count + 1)[None, :]
    possible = ranks >= draws
    spare = np.where(possible, ranks - draws, 0)
    chosen = gammaln(ranks) - gammaln(draws) - gammaln(spare + 1)
    total = gammaln(count + 1) - gammaln(draws + 1) - gammaln(count - draws + 1)
    return np.where(possible, np.exp(chosen - total), 0.0)


def bootstrap_band(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile band of the plug-in estimate over resampled runs, two arrays (B,).

    The resamples are drawn with a fixed seed. Below about twenty runs the band is too narrow.

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
