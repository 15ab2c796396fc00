"""Journal: schema, row types and reader of `study.db`, the append-only record of a study.

One process writes (`search.store.journal.Journal`); any number of processes read with `JournalReader`, also while the
study runs: the controller, the delivery to MLflow, `assay status`, export and reports. JSON columns hold one object
each. Times are POSIX seconds.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar

from trainables.errors import InputError
from trainables.records.decisions import KINDS, Decision, EndDecision
from trainables.records.facts import Facts
from trainables.records.files import JOURNAL_FILE
from trainables.records.plan import PlanRecord

if TYPE_CHECKING:
    import numpy as np

D = TypeVar("D", bound=Decision)

# Phases of a study, and the final training from a recipe.
SEARCH = "search"
CONFIRM = "confirm"
TRAIN = "train"
PHASES = (SEARCH, CONFIRM, TRAIN)

# How a run ends.
COMPLETED = "completed"
STOPPED = "stopped"
DIVERGED = "diverged"
FAILED = "failed"
OUTCOMES = (COMPLETED, STOPPED, DIVERGED, FAILED)

# Keys of the journal's `meta` table; every value is JSON.
META_SCHEMA = "schema"
META_CURVES = "curves"  # path of the table that is replayed, or empty
META_RECIPE = "recipe"  # of a final training: {recipe, seeds, config, incomparable}
META_ID = "id"  # unique, one per study: how its runs are recognised in MLflow
META_STUDY = "study"  # the resolved study file
META_PLAN = "plan"  # a `PlanRecord`
META_REGISTER = "register"  # of a final training: the name under which its best model is registered, or null
META_FACTS = "facts"  # a `Facts`

SCHEMA_VERSION = 1
JOURNAL_SCHEMA = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,          -- order of creation
    run TEXT NOT NULL UNIQUE,        -- name, the same in every repetition of the study
    phase TEXT NOT NULL,
    condition TEXT NOT NULL,
    arm TEXT NOT NULL,               -- unique name of the arm (method and condition)
    method TEXT NOT NULL,            -- display name of the method
    k INTEGER NOT NULL,              -- search: trial number in its arm; confirm: number of the pooled point
    seed INTEGER NOT NULL,           -- search: 0; confirm: seed number, from 0
    audit INTEGER NOT NULL,          -- 1: runs to the end whatever the rungs say
    config TEXT NOT NULL,            -- JSON, a whole RunConfig
    parameters TEXT NOT NULL,        -- JSON, plain names (learning_rate, mixup.alpha) to values
    searched TEXT NOT NULL DEFAULT '{}', -- JSON, the values of the searched dimensions
    at REAL NOT NULL
);
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs(run),
    epoch INTEGER NOT NULL,          -- epochs finished, from 1
    metrics TEXT NOT NULL,           -- JSON, EPOCH_METRICS
    at REAL NOT NULL,
    UNIQUE (run, epoch)
);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,              -- Decision.kind
    run TEXT,                        -- RUNG, CONFUSION: the run
    detail TEXT NOT NULL,            -- JSON
    at REAL NOT NULL
);
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE REFERENCES runs(run),
    outcome TEXT NOT NULL,           -- one of OUTCOMES
    epoch INTEGER NOT NULL,          -- epochs finished
    reason TEXT NOT NULL,            -- empty, or why it failed, or what is wrong with a completed run
    metrics TEXT NOT NULL,           -- JSON: SELECTION, and in confirmation TEST_METRICS
    at REAL NOT NULL
);
CREATE TABLE examples (              -- confirmation runs: each test example, in the order of the data
    run TEXT PRIMARY KEY REFERENCES runs(run),
    correct BLOB NOT NULL,           -- zlib of numpy.packbits of bool (n,)
    loss BLOB NOT NULL,              -- zlib of float16 (n,), log loss in nats
    n INTEGER NOT NULL
);
"""

# Row types


