"""What MLflow is told about a study: a pure mapping from the journal to parameters, metrics and tags.

One parent run per study, one child run per training run. Children are recognised by two tags, the study's id
and the run's name, so that whoever delivers later finds what is there already.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from search.journal import Outcome, Run
from trainables import records
from trainables.errors import InputError

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
_USER = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)[\w.~!$&'()*+,;=:%@-]+@")
_SECRET = re.compile(
    r"(?P<before>[A-Za-z][\w+.-]*://[^\s\"'<>]*?[?&](?:password|passwd|pwd|token|access_token|secret)=)[^\s&\"'<>]+"
)


class Point(NamedTuple):
    """One value of one metric; `timestamp` in milliseconds since 1970."""

    key: str
    value: float
    timestamp: int
    step: int


class Report(NamedTuple):
    """What a run measured after an epoch; `id` is its place in the journal, `at` in seconds since 1970."""

    id: int
    epoch: int
    metrics: dict[str, float]
    at: float


@dataclass(frozen=True)
class StudyCard:
    """What the parent run of a study says, and what its children repeat.

    Args:
        name: the study's name.
        id: unique, one per study.
        parameters: of the parent run.
        factors: the values of every condition, by the condition's name.
    """

    name: str
    id: str
    parameters: dict[str, str] = field(default_factory=dict)
    factors: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def from_plan(cls, study_id: str, plan: Mapping[str, Any]) -> StudyCard:
        """Return the card of a study.

        Args:
            study_id: the journal's `META_ID`.
            plan: the journal's `META_PLAN`, see `records.PLAN`.
        """
        figures = {key: text_of(value) for key, value in plan.items() if not isinstance(value, list | dict)}
        name = figures.pop("name")
        factors = {
            condition["name"]: {key: text_of(value) for key, value in condition.get("values", {}).items()}
            for condition in plan.get("conditions", [])
        }
        return cls(name, study_id, figures, factors)

    def tags(self) -> dict[str, str]:
        """Return the tags of the parent run, those of its outcome left out."""
        return {
            records.TAG_STUDY: self.name,
            records.TAG_STUDY_ID: self.id,
            records.TAG_PHASE: records.STUDY,
        }

    def run_tags(self, run: Run, parent: str) -> dict[str, str]:
        """Return the tags of a child run, those of its outcome left out.

        Args:
            run: the run.
            parent: MLflow's id of the parent run.
        """
        factors = self.factors.get(run.condition, {})
        return {
            records.TAG_PARENT: parent,
            records.TAG_STUDY: self.name,
            records.TAG_STUDY_ID: self.id,
            records.TAG_RUN: run.name,
            records.TAG_PHASE: run.phase,
            records.TAG_METHOD: run.method,
            records.TAG_CONDITION: run.condition,
            records.TAG_ARM: run.arm,
            records.TAG_SEED: str(run.seed),
            records.TAG_TRIAL: str(run.k),
            records.TAG_AUDIT: str(run.audit).lower(),
            **{records.TAG_FACTOR + factor: redact(value)[:MAX_TAG] for factor, value in factors.items()},
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


def epoch_points(reports: Iterable[Report]) -> list[Point]:
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


def study_is_complete(
    plan: Mapping[str, Any], runs: Mapping[str, Run], ended: set[str], pools: Iterable[Mapping[str, Any]]
) -> bool:
    """Return whether a study has trained all that it is going to train.

    Args:
        plan: the journal's `META_PLAN`.
        runs: all runs by name.
        ended: the names of those that have an outcome.
        pools: the details of the journal's `POOL` decisions.
    """
    if any(name not in ended for name in runs):
        return False
    points = {pool["condition"]: len(pool["points"]) for pool in pools}
    confirmed = [run.condition for run in runs.values() if run.phase == records.CONFIRM]
    arms = [arm["condition"] for arm in plan.get("arms", [])]
    return all(
        condition["name"] in points
        and confirmed.count(condition["name"])
        >= points[condition["name"]] * plan["seeds"] * arms.count(condition["name"])
        for condition in plan.get("conditions", [])
    )


def started(announced: float, reports: Sequence[Report], ended: float) -> int:
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


def redact(text: str) -> str:
    """Return a text in which no URI holds a user, a password or a token."""
    return _SECRET.sub(r"\g<before>***", _USER.sub(r"\g<scheme>***@", text))


def store_uri(folder: Path, uri: str | None = None) -> str:
    """Return the URI of the tracking store of a study.

    Args:
        folder: the study's folder.
        uri: a store named by the user; otherwise MLFLOW_TRACKING_URI, otherwise a SQLite file in the folder.

    Returns:
        The URI, with an absolute path if it is a SQLite file.

    Raises:
        InputError: it is a folder: MLflow has retired its file store.
    """
    own = f"sqlite:///{folder.absolute() / records.MLFLOW_FILE}"
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or own
    scheme, separator, path = uri.partition("://")
    if scheme.startswith("file") or (not separator and uri != "databricks"):
        raise InputError(
            f"tracking.uri is {redact(uri)!r}, a folder, which MLflow no longer writes to. "
            "Name a server (http://host:5000) or a database (sqlite:///mlflow.db), or leave it out."
        )
    if scheme == "sqlite" and path.startswith("/"):
        return f"sqlite:///{Path(path[1:]).absolute()}"
    return uri


def without_credentials(uri: str) -> tuple[str, dict[str, str]]:
    """Split a server's URI into one without credentials and the environment variables that hold them instead.

    MLflow repeats a server's address in its messages. A database's URI stays whole: its driver needs it.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or parts.username is None:
        return uri, {}
    variables = {"MLFLOW_TRACKING_USERNAME": unquote(parts.username)}
    if parts.password is not None:
        variables["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), variables
