"""Fairness: whether all arms of a condition were treated alike, and how much results vary between seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.data.frames import StudyData
from reports.data.overview import StoppingAudit
from reports.descriptive.learning_curves import best_runs
from reports.statistics.estimators import Interval, exact_interval, spread_interval
from trainables.records import CONFIRM, SEARCH, TEST_ACCURACY, ArmRecord, ConditionRecord, PlanRecord, number_were

AUDIT_FROM = 10
"""Minimum number of would-be stops for an estimate of the share of wrong ones."""


@dataclass(frozen=True)
class SeedSpread:
    """Variation of test accuracy over the seeds of an arm at its best setting, as fractions.

    Args:
        deviation: standard deviation over seeds.
        interval: 95 % interval of the standard deviation.
    """

    deviation: float
    interval: Interval


def seed_spread(study: StudyData, arm: ArmRecord) -> SeedSpread | None:
    """Return the variation over seeds of an arm, or None with fewer than two seeds."""
    runs = best_runs(study, arm)
    values = pd.Series(dtype=float) if runs is None else runs[TEST_ACCURACY].dropna()
    if len(values) < 2:
        return None
    deviation = float(values.std(ddof=1))
    return SeedSpread(deviation, spread_interval(deviation, len(values)))


def unequal_treatment(study: StudyData, condition: ConditionRecord) -> list[str]:
    """Return sentences about differences in the treatment of a condition's arms; empty if there are none.

    Compared are the runs started so far: their numbers, the runs exempt from early stopping, the shared settings of the
    search and the seeds of the confirmation. Arms that were given another compute on purpose are left out.
    """
    arms = [arm for arm in study.plan.arms if arm.condition == condition.name and arm.compute_of is None]
    found = []
    search = {arm.method: study.runs_of(SEARCH, arm.condition, arm.method) for arm in arms}
    confirm = {arm.method: study.runs_of(CONFIRM, arm.condition, arm.method) for arm in arms}
    if _differ(set(runs["index"]) for runs in search.values()):
        found.append(f"Search runs per method: {_counts(search)}.")
    if _differ(set(runs.loc[runs["audit"], "index"]) for runs in search.values()):
        found.append("The search runs that are exempt from early stopping differ between methods.")
    shared = set.intersection(*(set(arm.spaces) for arm in arms)) if arms else set()
    if _differ(_shared_settings(runs, shared, study.plan) for runs in search.values() if len(runs)):
        found.append("The methods were not searched at the same shared settings.")
    if _differ(set(zip(runs["index"], runs["seed_index"], strict=True)) for runs in confirm.values()):
        found.append(f"Confirmation runs per method: {_counts(confirm)}.")
    return found


def _differ(sets: Iterable[object]) -> bool:
    first, *others = [*sets] or [None]
    return any(one != first for one in others)


def _shared_settings(runs: pd.DataFrame, names: set[str], plan: PlanRecord) -> dict[int, tuple[tuple[str, str], ...]]:
    """Return the values of the shared dimensions by trial, for the trials drawn without looking at results."""
    rows = runs[runs["index"] % max(plan.trials_per_arm, 1) < plan.designed]
    return {
        int(trial): tuple(sorted((name, str(value)) for name, value in searched.items() if name in names))
        for trial, searched in zip(rows["index"], rows["searched"], strict=True)
    }


def _counts(runs: dict[str, pd.DataFrame]) -> str:
    return ", ".join(f"{method} {len(frame)}" for method, frame in runs.items())


def audit_result(audits: Sequence[StoppingAudit]) -> str:
    """Return the result of the early-stopping audit; its error rate needs `AUDIT_FROM` would-be stops."""
    audited, stops = sum(one.audited for one in audits), sum(one.would_stop for one in audits)
    if not audited:
        return "Early stopping was not audited: no run was exempt from it."
    runs = number_were(audited, "run")
    start = f"{runs} trained to the end regardless; the rules would have stopped {stops} of them."
    if stops < AUDIT_FROM:
        return f"{start} At least {AUDIT_FROM} such stops are needed to estimate how often they are wrong."
    wrong = sum(one.mistakes for one in audits)
    bounds = exact_interval(wrong, stops)
    share = f"{100 * wrong / stops:.0f} % ({100 * bounds.low:.0f} to {100 * bounds.high:.0f})"
    return f"{start} {wrong} of these finished in the better half of their arm: {share} of the stops would be wrong."
