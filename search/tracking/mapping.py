"""Mapping from the journal to MLflow's parameters, metrics and tags: pure functions, no MLflow.

There is one parent run per study and one child run per training run. Children are identified by two tags, the id of the
study and the name of the run, so that a later delivery finds what exists already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from search.store.tracking_uri import redact
from trainables import records
from trainables.records import ArmRecord, ConditionRecord, Facts, Outcome, PlanRecord, ReportRow, Run

# Limits of every tracking server since MLflow 2.10. Longer values are truncated, and stored in full as an artifact.
MAX_PARAMETER = 6000
MAX_TAG = 5000
MAX_NAME = 250  # column of MLflow's databases; longer names are refused by some of them

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
_ONLY_CONDITION = "all"  # name of the condition of a study without condition factors
_WITHOUT_EPOCH = {records.COMPLETED, records.FAILED}


class Point(NamedTuple):
    """One value of one metric; `timestamp` in milliseconds since the epoch."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass(frozen=True)
class StudyTags:
    """Tags of a study and of its runs.

    Args:
        name: name of the study.
        id: unique id of the study.
        own: tags of the parent run only. They are not parameters, because a study can be extended and MLflow's
            parameters cannot be changed.
        shared: tags of the parent run and all child runs.
        conditions: tags of the child runs by name of the condition: its factors, and its data set if there are several.
        arms: tags of the child runs by name of the arm: its levels, and the method whose compute it is given.
    """

    name: str
    id: str
    own: dict[str, str] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    conditions: dict[str, dict[str, str]] = field(default_factory=dict)
    arms: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def from_plan(cls, study_id: str, plan: PlanRecord, facts: Facts) -> StudyTags:
        """Return the tags of a study.

        Args:
            study_id: unique id of the study, `META_ID` of the journal.
            plan: plan of the study.
            facts: versions, machine and data.
        """
        excluded = {"name", "version"} if plan.final_seeds else {"name", "version", "final_seeds"}
        fixed = plan.model_dump(mode="json", exclude=excluded, exclude_none=True)
        own = {
            **_tags(records.TAG_PLAN, {key: value for key, value in fixed.items() if _is_flat(value)}),
            **_tags(records.TAG_VERSION, facts.versions),
            **_tags(records.TAG_MACHINE, facts.machine),
            **_data_tag(", ".join(f"{label}: {each.fingerprint}" for label, each in facts.data_sets.items())),
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
            {condition.name: _condition_tags(condition, facts) for condition in plan.conditions},
            {arm.name: _arm_tags(arm) for arm in plan.arms},
        )

    def parent_tags(self) -> dict[str, str]:
        """Return the tags of the parent run, except that of its outcome."""
        return {**self._common(), records.TAG_PHASE: records.STUDY, **self.own}

    def run_tags(self, run: Run, parent: str) -> dict[str, str]:
        """Return the tags of a child run, except that of its outcome.

        Args:
            run: the run.
            parent: MLflow's id of the parent run.
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


def _condition_tags(condition: ConditionRecord, facts: Facts) -> dict[str, str]:
    """Return the factors of a condition, and the fingerprint of its data set in a study on several."""
    own = facts.data_sets.get(condition.data)
    return {**_tags(records.TAG_FACTOR, condition.values), **_data_tag(own.fingerprint if own else "")}


def _data_tag(fingerprint: str) -> dict[str, str]:
    return {records.TAG_DATA: fingerprint[:MAX_TAG]} if fingerprint else {}


def _tags(prefix: str, values: Mapping[str, Any]) -> dict[str, str]:
    return {prefix + name: text_of(value)[:MAX_TAG] for name, value in values.items()}


def _is_flat(value: Any) -> bool:
    """Return whether a part of the plan is a scalar or a non-empty list of scalars."""
    if isinstance(value, list):
        return bool(value) and not any(isinstance(item, dict | list) for item in value)
    return not isinstance(value, dict)


def _arm_tags(arm: ArmRecord) -> dict[str, str]:
    return {
        **_tags(records.TAG_LEVEL, arm.levels),
        **({records.TAG_COMPUTE_OF: arm.compute_of} if arm.compute_of else {}),
    }


def text_of(value: Any) -> str:
    """Return a value as text for MLflow, without credentials: a string as it is, anything else as JSON.

    >>> text_of("sgd"), text_of([0.5, 0.75])
    ('sgd', '[0.5, 0.75]')
    """
    text = value if isinstance(value, str) else json.dumps(value)
    return redact(text)


def run_name(run: Run) -> str:
    """Return the name of a run in MLflow's tables: the method first, then the condition, and what differs last.

    It is for people only; a run is identified by its tags. A long name is truncated in the condition.

    >>> where = "train_fraction=0.1"
    >>> run_name(Run("c0", records.CONFIRM, where, f"{where}: maxup", "maxup", None, 0, 3, False, {}, {}))
    'maxup, train_fraction=0.1, seed 3, point 0'
    """
    indices = {
        records.SEARCH: f"trial {run.trial_index}",
        records.CONFIRM: f"seed {run.seed_index}, point {run.point_index}",
    }
    tail = indices.get(run.phase, f"seed {run.seed_index}")
    parts = [run.method] if run.condition == _ONLY_CONDITION else [run.method, run.condition]
    head = redact(", ".join(parts))
    room = MAX_NAME - len(tail) - 2
    return f"{head if len(head) <= room else head[: room - 1] + '…'}, {tail}"


def parameters(run: Run) -> dict[str, str]:
    """Return the parameters of a run in full; `shorten` truncates them."""
    return {name: text_of(value) for name, value in run.parameters.items()}


def shorten(values: Mapping[str, str], limit: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return (values truncated to `limit` characters, full values of the truncated ones)."""
    return (
        {name: value[:limit] for name, value in values.items()},
        {name: value for name, value in values.items() if len(value) > limit},
    )


