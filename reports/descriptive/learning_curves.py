"""Learning curves of every arm at its best setting: mean and standard deviation over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from trainables.records import CONFIRM, FAILED, SEARCH, SELECTION, ArmRecord, number_of


@dataclass(frozen=True)
class ArmCurves:
    """Learning curves of an arm at one setting.

    Args:
        method: display name of the arm.
        runs: number of runs averaged.
        source: description of the runs ("6 seeds at setting 1").
        mean: mean over the runs that reached the epoch, indexed by epoch, with one column per metric.
        spread: standard deviation over these runs, of the same shape; NaN for a single run.
    """

    method: str
    runs: int
    source: str
    mean: pd.DataFrame
    spread: pd.DataFrame


def arm_curves(study: StudyData, arm: ArmRecord) -> ArmCurves | None:
    """Return the curves of an arm at its best pooled point, or of its best search run before the confirmation.

    The best point is the one with the best mean selection metric, or the first point if no run has ended yet. The
    result is None if the arm has no runs.
    """
    chosen = best_runs(study, arm)
    if chosen is not None:
        seeds = number_of(len(chosen), "seed")
        return _averaged(study, arm, chosen, f"{seeds} at setting {chosen['index'].iloc[0]}")
    searched = _usable(study, arm, SEARCH)
    if searched.empty:
        return None
    trial = _best(searched.set_index("index")[SELECTION], study)
    return _averaged(study, arm, searched[searched["index"] == trial], f"search run {trial}, the best so far")


def best_runs(study: StudyData, arm: ArmRecord) -> pd.DataFrame | None:
    """Return the confirmation runs of an arm at its best pooled point, or None if there are none yet."""
    confirmed = _usable(study, arm, CONFIRM)
    if confirmed.empty:
        return None
    return confirmed[confirmed["index"] == _best(confirmed.groupby("index")[SELECTION].mean(), study)]


def _usable(study: StudyData, arm: ArmRecord, phase: str) -> pd.DataFrame:
    """Return the runs of a phase that have not failed, including runs in progress."""
    runs = study.runs_of(phase, arm.condition, arm.method)
    return runs[(runs["outcome"] != FAILED) & (runs["epoch"] > 0)]


def _best(selection: pd.Series, study: StudyData) -> int:
    """Return the index of the best value of the selection metric, or the first index if no value is known."""
    values = study.plan.as_maximized(selection.to_numpy(dtype=float))
    return int(selection.index.to_numpy(dtype=int)[np.argmax(np.nan_to_num(values, nan=-np.inf))])


def _averaged(study: StudyData, arm: ArmRecord, runs: pd.DataFrame, source: str) -> ArmCurves:
    by_epoch = study.curves_of(runs["run"]).drop(columns="run").groupby("epoch")
    return ArmCurves(arm.method, len(runs), source, by_epoch.mean(), by_epoch.std(ddof=1))
