"""When in training: paired differences along the epochs, overtaking, the gain of the final off phase. Descriptive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from reports.descriptive.learning_curves import best_runs
from reports.statistics.estimators import Estimate, over_seeds
from trainables.records import TRAIN_ACCURACY, VALIDATION_ACCURACY, ArmRecord, ConditionRecord


@dataclass(frozen=True)
class Course:
    """How a method's lead over its reference went along the training, each at its own best setting.

    Args:
        method: display name.
        epochs: int (E,), those that are compared: all, or the ends of off blocks and the final off phase.
        mean: float (E,), mean over seeds of the paired difference of the metric, positive if the method is better.
        low, high: float (E,), 95 % interval over seeds at each epoch on its own, NaN where there is one seed.
        seeds: pairs.
        overtakes: the epoch from which the smoothed lead stays positive; None where it does not end ahead.
        from_start: it was ahead from the first compared epoch on.
        off_gain: what the method gained in its final off phase beyond its reference; None where it has none.
        off_from: epochs finished when that phase begins.
    """

    method: str
    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: int
    overtakes: int | None
    from_start: bool
    off_gain: Estimate | None
    off_from: int | None


@dataclass(frozen=True)
class Gap:
    """Accuracy on training and validation images at the end of training, means over seeds, fractions."""

    method: str
    training: float
    validation: float

    @property
    def gap(self) -> float:
        """Training minus validation."""
        return self.training - self.validation


def course(study: StudyData, arm: ArmRecord, reference: ArmRecord, condition: ConditionRecord) -> Course | None:
    """Compare an arm with its reference epoch by epoch, or return None where no seed has both.

    A method with an on/off cycle saw-tooths; it is compared at the ends of its off blocks and in the final off phase,
    and so is whatever is held against it.
    """
    own, other = (_by_seed(study, one) for one in (arm, reference))
    seeds = own.columns.intersection(other.columns)
    differences = (own[seeds] - other[seeds]).dropna(how="all", axis=1).dropna()
    if differences.empty:
        return None
    compared = _compared(differences, [arm, reference])
    spread = compared.std(axis=1, ddof=1) if compared.shape[1] > 1 else compared.mean(axis=1) * np.nan
    half = spread / np.sqrt(compared.shape[1]) * _t(compared.shape[1])
    mean = compared.mean(axis=1)
    window = 1 if arm.block_ends or reference.block_ends else condition.selection_epochs
    overtakes, from_start = overtaking(mean, window)
    return Course(
        method=arm.method,
        epochs=compared.index.to_numpy(dtype=int),
        mean=mean.to_numpy(),
        low=(mean - half).to_numpy(),
        high=(mean + half).to_numpy(),
        seeds=compared.shape[1],
        overtakes=overtakes,
        from_start=from_start,
        off_gain=_off_gain(differences, arm, condition),
        off_from=arm.off_from if _has_off_phase(arm, condition) else None,
    )


def _t(seeds: int) -> float:
    interval = Estimate(0.0, 1.0, max(seeds - 1, 1)).interval
    return interval.high if interval else float("nan")


def _by_seed(study: StudyData, arm: ArmRecord) -> pd.DataFrame:
    """Return the metric of the arm's confirmation runs at its best setting, higher is better: epoch by seed."""
    runs = best_runs(study, arm)
    if runs is None:
        return pd.DataFrame()
    rows = study.curves_of(runs["run"])
    seeds = rows["run"].astype(str).map(runs.set_index("run")["seed_index"])
    table = rows.assign(seed=seeds).pivot_table(index="epoch", columns="seed", values=study.plan.metric)
    return table if study.plan.higher_is_better else -table


def _compared(differences: pd.DataFrame, arms: list[ArmRecord]) -> pd.DataFrame:
    """Return the epochs at which neither arm is in an on block."""
    kept = np.ones(len(differences), dtype=bool)
    epochs = differences.index.to_numpy(dtype=int)
    for arm in arms:
        if arm.block_ends:
            kept &= np.isin(epochs, arm.block_ends) | (epochs > (arm.off_from or np.inf))
    return differences[kept] if kept.any() else differences


def overtaking(mean: pd.Series, window: int) -> tuple[int | None, bool]:
    """Return from which epoch on a lead stays positive, and whether that is the first one.

    Args:
        mean: the lead, indexed by epoch.
        window: epochs of the running mean that smooths it.
    """
    smooth = mean.rolling(window, min_periods=1).mean()
    behind = np.flatnonzero(smooth.to_numpy() <= 0)
    first = int(behind[-1]) + 1 if behind.size else 0
    if first >= len(smooth):
        return None, False
    return int(smooth.index[first]), first == 0


def _has_off_phase(arm: ArmRecord, condition: ConditionRecord) -> bool:
    return arm.off_from is not None and 0 < arm.off_from < condition.epochs


def _off_gain(differences: pd.DataFrame, arm: ArmRecord, condition: ConditionRecord) -> Estimate | None:
    """Estimate how much the lead grew from the last epochs before the final off phase to the last of all.

    Before it stands the end of the last off block where the method has a cycle, so that the saw-tooth does not count.
    """
    last, begin = condition.selection_epochs, arm.off_from
    if begin is None or not _has_off_phase(arm, condition) or differences.index.max() < condition.epochs:
        return None
    blocks = [epoch for epoch in arm.block_ends if epoch <= begin]
    before = blocks[-1:] or list(range(begin - last + 1, begin + 1))
    early = differences[differences.index.isin(before)]
    late = differences[differences.index > condition.epochs - last]
    return over_seeds((late.mean() - early.mean()).to_numpy()) if len(early) else None


def gap(study: StudyData, arm: ArmRecord, condition: ConditionRecord) -> Gap | None:
    """Return the accuracies of an arm at the end of training at its best setting; None before any run is there."""
    runs = best_runs(study, arm)
    if runs is None:
        return None
    rows = study.curves_of(runs["run"])
    end = rows[rows["epoch"] > (arm.epochs or condition.epochs) - condition.selection_epochs]
    if end.empty:
        return None
    return Gap(arm.method, float(end[TRAIN_ACCURACY].mean()), float(end[VALIDATION_ACCURACY].mean()))
