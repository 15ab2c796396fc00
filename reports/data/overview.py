"""Overview of a study's runs: outcomes, cost, pooled points, the early-stopping audit, and what is still missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from reports.data.completeness import planned_confirmations, pools_by_search, seeds_of
from reports.data.frames import UNFINISHED, StudyData
from trainables import records
from trainables.records import ArmRecord, RungDecision, number_of


@dataclass(frozen=True)
class PointSummary:
    """A pooled point: a setting at which all arms of a condition are confirmed.

    Args:
        number: index of the point, `k` in the names of its confirmation runs.
        origin: search run that found it ("mixup, search run 3"), or empty if nothing was searched.
        values: values of the setting, by plain name.
    """

    number: int
    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class RunCounts:
    """Number of runs of one phase of an arm, by outcome.

    Args:
        planned: runs that the plan requires.
        unfinished: runs that have started and not ended.
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
    """Outcomes and cost of an arm's runs.

    Args:
        arm: the arm.
        search: counts of its search runs.
        confirm: counts of its confirmation runs.
        reasons: reasons of failed runs with their numbers, the most frequent first.
        plain_epochs: cost so far, in epochs of plain training.
        seconds: training time so far.
    """

    arm: ArmRecord
    search: RunCounts
    confirm: RunCounts
    reasons: tuple[tuple[str, int], ...]
    plain_epochs: float
    seconds: float


@dataclass(frozen=True)
class StoppingAudit:
    """Early-stopping audit of an arm: its runs that were exempt from early stopping.

    Args:
        audited: number of exempt runs.
        would_stop: number of those that a rung would have stopped.
        mistakes: number of those that finished in the better half of the arm's full-length runs.
    """

    audited: int
    would_stop: int
    mistakes: int


class SavedRuns(NamedTuple):
    """Confirmation runs that looks made unnecessary, and the number of runs without looks."""

    saved: int
    planned: int


def pooled_points(study: StudyData, condition: str) -> tuple[PointSummary, ...] | None:
    """Return the pooled points of a condition over all its searches, or None if none are chosen yet."""
    methods = {arm.name: arm.method for arm in study.plan.arms}
    return (
        tuple(
            PointSummary(
                number=search * study.plan.points + position,
                origin=f"{methods.get(point.arm, point.arm)}, search run {point.trial_index}" if point.values else "",
                values=point.values,
            )
            for search, points in sorted(pools_by_search(study, condition).items())
            for position, point in enumerate(points)
        )
        or None
    )


def summarise_arms(study: StudyData) -> list[ArmSummary]:
    """Return outcomes and cost of every arm, in the order of the plan."""
    costs, own = run_costs(study), dict(iter(study.runs.groupby("arm", observed=True)))
    return [_summary(study, arm, own.get(arm.name, study.runs.iloc[:0]), costs) for arm in study.plan.arms]


def _summary(study: StudyData, arm: ArmRecord, runs: pd.DataFrame, costs: pd.DataFrame) -> ArmSummary:
    search = study.runs_of(records.SEARCH, arm.condition, arm.method)
    confirm = study.runs_of(records.CONFIRM, arm.condition, arm.method)
    reasons = runs.loc[runs["outcome"] == records.FAILED, "reason"].replace("", "no reason given")
    cost = costs.reindex(runs["run"]).sum()
    return ArmSummary(
        arm=arm,
        search=_counts(search, study.plan.trials_of(arm)),
        confirm=_counts(confirm, planned_confirmations(study, arm.condition, arm.method)),
        reasons=tuple((str(reason), int(count)) for reason, count in reasons.value_counts().items()),
        plain_epochs=float(cost[records.PLAIN_EPOCHS]),
        seconds=float(cost[records.SECONDS]),
    )


def _counts(runs: pd.DataFrame, planned: int) -> RunCounts:
    found = runs["outcome"].value_counts()
    return RunCounts(planned, *(int(found.get(name, 0)) for name in (*records.OUTCOMES, UNFINISHED)))


def run_costs(study: StudyData) -> pd.DataFrame:
    """Return the total cost of every run: columns `plain_epochs` and `seconds`, indexed by run.

    The journal records plain epochs as a running total and seconds per epoch.
    """
    grouped = study.curves.groupby("run", observed=True)
    return pd.DataFrame(
        {
            records.PLAIN_EPOCHS: grouped[records.PLAIN_EPOCHS].max(),
            records.SECONDS: grouped[records.SECONDS].sum(),
        }
    )


def stopping_audit(study: StudyData, arm: ArmRecord) -> StoppingAudit:
    """Return the early-stopping audit of an arm.

    Stopping a run would have been a mistake if the run, which was trained to the end, finished in the better half of
    the arm's full-length search runs.
    """
    runs = study.runs_of(records.SEARCH, arm.condition, arm.method)
    audited = set(runs.loc[runs["audit"], "run"])
    stops = {
        run
        for run, decision in study.decisions_of(RungDecision)
        if run in audited and decision.action == records.WOULD_STOP
    }
    full = runs[runs["outcome"].isin([records.COMPLETED, records.DIVERGED])].set_index("run")
    values = study.plan.as_maximized(full[records.SELECTION])
    better = set(values.index[values >= values.median()]) if len(values) > 1 else set()
    return StoppingAudit(audited=len(audited), would_stop=len(stops), mistakes=len(stops & better))


def runs_saved_by_looks(study: StudyData) -> SavedRuns:
    """Return how many confirmation runs looks made unnecessary so far."""
    saved = planned = 0
    for arm in study.plan.arms:
        seeds = seeds_of(study, arm.condition, arm.method)
        points = planned_confirmations(study, arm.condition, arm.method) // seeds
        saved += points * (study.plan.seeds - seeds)
        planned += points * study.plan.seeds
    return SavedRuns(saved, planned)


def missing_runs(summaries: Sequence[ArmSummary]) -> list[str]:
    """Return sentences about runs that have not ended or have failed; empty if the study is complete."""
    sentences = []
    for phase, words in ((records.SEARCH, "search"), (records.CONFIRM, "confirmation")):
        counts = [summary.search if phase == records.SEARCH else summary.confirm for summary in summaries]
        planned, ended = sum(count.planned for count in counts), sum(min(c.ended, c.planned) for c in counts)
        if ended < planned:
            sentences.append(f"{ended} of {planned} {words} runs have ended.")
    failed = sum(summary.search.failed + summary.confirm.failed for summary in summaries)
    if failed:
        sentences.append(f"{number_of(failed, 'run')} failed; the reasons are listed in the table of runs.")
    return sentences
