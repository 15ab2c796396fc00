"""Cost of methods: time per epoch relative to the reference, and effects at equal compute."""

from __future__ import annotations

from dataclasses import dataclass

from reports.data.frames import StudyData
from reports.inference.contrasts import contrast_data
from reports.statistics.estimators import Estimate
from trainables.records import CONFIRM, SEARCH, SECONDS, ArmRecord, ContrastRecord


@dataclass(frozen=True)
class EpochTime:
    """Time per epoch of an arm.

    Args:
        arm: the arm.
        seconds: median over runs of the median time per epoch; NaN if there are no epochs yet.
        relative: the same, relative to the reference; NaN if either is unknown.
    """

    arm: ArmRecord
    seconds: float
    relative: float


@dataclass(frozen=True)
class EqualComputeEffect:
    """Effect of a method relative to an arm that was given the same compute, paired over seeds.

    Args:
        condition: name of the condition.
        method: display name of the method.
        against: display name of the arm with as much compute; it was not retuned for that length.
        effect: difference of the test metric, each side at its own best points, signed so that positive is better.
        value: mean test metric of the method.
        other: mean test metric of the other arm.
    """

    condition: str
    method: str
    against: str
    effect: Estimate
    value: float
    other: float


def epoch_times(study: StudyData, condition: str) -> list[EpochTime]:
    """Return the time per epoch of every arm of a condition, from confirmation runs if there are any, else search."""
    arms = study.plan.arms_of(condition)
    seconds = {arm.method: _seconds(study, arm) for arm in arms}
    reference = seconds.get(study.plan.reference(condition) or "", float("nan")) or float("nan")
    return [EpochTime(arm, seconds[arm.method], seconds[arm.method] / reference) for arm in arms]


def _seconds(study: StudyData, arm: ArmRecord) -> float:
    """Return the median over runs of the median epoch; the first epoch of a run may include compilation."""
    for phase in (CONFIRM, SEARCH):
        rows = study.curves_of(study.runs_of(phase, arm.condition, arm.method)["run"])
        medians = rows.groupby("run", observed=True)[SECONDS].median().dropna()
        if len(medians):
            return float(medians.median())
    return float("nan")


def equal_compute_effects(study: StudyData) -> list[EqualComputeEffect]:
    """Return the effect of every method relative to the arm that was given its compute, if both have finished runs."""
    found = []
    for arm in study.plan.arms:
        if arm.compute_of is None:
            continue
        contrast = ContrastRecord(condition=arm.condition, method=arm.compute_of, reference=arm.method)
        data = contrast_data(study, contrast)
        if data.tuned_over_seeds is None:
            continue
        own, other = (study.plan.unit.as_maximized(float(mean)) for mean in data.test_values.mean(axis=1))
        found.append(EqualComputeEffect(arm.condition, arm.compute_of, arm.method, data.tuned_over_seeds, own, other))
    return found