@dataclass(frozen=True)
class Run:
    """One training run; `name` is the same in every repetition of the study.

    Args:
        name: unique name.
        phase: one of `PHASES`.
        condition: name of the condition.
        arm: unique name of the arm.
        method: display name of the method.
        trial_index: number of the trial in its arm, from 0; None outside the search.
        point_index: number of the pooled point, from 0; None outside the confirmation.
        seed_index: number of the seed, from 0; 0 in the search. The seed itself is `config["seed"]`.
        audit: whether it runs to the end whatever the rungs say.
        config: a whole `RunConfig` as JSON.
        parameters: settings by plain name (`learning_rate`, `mixup.alpha`).
        searched: values of the searched dimensions by plain name.
    """

    name: str
    phase: str
    condition: str
    arm: str
    method: str
    trial_index: int | None
    point_index: int | None
    seed_index: int
    audit: bool
    config: dict[str, Any]
    parameters: dict[str, Any]
    searched: dict[str, Any] = field(default_factory=dict)

    @property
    def index(self) -> int:
        """The trial or the point, whichever the phase has; 0 in a final training."""
        return next((index for index in (self.trial_index, self.point_index) if index is not None), 0)


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        outcome: one of `OUTCOMES`.
        epoch: epochs finished.
        reason: why it failed, what is wrong with a completed run, or empty.
        metrics: final metrics by name.
    """

    outcome: str
    epoch: int
    reason: str
    metrics: dict[str, float]


class RunRow(NamedTuple):
    """A run, with its place in the journal and when it was announced."""

    id: int
    run: Run
    at: float


class ReportRow(NamedTuple):
    """What a run measured after an epoch."""

    id: int
    run: str
    epoch: int
    metrics: dict[str, float]
    at: float


class ArrivalRow(NamedTuple):
    """A report without its content."""

    id: int
    run: str


class OutcomeRow(NamedTuple):
    """How a run ended, and when."""

    id: int
    run: str
    outcome: Outcome
    at: float


class DecisionRow(NamedTuple, Generic[D]):
    """A decision; `run` is None where it is not about a single run."""

    id: int
    run: str | None
    decision: D
    at: float


class ExampleRow(NamedTuple):
    """Which test examples a confirmation run classified correctly: zlib of `numpy.packbits` of bool (n,)."""

    run: str
    correct: bytes
    n: int

    def unpacked(self) -> np.ndarray:
        """Return bool (n,), in the order of the data."""
        import numpy as np

        bits = np.frombuffer(zlib.decompress(self.correct), dtype=np.uint8)
        return np.unpackbits(bits, count=self.n).astype(bool)


# Reader


class JournalReader:
    """An open journal, for reading. Use it as a context manager.

    Args:
        path: `study.db`.
        connection: an open connection to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a journal for reading only.

        Args:
            path: `study.db`, or the folder that holds it.

        Raises:
            InputError: the journal is missing, damaged, or was written by a newer version.
        """
        journal = find_journal(path)
        with journal_errors(journal):
            connection = sqlite3.connect(_read_only(journal), **CONNECTION)
            check_journal(connection, journal)
        return cls(journal, connection)

    @classmethod
    def reopen(cls, journal: Path) -> Self:
        """Open a journal that this process has opened before, without looking for damage: that reads the whole file.

        Args:
            journal: `study.db`.
        """
        with journal_errors(journal):
            return cls(journal, sqlite3.connect(_read_only(journal), **CONNECTION))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read all that the block reads as of one moment."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.rollback()

    # About the whole study

    def meta(self, key: str) -> Any:
        """Return one value about the whole study, or None."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        with journal_errors(self.path):
            return json.loads(rows[0][0]) if rows else None

    def plan(self) -> PlanRecord | None:
        """Return the plan, or None where the study was stopped before it was announced."""
        plan = self.meta(META_PLAN)
        return None if plan is None else PlanRecord.parse(plan)

    def required_plan(self) -> PlanRecord:
        """Return the plan.

        Raises:
            InputError: the study was stopped before it had one.
        """
        plan = self.plan()
        if plan is None:
            raise InputError(f"the study in {self.path.parent} was stopped before it was planned; nothing was run")
        return plan

    def facts(self) -> Facts:
        """Return versions, machine and data, as far as they were noted."""
        return Facts.parse(self.meta(META_FACTS))

    def span(self) -> tuple[float, float] | None:
        """Return when the first run was announced and when the last row was written, or None where it is empty."""
        first = self._rows("SELECT min(at) FROM runs")[0][0]
        newest = [self._rows(f"SELECT at FROM {table} ORDER BY id DESC LIMIT 1") for table in _TIMED]
        times = [rows[0][0] for rows in newest if rows]
        return (min(times) if first is None else first, max(times)) if times else None

    # Tables; `after` is the id of the last row that is known already

    def runs(self, after: int = 0) -> list[RunRow]:
        """Return the runs, in the order of their announcement."""
        rows = self._rows(
            "SELECT id, run, phase, condition, arm, method, k, seed, audit, config, parameters, searched, at FROM runs"
            " WHERE id > ? ORDER BY id",
            (after,),
        )
        parsed = zip(*(self._objects([row[column] for row in rows]) for column in (9, 10, 11)), strict=True)
        return [RunRow(row[0], _run(row, *json_values), row[12]) for row, json_values in zip(rows, parsed, strict=True)]

    def reports(self, after: int = 0, run: str | None = None) -> list[ReportRow]:
        """Return the epochs in order of arrival, of one run or of all."""
        condition, values = ("", (after,)) if run is None else (" AND run = ?", (after, run))
        rows = self._rows(
            f"SELECT id, run, epoch, metrics, at FROM reports WHERE id > ?{condition} ORDER BY id", values
        )
        metrics = self._objects([row[3] for row in rows])
        return [ReportRow(row[0], row[1], row[2], found, row[4]) for row, found in zip(rows, metrics, strict=True)]

    def arrivals(self, after: int = 0) -> list[ArrivalRow]:
        """Return which runs reported, in order of arrival, without reading what they reported."""
        return [
            ArrivalRow(*row) for row in self._rows("SELECT id, run FROM reports WHERE id > ? ORDER BY id", (after,))
        ]

    def outcomes(self, after: int = 0) -> list[OutcomeRow]:
        """Return how runs ended, in order."""
        rows = self._rows(
            "SELECT id, run, outcome, epoch, reason, metrics, at FROM outcomes WHERE id > ? ORDER BY id", (after,)
        )
        metrics = self._objects([row[5] for row in rows])
        return [
            OutcomeRow(row[0], row[1], Outcome(row[2], row[3], row[4], found), row[6])
            for row, found in zip(rows, metrics, strict=True)
        ]

    def decisions(self, kind: type[D]) -> list[DecisionRow[D]]:
        """Return the decisions of one kind, in order."""
        rows = self._rows("SELECT id, run, detail, at FROM decisions WHERE kind = ? ORDER BY id", (kind.kind,))
        details = self._objects([row[2] for row in rows])
        return [
            DecisionRow(row[0], row[1], kind.parse(detail), row[3]) for row, detail in zip(rows, details, strict=True)
        ]

    def all_decisions(self) -> list[DecisionRow[Decision]]:
        """Return the decisions of every kind, in order; kinds that this version does not know are left out."""
        rows = self._rows("SELECT id, run, detail, at, kind FROM decisions ORDER BY id")
        details = self._objects([row[2] for row in rows])
        return [
            DecisionRow(row[0], row[1], KINDS[row[4]].parse(detail), row[3])
            for row, detail in zip(rows, details, strict=True)
            if row[4] in KINDS
        ]

    def runs_at_end(self) -> int | None:
        """Return how many runs the study had when it ended, or None if it did not end, or went on."""
        rows = self._rows("SELECT kind, detail FROM decisions ORDER BY id DESC LIMIT 1")
        if not rows or rows[0][0] != EndDecision.kind:
            return None
        return EndDecision.parse(self._objects([rows[0][1]])[0]).runs

    def examples(self, runs: Iterable[str] | None = None) -> list[ExampleRow]:
        """Return which test examples runs classified correctly, of some runs or of all; some may have no record."""
        if runs is None:
            return [ExampleRow(*row) for row in self._rows("SELECT run, correct, n FROM examples ORDER BY run")]
        found = [self._rows("SELECT run, correct, n FROM examples WHERE run = ?", (run,)) for run in runs]
        return [ExampleRow(*row) for rows in found for row in rows]

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with journal_errors(self.path):
            return self._db.execute(query, values).fetchall()

    def _objects(self, texts: Sequence[str]) -> list[Any]:
        """Parse many JSON texts at once."""
        with journal_errors(self.path):
            return json.loads(f"[{','.join(texts)}]")


