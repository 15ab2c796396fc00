"""What a method costs: seconds of an epoch beside the reference, and effects at equal compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.data.frames import StudyData
from reports.inference.contrasts import measure
from reports.statistics.estimators import Estimate
from trainables.records import CONFIRM, SEARCH, SECONDS, ArmRecord, ContrastRecord, as_maximized


@dataclass(frozen=True)
class Pace:
    """How long an epoch of an arm takes.

    Args:
        arm: the arm.
        seconds: median over runs of a run's median epoch; NaN before any epoch is there.
        relative: the same, divided by the reference's; NaN where either is missing.
    """

    arm: ArmRecord
    seconds: float
    relative: float


@dataclass(frozen=True)
class EqualCompute:
    """A method against what is given the same compute, paired over seeds.

    Args:
        condition: name of the condition.
        method: display name of the method.
        against: display name of the arm that got as much compute, not retuned at that length.
        effect: difference of the test figure, each at its own best points, turned so that more is better.
        value, other: means of the test figure.
    """

    condition: str
    method: str
    against: str
    effect: Estimate
    value: float
    other: float


def paces(study: StudyData, condition: str) -> list[Pace]:
    """Return the pace of every arm of a condition, from its confirmation runs, before them from its search."""
    arms = [arm for arm in study.plan.arms if arm.condition == condition]
    seconds = {arm.method: _seconds(study, arm) for arm in arms}
    reference = seconds.get(study.plan.reference(condition) or "", float("nan"))
    return [Pace(arm, seconds[arm.method], seconds[arm.method] / reference if reference else np.nan) for arm in arms]


def _seconds(study: StudyData, arm: ArmRecord) -> float:
    """Return the median over runs of the median epoch: the first epoch of a run may hold its compilation."""
    for phase in (CONFIRM, SEARCH):
        rows = study.curves_of(study.runs_of(phase, arm.condition, arm.method)["run"])
        medians = rows.groupby("run", observed=True)[SECONDS].median().dropna()
        if len(medians):
            return float(medians.median())
    return float("nan")


def at_equal_compute(study: StudyData) -> list[EqualCompute]:
    """Return every method against the arms that were given its compute, as far as both are finished."""
    found = []
    for arm in study.plan.arms:
        if arm.compute_of is None:
            continue
        measured = measure(study, ContrastRecord(condition=arm.condition, method=arm.compute_of, reference=arm.method))
        if measured.over_seeds is None:
            continue
        own, other = (as_maximized(study.plan.unit.metric, float(level)) for level in measured.levels.mean(axis=1))
        found.append(EqualCompute(arm.condition, arm.compute_of, arm.method, measured.over_seeds, own, other))
    return found
