"""Run counts: progress of a study as numbers of runs per arm, work done and best results so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from trainables import records
from trainables.records import Decision, Outcome, PlanRecord, Run, confirmation_runs


@dataclass
class ArmCount:
    """Runs of an arm, and its best configuration so far.

    Args:
        condition, method: display names.
        expected: expected number of runs by phase.
        ended: number of runs with an outcome by phase.
        running: number of runs without an outcome.
        outcomes: number of ended runs by outcome.
        best: mean selection metric of the best configuration; NaN before any run has ended.
        best_runs: number of runs in that mean.
        parameters: hyperparameters of that configuration.
    """

    condition: str
    method: str
    expected: dict[str, int]
    ended: dict[str, int] = field(default_factory=lambda: dict.fromkeys(records.PHASES, 0))
    running: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(records.OUTCOMES, 0))
    best: float = float("nan")
    best_runs: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyProgress:
    """Progress of a study or a final training.

    Args:
        arms: counts of each arm.
        done, total: work in epochs of plain training; epochs saved by early stopping count as done.
        metric: name of the selection metric.
        finished: whether every run has ended, and the end is recorded.
        stopping_rule: what open seeds mean, in words; empty if the number of seeds is fixed.
        precision: how `precision: auto` was decided, in words; empty if the study file gives the precision.
    """

    arms: list[ArmCount]
    done: float
    total: float
    metric: str = records.VALIDATION_ACCURACY
    finished: bool = False
    stopping_rule: str = ""
    precision: str = ""


@dataclass(frozen=True)
class RunProgress:
    """Progress of one run: epochs finished, and its outcome or None."""

    run: Run
    epoch: int
    outcome: Outcome | None


def count_runs(plan: PlanRecord, runs: Iterable[RunProgress], decisions: Iterable[Decision] = ()) -> StudyProgress:
    """Count the runs of a study.

    Args:
        plan: the study's plan.
        runs: the runs announced so far.
        decisions: the decisions about its confirmation so far.
    """
    planned = {arm.name: arm for arm in plan.arms}
    expected = _expected(plan, decisions)
    arms = {arm.name: ArmCount(arm.condition, arm.method, expected[arm.name]) for arm in plan.arms}
    done = 0.0
    selected: dict[str, dict[tuple[str, ...], list[RunProgress]]] = {name: {} for name in arms}
    for progress in runs:
        run, outcome, arm = progress.run, progress.outcome, arms[progress.run.arm]
        length = plan.epochs_of(planned[run.arm], run.phase)
        done += planned[run.arm].cost * (length if outcome else progress.epoch)
        if outcome is None:
            arm.running += 1
            continue
        arm.ended[run.phase] += 1
        arm.outcomes[outcome.outcome] += 1
        if records.SELECTION in outcome.metrics:
            selected[run.arm].setdefault((run.phase, *map(str, run.searched.values())), []).append(progress)
    total = sum(
        arm.cost * plan.epochs_of(arm, phase) * count
        for arm in plan.arms
        for phase, count in arms[arm.name].expected.items()
    )
    for name, arm in arms.items():
        _find_best(arm, list(selected[name].values()), plan.metric)
    return StudyProgress(
        list(arms.values()),
        done,
        total,
        plan.metric,
        stopping_rule=plan.stopping_rule,
        precision=plan.precision.text if plan.precision else "",
    )


def _find_best(arm: ArmCount, configurations: list[list[RunProgress]], metric: str) -> None:
    """Set the best configuration of an arm.

    Only configurations of the latest phase that have the most runs are considered, so that a mean over few seeds is not
    compared with a mean over many.

    Args:
        arm: counts of the arm, which are changed.
        configurations: the ended runs of each configuration.
        metric: name of the selection metric.
    """
    if not configurations:
        return
    last = max(records.PHASES.index(runs[0].run.phase) for runs in configurations)
    latest = [runs for runs in configurations if runs[0].run.phase == records.PHASES[last]]
    most = max(len(runs) for runs in latest)
    best = max(
        (runs for runs in latest if len(runs) == most), key=lambda runs: records.as_maximized(metric, _mean(runs))
    )
    arm.best, arm.best_runs, arm.parameters = _mean(best), most, best[0].run.searched


def _mean(runs: list[RunProgress]) -> float:
    return fmean(progress.outcome.metrics[records.SELECTION] for progress in runs if progress.outcome)


def _expected(plan: PlanRecord, decisions: Iterable[Decision]) -> dict[str, dict[str, int]]:
    """Return the expected number of runs by arm and phase."""
    confirmed = confirmation_runs(plan, decisions)
    return {
        arm.name: {
            records.SEARCH: plan.trials_of(arm),
            records.CONFIRM: confirmed[arm.name],
            records.TRAIN: plan.final_seeds,
        }
        for arm in plan.arms
    }
