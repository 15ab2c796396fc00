"""Learning curves of the runs that a verdict rests on: means and spreads over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from trainables.records import CONFIRM, FAILED, SEARCH, SELECTION, ArmRecord


@dataclass(frozen=True)
class ArmCurves:
    """The learning curves of one arm at one point.

    Args:
        method: display name.
        runs: number of runs averaged.
        source: the runs in words ("6 seeds at setting 1").
        mean: indexed by epoch, one column a metric: the mean over the runs that reached the epoch.
        spread: the same shape: standard deviation over runs, NaN where there is one only.
    """

    method: str
    runs: int
    source: str
    mean: pd.DataFrame
    spread: pd.DataFrame


def arm_curves(study: StudyData, arm: ArmRecord) -> ArmCurves | None:
    """Return an arm's curves at its own best pooled point; before the confirmation, of its best search run.

    The best point is the one with the best mean selection metric; before any run has ended, the first.
    """
    chosen = best_runs(study, arm)
    if chosen is not None:
        seeds = "1 seed" if len(chosen) == 1 else f"{len(chosen)} seeds"
        return _averaged(study, arm, chosen, f"{seeds} at setting {chosen['index'].iloc[0]}")
    searched = _usable(study, arm, SEARCH)
    if searched.empty:
        return None
    k = _best(searched.set_index("index")[SELECTION], study)
    return _averaged(study, arm, searched[searched["index"] == k], f"search run {k}, the best so far")


def best_runs(study: StudyData, arm: ArmRecord) -> pd.DataFrame | None:
    """Return the confirmation runs of an arm at its own best point, or None where there are none yet."""
    confirmed = _usable(study, arm, CONFIRM)
    if confirmed.empty:
        return None
    return confirmed[confirmed["index"] == _best(confirmed.groupby("index")[SELECTION].mean(), study)]


def _usable(study: StudyData, arm: ArmRecord, phase: str) -> pd.DataFrame:
    """Return the runs of a phase that have not failed; those in progress count as far as they are."""
    runs = study.runs_of(phase, arm.condition, arm.method)
    return runs[(runs["outcome"] != FAILED) & (runs["epoch"] > 0)]


def _best(qualities: pd.Series, study: StudyData) -> int:
    """Return the index of the best quality, the first where none is known."""
    points = qualities.index.to_numpy(dtype=int)
    signed = qualities.to_numpy(dtype=float) * (1 if study.plan.higher_is_better else -1)
    return int(points[np.argmax(np.nan_to_num(signed, nan=-np.inf))])


def _averaged(study: StudyData, arm: ArmRecord, runs: pd.DataFrame, source: str) -> ArmCurves:
    by_epoch = study.curves_of(runs["run"]).drop(columns="run").groupby("epoch")
    return ArmCurves(arm.method, len(runs), source, by_epoch.mean(), by_epoch.std(ddof=1))
