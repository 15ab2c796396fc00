"""Schema of `study.db`: tables, constants, and the checksums by which a changed or missing row is noticed.

The rows of every table are numbered from 1 without gaps, and the checksum of a row covers its number, so a missing row
in between leaves a gap. The entry `rows` of the table `meta` holds the number of rows of every table, so a missing last
row is noticed too. Every transaction updates it.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

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
    audit INTEGER NOT NULL,          -- 1: runs to the end whatever the rungs say
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

TABLES: dict[str, tuple[str, ...]] = {
    "runs": (
        "id", "run", "phase", "condition", "arm", "method", "k", "seed", "audit", "config", "parameters", "searched",
        "at",
    ),
    "reports": ("id", "run", "epoch", "metrics", "at"),
    "decisions": ("id", "kind", "run", "detail", "at"),
    "outcomes": ("id", "run", "outcome", "epoch", "reason", "metrics", "at"),
    "examples": ("id", "run", "n", "correct"),
}  # fmt: skip
"""Columns that a row's checksum covers, by table. `examples.loss` is not among them: zlib holds a checksum of it."""
META = "meta"


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
    for table, columns in TABLES.items():
        rows = db.execute(f"SELECT {', '.join(columns)} FROM {table} ORDER BY id").fetchall()
        db.executemany(f"UPDATE {table} SET checksum = ? WHERE id = ?", [(checksum(row), row[0]) for row in rows])
        counts[table] = len(rows)
    entries = db.execute(f"SELECT key, value FROM {META} WHERE key <> ?", (META_ROWS,)).fetchall()
    db.executemany(f"UPDATE {META} SET checksum = ? WHERE key = ?", [(checksum(row), row[0]) for row in entries])
    write_entry(db, META_ROWS, json.dumps({**counts, META: len(entries) + 1}))


def write_entry(db: sqlite3.Connection, key: str, value: str) -> None:
    """Write an entry about the whole study with its checksum; an existing one is replaced. The caller commits."""
    db.execute(
        f"INSERT INTO {META} VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
        (key, value, checksum((key, value))),
    )
