"""Schema of `study.db`: tables, constants, and the checksums by which a changed or missing row is noticed.

The rows of every table are numbered from 1 without gaps, and the checksum of a row covers its number, so a missing row
in between leaves a gap. The entry `rows` of the table `meta` contains the number of rows of every table, so a missing
last row is also noticed. Every transaction updates it.
"""

from __future__ import annotations

import functools
import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

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
META_DATA = "data"  # paths of the images relative to the folder, by field of the data source
META_DATA_SETS = "data_sets"  # the same by label of the data set, in a study on several
META_RECIPE = "recipe"  # of a final training: {recipe, seeds, config, incomparable}
META_ID = "id"  # unique, one per study: how its runs are recognised in MLflow
META_STUDY = "study"  # the resolved study file
META_PLAN = "plan"  # a `PlanRecord`
META_REGISTER = "register"  # of a final training: the name under which its best model is registered, or null
META_FACTS = "facts"  # a `Facts`
META_ROWS = "rows"  # number of rows of each table

SCHEMA_VERSION = 2
FIRST_CHECKED = 2  # first version whose rows have checksums
JOURNAL_SCHEMA = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    checksum INTEGER
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
    audit INTEGER NOT NULL,          -- 1: runs to the end regardless of the rungs
    config TEXT NOT NULL,            -- JSON, a whole RunConfig
    parameters TEXT NOT NULL,        -- JSON, plain names (learning_rate, mixup.alpha) to values
    searched TEXT NOT NULL DEFAULT '{}', -- JSON, the values of the searched dimensions
    at REAL NOT NULL,
    checksum INTEGER
);
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs(run),
    epoch INTEGER NOT NULL,          -- epochs finished, from 1
    metrics TEXT NOT NULL,           -- JSON, EPOCH_METRICS
    at REAL NOT NULL,
    checksum INTEGER,
    UNIQUE (run, epoch)
);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,              -- Decision.kind
    run TEXT,                        -- RUNG, CONFUSION: the run
    detail TEXT NOT NULL,            -- JSON
    at REAL NOT NULL,
    checksum INTEGER
);
CREATE TABLE outcomes (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE REFERENCES runs(run),
    outcome TEXT NOT NULL,           -- one of OUTCOMES
    epoch INTEGER NOT NULL,          -- epochs finished
    reason TEXT NOT NULL,            -- empty, or why it failed, or what is wrong with a completed run
    metrics TEXT NOT NULL,           -- JSON: SELECTION, and in confirmation TEST_METRICS
    at REAL NOT NULL,
    checksum INTEGER
);
CREATE TABLE examples (              -- confirmation runs: each test example, in the order of the data
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE REFERENCES runs(run),
    n INTEGER NOT NULL,
    checksum INTEGER,
    correct BLOB NOT NULL,           -- zlib of numpy.packbits of bool (n,)
    loss BLOB NOT NULL               -- zlib of float16 (n,), log loss in nats
);
"""


class StoredRun(NamedTuple):
    """A row of the table `runs`; the columns are described in `JOURNAL_SCHEMA`."""

    table = "runs"
    id: int
    run: str
    phase: str
    condition: str
    arm: str
    method: str
    k: int
    seed: int
    audit: int
    config: str
    parameters: str
    searched: str
    at: float
    checksum: int | None = None


class StoredReport(NamedTuple):
    """A row of the table `reports`."""

    table = "reports"
    id: int
    run: str
    epoch: int
    metrics: str
    at: float
    checksum: int | None = None


class StoredDecision(NamedTuple):
    """A row of the table `decisions`."""

    table = "decisions"
    id: int
    kind: str
    run: str | None
    detail: str
    at: float
    checksum: int | None = None


class StoredOutcome(NamedTuple):
    """A row of the table `outcomes`."""

    table = "outcomes"
    id: int
    run: str
    outcome: str
    epoch: int
    reason: str
    metrics: str
    at: float
    checksum: int | None = None


class StoredExample(NamedTuple):
    """A row of the table `examples`. The checksum does not cover `loss`: zlib contains a checksum of it."""

    table = "examples"
    id: int
    run: str
    n: int
    correct: bytes
    checksum: int | None = None
    loss: bytes = b""


StoredRow = StoredRun | StoredReport | StoredDecision | StoredOutcome | StoredExample
Row = TypeVar("Row", bound=StoredRow)
TABLES: tuple[type[StoredRow], ...] = (StoredRun, StoredReport, StoredDecision, StoredOutcome, StoredExample)
META = "meta"
NEW = 0
"""Number of a row that is not in the journal yet."""


@functools.cache
def covered(kind: type[StoredRow]) -> tuple[str, ...]:
    """Return the columns of a table that the checksum of a row covers: those before it.

    >>> covered(StoredReport)
    ('id', 'run', 'epoch', 'metrics', 'at')
    """
    return kind._fields[: kind._fields.index("checksum")]


def selection(kind: type[StoredRow], columns: Sequence[str], checked: bool) -> str:
    """Return the beginning of a query of a table's rows.

    Args:
        kind: the type of the rows.
        columns: its first columns.
        checked: whether the journal has checksums (see `journal_file.has_checksums`).

    >>> selection(StoredDecision, ("id", "kind", "checksum"), checked=False)
    'SELECT rowid, kind, NULL FROM decisions'
    """
    expressions = {"id": "rowid"} if checked else {"id": "rowid", "checksum": "NULL"}
    return f"SELECT {', '.join(expressions.get(column, column) for column in columns)} FROM {kind.table}"


@functools.cache
def insertion(kind: type[StoredRow]) -> str:
    """Return the statement that inserts a whole row.

    >>> insertion(StoredReport)
    'INSERT INTO reports (id, run, epoch, metrics, at, checksum) VALUES (?, ?, ?, ?, ?, ?)'
    """
    return f"INSERT INTO {kind.table} ({', '.join(kind._fields)}) VALUES ({', '.join('?' * len(kind._fields))})"


def checksum(row: Iterable[Any]) -> int:
    """Return the checksum of a row: CRC-32 of its values as text.

    >>> checksum((1, "r1", 3, "{}", 0.5)) == checksum([1, "r1", 3, "{}", 0.5])
    True
    >>> checksum((1, "r1", 3, "{}", 0.5)) == checksum((2, "r1", 3, "{}", 0.5))
    False
    """
    return zlib.crc32("\x1f".join(map(str, row)).encode("utf-8", "surrogatepass"))


def is_intact(row: Sequence[Any]) -> bool:
    """Return whether a row, whose last value is its checksum, matches it."""
    return checksum(row[:-1]) == row[-1]


def are_intact(rows: Iterable[Sequence[Any]]) -> bool:
    """Return whether `is_intact` holds for every row; faster than a call for each of many rows."""
    crc32, join = zlib.crc32, "\x1f".join
    return all(crc32(join(map(str, row[:-1])).encode("utf-8", "surrogatepass")) == row[-1] for row in rows)


def seal(db: sqlite3.Connection) -> None:
    """Write the checksums of all rows and the number of rows of every table. The caller commits.

    Args:
        db: a journal whose rows are numbered from 1 without gaps.
    """
    counts = {}
    for kind in TABLES:
        rows = db.execute(f"{selection(kind, covered(kind), checked=True)} ORDER BY rowid").fetchall()
        sums = [(checksum(row), kind(*row).id) for row in rows]
        db.executemany(f"UPDATE {kind.table} SET checksum = ? WHERE id = ?", sums)
        counts[kind.table] = len(rows)
    entries = db.execute(f"SELECT key, value FROM {META} WHERE key <> ?", (META_ROWS,)).fetchall()
    sums = [(checksum((key, value)), key) for key, value in entries]
    db.executemany(f"UPDATE {META} SET checksum = ? WHERE key = ?", sums)
    write_entry(db, META_ROWS, json.dumps({**counts, META: len(entries) + 1}))


def write_entry(db: sqlite3.Connection, key: str, value: str) -> None:
    """Write an entry about the whole study with its checksum; an existing one is replaced. The caller commits."""
    db.execute(
        f"INSERT INTO {META} VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
        (key, value, checksum((key, value))),
    )
