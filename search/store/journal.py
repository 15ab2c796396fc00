"""The journal: the one truth about a study, append-only, written before its effect.

One process writes (the driver, guarded by a lock file); anyone may read while it does. The first record of an epoch
or an outcome stays: what a resumed run reports again is not written twice.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from trainables import records
from trainables.errors import InputError, StoppedError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Run:
    """One training run of a study; `name` is the same in every repetition of the study.

    The fields are the columns of the journal's table `runs`; `config` is a whole `RunConfig` as JSON, `searched`
    the values of the dimensions that are searched.
    """

    name: str
    phase: str
    condition: str
    arm: str
    method: str
    k: int
    seed: int
    audit: bool
    config: dict[str, Any]
    parameters: dict[str, Any]
    searched: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    outcome: str
    epoch: int
    reason: str
    metrics: dict[str, float]


class Journal:
    """An open journal.

    Args:
        path: `study.db`.
        connection: an open connection to it.
        lock: the writer's lock, or None for a reader.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[str] | None) -> None:
        self.path = path
        self._db = connection
        self._lock = lock

    @classmethod
    def create(cls, path: Path) -> Journal:
        """Create a new journal and take its lock.

        Raises:
            InputError: there is one already, or another process has the lock.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {path.parent} cannot be made ({error}); choose another `--output`") from None
        lock = _lock(path)
        unfinished = path.with_suffix(".new")
        try:
            if path.exists():
                raise InputError(f"{path} exists already. Continue it with `assay resume {path.parent}`.")
            unfinished.unlink(missing_ok=True)
            with closing(sqlite3.connect(unfinished)) as db:
                db.executescript(records.JOURNAL_SCHEMA)
                db.execute("INSERT INTO meta VALUES (?, ?)", (records.META_SCHEMA, str(records.SCHEMA_VERSION)))
                db.commit()
            unfinished.rename(path)
            return cls._opened(path, lock)
        except sqlite3.OperationalError as error:
            unfinished.unlink(missing_ok=True)
            lock.close()
            raise InputError(f"{path} cannot be written ({error}); nothing was started") from None
        except BaseException:
            unfinished.unlink(missing_ok=True)
            lock.close()
            raise

    @classmethod
    def open(cls, path: Path, write: bool = True) -> Journal:
        """Open an existing journal.

        Args:
            path: `study.db`.
            write: take the writer's lock; otherwise the journal is opened for reading only.

        Raises:
            InputError: it is missing, damaged, newer than this version, or another process writes it.
        """
        if not path.parent.is_dir():
            raise InputError(f"there is no folder {path.parent}. Name the folder of a study.")
        if not path.is_file():
            raise InputError(f"no study in {path.parent}: {path.name} is missing. Start one with `assay run`.")
        lock = _lock(path) if write else None
        try:
            return cls._opened(path, lock)
        except BaseException:
            if lock:
                lock.close()
            raise

    @classmethod
    def _opened(cls, path: Path, lock: IO[str] | None) -> Journal:
        try:
            db = _connect(path, write=lock is not None)
            _check(db, path)
            if lock:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=NORMAL")
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{path} cannot be read as a journal ({error}). Nothing was changed; restore it from a copy."
            ) from None
        return cls(path, db, lock)

    def close(self) -> None:
        """Close the journal and give its lock back."""
        self._db.close()
        if self._lock:
            self._lock.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Write all that the block writes, or nothing.

        Raises:
            StoppedError: the disk is full or gone.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise StoppedError(f"{self.path} cannot be written ({error})") from error
        finally:
            if self._db.in_transaction:
                self._db.rollback()

    # Writing

    def set_meta(self, key: str, value: Any) -> None:
        """Write one value about the whole study; only the first one stays."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def add_runs(self, runs: Iterable[Run]) -> None:
        """Announce runs."""
        rows = [
            (
                run.name, run.phase, run.condition, run.arm, run.method, run.k, run.seed, int(run.audit),
                json.dumps(run.config), json.dumps(run.parameters), json.dumps(run.searched), time.time(),
            )
            for run in runs
        ]  # fmt: skip
        with self._writing() as db:
            db.executemany(
                "INSERT INTO runs"
                " (run, phase, condition, arm, method, k, seed, audit, config, parameters, searched, at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def report(self, run: str, epochs: Iterable[tuple[int, dict[str, float]]]) -> None:
        """Write what a run measured after some epochs."""
        rows = [(run, epoch, json.dumps(metrics), time.time()) for epoch, metrics in epochs]
        with self._writing() as db:
            db.executemany("INSERT OR IGNORE INTO reports (run, epoch, metrics, at) VALUES (?, ?, ?, ?)", rows)

    def decide(self, kind: str, detail: dict[str, Any], run: str | None = None) -> None:
        """Write a decision."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO decisions (kind, run, detail, at) VALUES (?, ?, ?, ?)",
                (kind, run, json.dumps(detail), time.time()),
            )

    def extend(self, study: dict[str, Any], plan: dict[str, Any], detail: dict[str, Any]) -> None:
        """Write down that the study grows: its new study file and plan, and the decision that holds the old one."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO decisions (kind, run, detail, at) VALUES (?, NULL, ?, ?)",
                (records.EXTEND, json.dumps(detail), time.time()),
            )
            for key, value in ((records.META_STUDY, study), (records.META_PLAN, plan)):
                db.execute("UPDATE meta SET value = ? WHERE key = ?", (json.dumps(value), key))

    def end(
        self, run: str, outcome: Outcome, correct: np.ndarray | None = None, loss: np.ndarray | None = None
    ) -> None:
        """Write how a run ended.

        Args:
            run: its name.
            outcome: how it ended.
            correct: bool (n,), of a confirmation run: which test examples were right.
            loss: float (n,), their log loss.
        """
        import numpy as np

        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO outcomes (run, outcome, epoch, reason, metrics, at) VALUES (?, ?, ?, ?, ?, ?)",
                (run, outcome.outcome, outcome.epoch, outcome.reason, json.dumps(outcome.metrics), time.time()),
            )
            if correct is not None and loss is not None:
                bits = zlib.compress(np.packbits(correct).tobytes())
                losses = zlib.compress(np.clip(loss, 0, 60000).astype(np.float16).tobytes())
                db.execute("INSERT OR IGNORE INTO examples VALUES (?, ?, ?, ?)", (run, bits, losses, len(correct)))

    # Reading

    def meta(self, key: str) -> Any:
        """Return one value about the whole study, or None."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else None

    def runs(self, after: int = 0) -> list[tuple[int, Run]]:
        """Return the runs with their ids, in order of creation, from the first one after id `after`."""
        rows = self._db.execute(
            "SELECT id, run, phase, condition, arm, method, k, seed, audit, config, parameters, searched FROM runs"
            " WHERE id > ? ORDER BY id",
            (after,),
        )
        return [(row[0], _run(row[1:])) for row in rows]

    def reports(self, after: int = 0, limit: int = -1) -> list[tuple[int, str, int, dict[str, float], float]]:
        """Return (id, run, epoch, metrics, time) of the epochs, in order of arrival, from after id `after`."""
        rows = self._db.execute(
            "SELECT id, run, epoch, metrics, at FROM reports WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [(row[0], row[1], row[2], json.loads(row[3]), row[4]) for row in rows]

    def decisions(self, kind: str) -> list[tuple[str | None, dict[str, Any]]]:
        """Return (run, detail) of the decisions of one kind, in order."""
        rows = self._db.execute("SELECT run, detail FROM decisions WHERE kind = ? ORDER BY id", (kind,))
        return [(run, json.loads(detail)) for run, detail in rows]

    def outcomes(self, after: int = 0) -> list[tuple[int, str, Outcome, float]]:
        """Return (id, run, outcome, time) of the runs that ended, in order, from after id `after`."""
        rows = self._db.execute(
            "SELECT id, run, outcome, epoch, reason, metrics, at FROM outcomes WHERE id > ? ORDER BY id", (after,)
        )
        return [(row[0], row[1], Outcome(row[2], row[3], row[4], json.loads(row[5])), row[6]) for row in rows]


def _run(row: tuple[Any, ...]) -> Run:
    return Run(
        *row[:7],
        audit=bool(row[7]),
        config=json.loads(row[8]),
        parameters=json.loads(row[9]),
        searched=json.loads(row[10]),
    )


def _lock(path: Path) -> IO[str]:
    """Take the writer's lock of a journal.

    Raises:
        InputError: another process has it.
    """
    lock = path.with_suffix(".lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError(
            f"another process is running the study in {path.parent}. Look at it with `assay status {path.parent}`."
        ) from None
    return lock


def _connect(path: Path, write: bool) -> sqlite3.Connection:
    mode = "rw" if write else "ro"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=30, isolation_level=None, check_same_thread=False
    )


def _check(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal that is damaged, of another kind, or newer than this version."""
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    row = db.execute("SELECT value FROM meta WHERE key = ?", (records.META_SCHEMA,)).fetchone()
    version = int(row[0]) if row and str(row[0]).isdigit() else 0
    if version < 1:
        raise sqlite3.DatabaseError("it has no version")
    if version > records.SCHEMA_VERSION:
        raise InputError(
            f"{path} was written by a newer Assay (journal version {version}, this one reads up to "
            f"{records.SCHEMA_VERSION}). Update Assay; nothing was changed."
        )
