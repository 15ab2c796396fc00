"""What MLflow is told about a study: a pure mapping from the journal to parameters, metrics and tags.

One parent run per study, one child run per training run. Children are recognised by two tags, the study's id
and the run's name, so that whoever delivers later finds what is there already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from search.tracking.uri import redact
from trainables import records
from trainables.records import ArmRecord, Facts, Outcome, PlanRecord, ReportRow, Run

# What every tracking server since MLflow 2.10 accepts. Longer values are cut, and kept whole as an artifact.
MAX_PARAMETER = 6000
MAX_TAG = 5000

FINISHED = "FINISHED"
FAILED = "FAILED"
KILLED = "KILLED"
RUNNING = "RUNNING"

_STATUS = {
    records.COMPLETED: FINISHED,
    records.STOPPED: FINISHED,  # early stopping is a regular end
    records.DIVERGED: FAILED,
    records.FAILED: FAILED,
}
_WITHOUT_EPOCH = {records.COMPLETED, records.FAILED}


class Point(NamedTuple):
    """One value of one metric; `timestamp` in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class StudyCard:
    """What the run of a study says, and what its children repeat.

    Args:
        name: the study's name.
        id: unique, one per study.
        own: tags of the study's run alone. They are no parameters: a study may grow, and MLflow's parameters cannot.
        shared: tags of the study's run and of every child.
        conditions: tags by the condition's name: its factors.
        arms: tags by the arm's name: the levels of its factors, and whose compute it has.
    """

    name: str
    id: str
    own: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, dict[str, str]] = field(default_factory=dict)
    arms: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def from_plan(cls, study_id: str, plan: PlanRecord, facts: Facts) -> StudyCard:
        """Return the card of a study.

        Args:
            study_id: the journal's `META_ID`.
            plan: the study's plan.
            facts: versions, machine and data.
        """
        excluded = {"name", "version"} if plan.final_seeds else {"name", "version", "final_seeds"}
        fixed = plan.model_dump(mode="json", exclude=excluded)
        own = {
            **_tags(records.TAG_PLAN, {key: value for key, value in fixed.items() if _fits(value)}),
            **_tags(records.TAG_VERSION, facts.versions),
            **_tags(records.TAG_MACHINE, facts.machine),
        }
        shared = {
            records.TAG_DATA: facts.data.fingerprint if facts.data else None,
            records.TAG_COMMIT: (facts.git or {}).get("commit"),
        }
        return cls(
            text_of(plan.name),
            study_id,
            own,
            {name: value for name, value in shared.items() if value},
            {condition.name: _tags(records.TAG_FACTOR, condition.values) for condition in plan.conditions},
            {arm.name: _arm_tags(arm) for arm in plan.arms},
        )

    def tags(self) -> dict[str, str]:
        """Return the tags of the study's run, those of its outcome left out."""
        return {**self._common(), records.TAG_PHASE: records.STUDY, **self.own}

    def run_tags(self, run: Run, parent: str) -> dict[str, str]:
        """Return the tags of a child run, those of its outcome left out.

        Args:
            run: the run.
            parent: MLflow's id of the study's run.
        """
        return {
            **self._common(),
            records.TAG_PARENT: parent,
            records.TAG_RUN: run.name,
            records.TAG_PHASE: run.phase,
            records.TAG_METHOD: run.method,
            records.TAG_CONDITION: run.condition,
            records.TAG_ARM: run.arm,
            records.TAG_SEED: str(run.seed_index),
            records.TAG_TRIAL: str(run.index),
            records.TAG_AUDIT: str(run.audit).lower(),
            **self.conditions.get(run.condition, {}),
            **self.arms.get(run.arm, {}),
        }

    def _common(self) -> dict[str, str]:
        return {records.TAG_STUDY: self.name, records.TAG_STUDY_ID: self.id, **self.shared}


def _tags(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {prefix + name: text_of(value)[:MAX_TAG] for name, value in values.items()}


def _fits(value: Any) -> bool:
    """Return whether a part of the plan is one value, or a list of single values."""
    if isinstance(value, list):
        return bool(value) and not any(isinstance(item, dict | list) for item in value)
    return not isinstance(value, dict)


def _arm_tags(arm: ArmRecord) -> dict[str, str]:
    return {
        **_tags(records.TAG_LEVEL, arm.levels),
        **({records.TAG_COMPUTE_OF: arm.compute_of} if arm.compute_of else {}),
    }


def text_of(value: Any) -> str:
    """Return a parameter's value as MLflow keeps it: plain text, or JSON where it is a list or a mapping."""
    text = value if isinstance(value, str) else json.dumps(value)
    return redact(text)


def parameters(run: Run) -> dict[str, str]:
    """Return a run's parameters in full; `shorten` makes them fit."""
    return {name: text_of(value) for name, value in run.parameters.items()}


def shorten(values: Mapping[str, str], limit: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return (values cut to `limit` characters, the whole of those that were cut)."""
    return (
        {name: value[:limit] for name, value in values.items()},
        {name: value for name, value in values.items() if len(value) > limit},
    )


def epoch_points(reports: Iterable[ReportRow]) -> list[Point]:
    """Return the points of some epochs: the step is the epoch."""
    return [point for report in reports for point in _points(report.metrics, report.epoch, report.at)]


def final_points(outcome: Outcome, at: float) -> list[Point]:
    """Return a run's final figures as points at its last epoch.

    Args:
        outcome: how it ended.
        at: when, in seconds since 1970.
    """
    return _points(outcome.metrics, outcome.epoch, at)


def _points(metrics: Mapping[str, Any], step: int, at: float) -> list[Point]:
    return [
        Point(name, float(value), milliseconds(at), step)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def outcome_text(outcome: Outcome) -> str:
    """Return `TAG_OUTCOME` in full: `completed`, `stopped at epoch 7`, `failed: out of memory`."""
    text = outcome.outcome
    if outcome.outcome not in _WITHOUT_EPOCH:
        text += f" at epoch {outcome.epoch}"
    elif outcome.reason:
        text += f": {outcome.reason}"
    return redact(text)


def interrupted_text(epoch: int) -> str:
    """Return `TAG_OUTCOME` of a run that has no outcome and is not being trained.

    Args:
        epoch: epochs finished so far.
    """
    return f"{records.INTERRUPTED} at epoch {epoch}"


def status(outcome: Outcome) -> str:
    """Return MLflow's status of a run that has ended."""
    return _STATUS[outcome.outcome]


def started(announced: float, reports: Sequence[ReportRow], ended: float) -> int:
    """Return when a run started, in milliseconds since 1970: its first reports minus the seconds they took.

    Args:
        announced: when the run was announced, in seconds since 1970; it did not start before.
        reports: its first reports, in order.
        ended: when it ended, in seconds since 1970; it did not start later.
    """
    begin, trained = ended, 0.0
    for report in reports:
        trained += report.metrics.get(records.SECONDS) or 0.0
        begin = min(begin, report.at - trained)
    return milliseconds(max(announced, begin))


def milliseconds(at: float) -> int:
    """Return a time in seconds since 1970 as MLflow wants it."""
    return int(at * 1000)
