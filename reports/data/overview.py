"""What was run, how it ended, and what is still missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.data.completeness import planned_confirmations, planned_trials, pools
from reports.data.frames import UNFINISHED, StudyData
from trainables import records
from trainables.records import ArmRecord, RungDecision


@dataclass(frozen=True)
class PointSummary:
    """One pooled point: a nuisance setting at which every arm of a condition is confirmed.

    Args:
        number: its number, the `k` of its confirmation runs.
        origin: the search run that found it ("mixup, search run 3"), empty where nothing was searched.
        values: the setting, by plain name.
    """

    number: int
    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Counts:
    """How many runs of one phase of one arm ended how.

    Args:
        planned: as many as the plan asks for.
        unfinished: started, not ended.
        waiting: not started.
    """

    planned: int
    completed: int
    stopped: int
    diverged: int
    failed: int
    unfinished: int

    @property
    def ended(self) -> int:
        """Runs that have an outcome."""
        return self.completed + self.stopped + self.diverged + self.failed

    @property
    def waiting(self) -> int:
        """Runs that have not started."""
        return max(0, self.planned - self.ended - self.unfinished)


@dataclass(frozen=True)
class ArmSummary:
    """What an arm cost and how its runs ended.

    Args:
        arm: the arm, as planned.
        search: its search runs.
        confirm: its confirmation runs.
        reasons: why runs failed, each with its number of runs, the most frequent first.
        plain_epochs: its cost so far in epochs of plain training.
        seconds: its training time so far.
    """

    arm: ArmRecord
    search: Counts
    confirm: Counts
    reasons: tuple[tuple[str, int], ...]
    plain_epochs: float
    seconds: float


@dataclass(frozen=True)
class Audit:
    """The early-stopping audit of an arm: runs that went to the end although a rung would have stopped them.

    Args:
        audited: runs that were to go to the end whatever the rungs said.
        would_stop: those of them that a rung would have stopped.
        mistakes: those of these that ended in the better half of the arm's full-length runs.
    """

    audited: int
    would_stop: int
    mistakes: int


def pooled_points(study: StudyData, condition: str) -> tuple[PointSummary, ...] | None:
    """Return the pooled points of a condition, of all its searches, or None while none are chosen."""
    methods = {arm.name: arm.method for arm in study.plan.arms}
    chosen = pools(study, condition)
    return (
        tuple(
            PointSummary(
                number=search * study.plan.points + place,
                origin=f"{methods.get(point.arm, point.arm)}, search run {point.trial_index}" if point.values else "",
                values=point.values,
            )
            for search, points in sorted(chosen.items())
            for place, point in enumerate(points)
        )
        or None
    )


def summarise_arms(study: StudyData) -> list[ArmSummary]:
    """Return how the runs of every arm ended, in the order of the plan."""
    costs = run_costs(study)
    return [_summary(study, arm, costs) for arm in study.plan.arms]


def _summary(study: StudyData, arm: ArmRecord, costs: pd.DataFrame) -> ArmSummary:
    search = study.runs_of(records.SEARCH, arm.condition, arm.method)
    confirm = study.runs_of(records.CONFIRM, arm.condition, arm.method)
    runs = study.runs[study.runs["arm"] == arm.name]
    reasons = runs.loc[runs["outcome"] == records.FAILED, "reason"].replace("", "no reason given")
    cost = costs.reindex(runs["run"]).sum()
    return ArmSummary(
        arm=arm,
        search=_counts(search, planned_trials(study, arm)),
        confirm=_counts(confirm, planned_confirmations(study, arm.condition, arm.method)),
        reasons=tuple((str(reason), int(count)) for reason, count in reasons.value_counts().items()),
        plain_epochs=float(cost[records.PLAIN_EPOCHS]),
        seconds=float(cost[records.SECONDS]),
    )


def _counts(runs: pd.DataFrame, planned: int) -> Counts:
    found = runs["outcome"].value_counts()
    return Counts(planned, *(int(found.get(name, 0)) for name in (*records.OUTCOMES, UNFINISHED)))


def run_costs(study: StudyData) -> pd.DataFrame:
    """Return for each run its cost in plain epochs (a running total) and its training seconds (one entry an
    epoch)."""
    grouped = study.curves.groupby("run", observed=True)
    return pd.DataFrame(
        {
            records.PLAIN_EPOCHS: grouped[records.PLAIN_EPOCHS].max(),
            records.SECONDS: grouped[records.SECONDS].sum(),
        }
    )


def audit(study: StudyData, arm: ArmRecord) -> Audit:
    """Return the early-stopping audit of an arm: would-be stops, and how many of them would have been
    mistakes.

    A would-be stop is called a mistake if the run, left alone, ended in the better half of the arm's search
    runs of full length.
    """
    runs = study.runs_of(records.SEARCH, arm.condition, arm.method)
    audited = set(runs.loc[runs["audit"], "run"])
    stops = {
        run
        for run, decision in study.decisions_of(RungDecision)
        if run in audited and decision.action == records.WOULD_STOP
    }
    full = runs[runs["outcome"].isin([records.COMPLETED, records.DIVERGED])].set_index("run")
    quality = full[records.SELECTION] if study.plan.higher_is_better else -full[records.SELECTION]
    better = set(quality.index[quality >= quality.median()]) if len(quality) > 1 else set()
    return Audit(audited=len(audited), would_stop=len(stops), mistakes=len(stops & better))


def missing(summaries: Sequence[ArmSummary]) -> list[str]:
    """Return in sentences what a finished study would have and this one has not; empty when complete."""
    lacking = []
    for phase, words in ((records.SEARCH, "search"), (records.CONFIRM, "confirmation")):
        counts = [summary.search if phase == records.SEARCH else summary.confirm for summary in summaries]
        planned, ended = sum(count.planned for count in counts), sum(min(c.ended, c.planned) for c in counts)
        if ended < planned:
            lacking.append(f"{ended} of {planned} {words} runs have ended.")
    failed = sum(summary.search.failed + summary.confirm.failed for summary in summaries)
    if failed:
        lacking.append(f"{_runs(failed)} failed; the reasons stand in the table of runs.")
    return lacking


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def duration(seconds: float) -> str:
    """Return a duration in the two largest units: `1 h 20 min`, `3 min 5 s`."""
    total = round(seconds)
    hours, minutes = divmod(total // 60, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {total % 60} s" if minutes else f"{total} s"