_TIMED = ("runs", "reports", "decisions", "outcomes")
CONNECTION: dict[str, Any] = {"uri": True, "timeout": 30, "isolation_level": None, "check_same_thread": False}
"""Arguments of every connection to a journal."""


def _run(row: Sequence[Any], config: Any, parameters: Any, searched: Any) -> Run:
    phase, index = row[2], row[6]
    return Run(
        name=row[1],
        phase=phase,
        condition=row[3],
        arm=row[4],
        method=row[5],
        trial_index=index if phase == SEARCH else None,
        point_index=index if phase == CONFIRM else None,
        seed_index=row[7],
        audit=bool(row[8]),
        config=config,
        parameters=parameters,
        searched=searched,
    )


def find_journal(path: Path) -> Path:
    """Return the path of a journal, given the path itself or the folder that holds it.

    Raises:
        InputError: there is none.
    """
    folder = path.parent if path.name == JOURNAL_FILE else path
    journal = path if path.is_file() else folder / JOURNAL_FILE
    if journal.is_file():
        return journal
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; give the folder of a study")
    raise InputError(
        f"{folder} is not a study folder: it has no {JOURNAL_FILE}. Create one with `assay run STUDY -o {folder}`."
    )


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and JSON raise on reading a journal into an `InputError`."""
    try:
        yield
    except (sqlite3.DatabaseError, json.JSONDecodeError, zlib.error) as error:
        raise InputError(
            f"{path} is damaged or not a journal of Assay ({error}). Nothing was changed; restore it from a copy."
        ) from None


def check_journal(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal that is damaged, of another kind, or newer than this version.

    Raises:
        InputError: it is newer.
        sqlite3.DatabaseError: it is damaged or not a journal.
    """
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    row = db.execute("SELECT value FROM meta WHERE key = ?", (META_SCHEMA,)).fetchone()
    version = int(row[0]) if row and str(row[0]).isdigit() else 0
    if version < 1:
        raise sqlite3.DatabaseError("it has no version")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} was written by a newer Assay (journal version {version}, this one reads up to {SCHEMA_VERSION}). "
            "Update Assay; nothing was changed."
        )


def _read_only(journal: Path) -> str:
    """Return the SQLite address for reading.

    In a folder where SQLite may not create its lock file, a closed journal is read as it is.
    """
    address = f"{journal.absolute().as_uri()}?mode=ro"
    closed = not journal.with_name(f"{journal.name}-wal").exists()
    return f"{address}&immutable=1" if closed and not os.access(journal.parent, os.W_OK) else address
