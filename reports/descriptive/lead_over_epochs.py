"""Lead over epochs: paired difference to the reference by epoch, overtaking, final off phase, generalisation gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from reports.descriptive.learning_curves import best_runs
from reports.statistics.estimators import Estimate, over_seeds, t_quantile
from trainables.records import TRAIN_ACCURACY, VALIDATION_ACCURACY, ArmRecord, ConditionRecord


@dataclass(frozen=True)
class LeadOverEpochs:
    """Lead of a method over its reference by epoch, with each arm at its own best setting.

    Args:
        condition: name of the condition.
        method: display name of the method.
        epochs: int (E,), the epochs compared: all, or the ends of off blocks and the final off phase.
        mean: float (E,), mean over seeds of the paired difference of the validation metric; positive is better.
        low, high: float (E,), pointwise 95 % interval over seeds, NaN for a single seed.
        seeds: number of pairs.
        overtakes: epoch from which the smoothed lead stays positive, None if the method does not finish ahead.
        from_start: whether the method is ahead from the first compared epoch on.
        off_gain: change of the lead during the final off phase of the method, None if it has no such phase.
        off_from: number of epochs finished when the final off phase begins.
    """

    condition: str
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
class GeneralisationGap:
    """Training and validation accuracy of an arm at the end of training: means over seeds, as fractions."""

    condition: str
    method: str
    training: float
    validation: float

    @property
    def gap(self) -> float:
        """Training accuracy minus validation accuracy."""
        return self.training - self.validation


def lead_over_epochs(
    study: StudyData, arm: ArmRecord, reference: ArmRecord, condition: ConditionRecord
) -> LeadOverEpochs | None:
    """Compare an arm with its reference epoch by epoch; None if they share no seed.

    The metric of a method that is switched on and off oscillates. If either arm has such a cycle, both are compared at
    the ends of its off blocks and in its final off phase only.
    """
    own, other = (_by_seed(study, one) for one in (arm, reference))
    seeds = own.columns.intersection(other.columns)
    differences = (own[seeds] - other[seeds]).dropna(how="all", axis=1).dropna()
    if differences.empty:
        return None
    compared = _compared(differences, [arm, reference])
    count = compared.shape[1]
    mean = compared.mean(axis=1)
    half = compared.std(axis=1, ddof=1) / np.sqrt(count) * t_quantile(max(count - 1, 1))  # NaN for a single seed
    window = 1 if arm.block_ends or reference.block_ends else condition.selection_epochs
    overtakes, from_start = overtaking_epoch(mean, window)
    return LeadOverEpochs(
        condition=arm.condition,
        method=arm.method,
        epochs=compared.index.to_numpy(dtype=int),
        mean=mean.to_numpy(),
        low=(mean - half).to_numpy(),
        high=(mean + half).to_numpy(),
        seeds=count,
        overtakes=overtakes,
        from_start=from_start,
        off_gain=_off_gain(differences, arm, condition),
        off_from=arm.off_from if _has_off_phase(arm, condition) else None,
    )


def _by_seed(study: StudyData, arm: ArmRecord) -> pd.DataFrame:
    """Return the validation metric at the arm's best setting, epochs by seeds, signed so that higher is better."""
    runs = best_runs(study, arm)
    if runs is None:
        return pd.DataFrame()
    rows = study.curves_of(runs["run"])
    seeds = rows["run"].astype(str).map(runs.set_index("run")["seed_index"])
    table = rows.assign(seed=seeds).pivot_table(index="epoch", columns="seed", values=study.plan.metric)
    return study.plan.as_maximized(table)


def _compared(differences: pd.DataFrame, arms: list[ArmRecord]) -> pd.DataFrame:
    """Return the epochs at which neither arm is in an on block, or all epochs if there are none."""
    kept = np.ones(len(differences), dtype=bool)
    epochs = differences.index.to_numpy(dtype=int)
    for arm in arms:
        if arm.block_ends:
            kept &= np.isin(epochs, arm.block_ends) | (epochs > (arm.off_from or np.inf))
    return differences[kept] if kept.any() else differences


def overtaking_epoch(mean: pd.Series, window: int) -> tuple[int | None, bool]:
    """Return the epoch from which the smoothed lead stays positive, and whether it is the first epoch.

    Args:
        mean: the lead, indexed by epoch.
        window: number of epochs of the running mean.

    >>> overtaking_epoch(pd.Series([-1.0, 1.0, 2.0], index=[1, 2, 3]), window=1)
    (2, False)
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
    """Estimate the change of the lead from the last epochs before the final off phase to the last epochs of training.

    For a method with an on/off cycle, the end of the last off block takes the place of the epochs before the phase, so
    that the oscillation does not affect the result.
    """
    last, begin = condition.selection_epochs, arm.off_from
    if begin is None or not _has_off_phase(arm, condition) or differences.index.max() < condition.epochs:
        return None
    blocks = [epoch for epoch in arm.block_ends if epoch <= begin]
    before = blocks[-1:] or list(range(begin - last + 1, begin + 1))
    early = differences[differences.index.isin(before)]
    late = differences[differences.index > condition.epochs - last]
    return over_seeds((late.mean() - early.mean()).to_numpy()) if len(early) else None


def generalisation_gap(study: StudyData, arm: ArmRecord, condition: ConditionRecord) -> GeneralisationGap | None:
    """Return training and validation accuracy of an arm at its best setting; None if no run is that far yet."""
    runs = best_runs(study, arm)
    if runs is None:
        return None
    rows = study.curves_of(runs["run"])
    end = rows[rows["epoch"] > (arm.epochs or condition.epochs) - condition.selection_epochs]
    if end.empty:
        return None
    training, validation = (float(end[metric].mean()) for metric in (TRAIN_ACCURACY, VALIDATION_ACCURACY))
    return GeneralisationGap(arm.condition, arm.method, training, validation)
