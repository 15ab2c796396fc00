"""Can it be trusted: was every arm given the same, and how much do single seeds differ?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from reports.data.frames import StudyData
from reports.descriptive.learning_curves import best_runs
from reports.statistics.estimators import Interval, spread_interval
from trainables.records import CONFIRM, SEARCH, TEST_ACCURACY, ArmRecord, ConditionRecord, PlanRecord


@dataclass(frozen=True)
class SeedSpread:
    """How much single seeds of an arm differ at its best setting, in test accuracy; fractions.

    Args:
        seeds: how many there are.
        deviation: standard deviation over seeds.
        interval: its 95 % interval.
        low, high: worst and best seed.
    """

    seeds: int
    deviation: float
    interval: Interval
    low: float
    high: float


def seed_spread(study: StudyData, arm: ArmRecord) -> SeedSpread | None:
    """Return the spread over seeds of an arm, or None below two seeds."""
    runs = best_runs(study, arm)
    values = pd.Series(dtype=float) if runs is None else runs[TEST_ACCURACY].dropna()
    if len(values) < 2:
        return None
    deviation = float(values.std(ddof=1))
    bounds = spread_interval(deviation, len(values))
    return SeedSpread(len(values), deviation, bounds, float(values.min()), float(values.max()))


def unequal(study: StudyData, condition: ConditionRecord) -> list[str]:
    """Return in sentences what the arms of a condition were not given alike; empty if all is fair so far.

    Arms that were given another compute on purpose are left out, and so is what is still to come: only runs that
    have ended count, and only where an arm has all its runs.
    """
    arms = [arm for arm in study.plan.arms if arm.condition == condition.name and arm.compute_of is None]
    found = []
    search = {arm.method: study.runs_of(SEARCH, arm.condition, arm.method) for arm in arms}
    confirm = {arm.method: study.runs_of(CONFIRM, arm.condition, arm.method) for arm in arms}
    if _differ(set(runs["index"]) for runs in search.values()):
        found.append(f"Search runs per method: {_counts(search)}.")
    if _differ(set(runs.loc[runs["audit"], "index"]) for runs in search.values()):
        found.append("The runs that go to the end whatever the rules say are not the same in all methods.")
    shared = [arm.spaces.keys() for arm in arms]
    names = set.intersection(*(set(keys) for keys in shared)) if shared else set()
    if _differ(_points(runs, names, study.plan) for runs in search.values() if len(runs)):
        found.append("The methods were not searched at the same settings.")
    if _differ(set(zip(runs["index"], runs["seed_index"], strict=True)) for runs in confirm.values()):
        found.append(f"Confirmation runs per method: {_counts(confirm)}.")
    return found


def _differ(sets: Iterable[object]) -> bool:
    every = list(sets)
    return any(one != every[0] for one in every)


def _points(runs: pd.DataFrame, names: set[str], plan: PlanRecord) -> dict[int, tuple[tuple[str, str], ...]]:
    rows = runs[runs["index"] % max(plan.trials_per_arm, 1) < plan.designed]
    return {
        int(k): tuple(sorted((name, str(value)) for name, value in searched.items() if name in names))
        for k, searched in zip(rows["index"], rows["searched"], strict=True)
    }


def _counts(runs: dict[str, pd.DataFrame]) -> str:
    return ", ".join(f"{method} {len(frame)}" for method, frame in runs.items())