def epoch_points(reports: Iterable[ReportRow]) -> list[Point]:
    """Return the metrics of some epochs as points whose step is the epoch."""
    return [point for report in reports for point in _points(report.metrics, report.epoch, report.at)]


def final_points(outcome: Outcome, at: float) -> list[Point]:
    """Return the final metrics of a run as points at its last epoch.

    Args:
        outcome: outcome of the run.
        at: time of the outcome, in POSIX seconds.
    """
    return _points(outcome.metrics, outcome.epoch, at)


def _points(metrics: Mapping[str, Any], step: int, at: float) -> list[Point]:
    return [
        Point(name, float(value), milliseconds(at), step) for name, value in metrics.items() if records.is_number(value)
    ]


def outcome_text(outcome: Outcome) -> str:
    """Return the value of `TAG_OUTCOME`, not truncated.

    >>> outcome_text(Outcome(records.STOPPED, 7, "", {}))
    'stopped at epoch 7'
    >>> outcome_text(Outcome(records.DIVERGED, 7, "the loss was not finite", {}))
    'diverged at epoch 7: the loss was not finite'
    """
    epoch = "" if outcome.outcome in _WITHOUT_EPOCH else f" at epoch {outcome.epoch}"
    reason = f": {outcome.reason}" if outcome.reason else ""
    return redact(f"{outcome.outcome}{epoch}{reason}")


def interrupted_text(epoch: int) -> str:
    """Return the value of `TAG_OUTCOME` for a run without an outcome that is not being trained.

    Args:
        epoch: number of epochs finished.
    """
    return f"{records.INTERRUPTED} at epoch {epoch}"


def status(outcome: Outcome) -> str:
    """Return MLflow's status for an outcome."""
    return _STATUS[outcome.outcome]


def started(announced: float, reports: Sequence[ReportRow], ended: float) -> int:
    """Return the start time of a run in milliseconds: the time of its first reports minus the duration of their epochs.

    Args:
        announced: time at which the run was announced, in POSIX seconds; a lower bound.
        reports: its first reports, in order.
        ended: time at which it ended, in POSIX seconds; an upper bound.
    """
    begin, trained = ended, 0.0
    for report in reports:
        trained += report.metrics.get(records.SECONDS) or 0.0
        begin = min(begin, report.at - trained)
    return milliseconds(max(announced, begin))


def milliseconds(at: float) -> int:
    """Return POSIX seconds in milliseconds, MLflow's unit of time."""
    return int(at * 1000)
