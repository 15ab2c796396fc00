"""Journal writer: appends to `study.db`, the one truth about a study.

One process writes, the driver, guarded by a lock file; `trainables.records.JournalReader` reads, also while it does.
Every decision is written before it takes effect. The first record of an epoch or an outcome stays: what a resumed run
reports again is not written twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any, Self

from search.store.journal_repair import repair, upgrade
from trainables import records
from trainables.errors import InputError, StoppedError
from trainables.records import ExtensionDecision, JournalReader, Outcome, PlanRecord, Run
from trainables.records.atomic import atomic_file
from trainables.records.journal_damage import journal_errors
from trainables.records.journal_file import CONNECTION, check_journal, find_journal, has_checksums, open_read_only
from trainables.records.journal_schema import (
    META,
    META_ROWS,
    NEW,
    StoredDecision,
    StoredExample,
    StoredOutcome,
    StoredReport,
    StoredRow,
    StoredRun,
    checksum,
    covered,
    insertion,
    seal,
    write_entry,
)
from trainables.records.links import refuse_links

if TYPE_CHECKING:
    import numpy as np

CHECKPOINT_SECONDS = 60.0
"""How much of the journal may be lost with its write-ahead log, in seconds."""
_ATTEMPTS, _ATTEMPT_SECONDS = 5, 0.05


class Journal(JournalReader):
    """An open journal, for reading and writing.

    Args:
        path: `study.db`.
        connection: an open connection to it.
        lock: the writer's lock.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: IO[str]) -> None:
        super().__init__(path, connection)
        self._lock = lock
        self._counts: dict[str, int] = json.loads(self._entries()[META_ROWS])
        self._checkpointed = time.monotonic()

    @classmethod
    def create(cls, path: Path) -> Self:
        """Create a new journal and take its lock.

        Raises:
            InputError: there is one already, another process has the lock, or the folder cannot be written.
        """
        try:
            path.parent.mkdir(0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder {path.parent} cannot be created ({error}); choose another `--output`"
            ) from None
        lock = _lock(path)
        try:
            if path.exists():
                raise InputError(
                    f"{path} already exists. Continue it with `assay resume {shlex.quote(str(path.parent))}`."
                )
            with atomic_file(path, private=True) as unfinished, closing(sqlite3.connect(unfinished)) as db:
                db.executescript(records.JOURNAL_SCHEMA)
                write_entry(db, records.META_SCHEMA, str(records.SCHEMA_VERSION))
                seal(db)
                db.commit()
            return cls._opened(path, lock)
        except BaseException as error:
            lock.close()
            if isinstance(error, sqlite3.OperationalError):
                raise InputError(f"{path} cannot be written ({error}); nothing was started") from None
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing journal and take its lock.

        Args:
            path: `study.db`, or the folder that contains it.

        Raises:
            InputError: it is missing, damaged, newer than this version, or another process writes it.
        """
        journal = find_journal(path)
        lock = _lock(journal)
        try:
            return cls._opened(journal, lock)
        except BaseException:
            lock.close()
            raise

    @staticmethod
    def repair(path: Path) -> str:
        """Repair a damaged journal (see `search.store.journal_repair.repair`).

        Args:
            path: `study.db`, or the folder that contains it.

        Returns:
            What was done, in words; empty if nothing is damaged.

        Raises:
            InputError: it is missing, too little of it can be read, or another process writes it.
        """
        journal = find_journal(path)
        with closing(_lock(journal)):
            return repair(journal)

    @classmethod
    def _opened(cls, path: Path, lock: IO[str]) -> Self:
        with journal_errors(path), closing(open_read_only(path)) as db:
            check_journal(db, path)
            old = not has_checksums(db)
            if not old:
                JournalReader(path, db).check()  # before anything is written
        with journal_errors(path):
            if old:
                upgrade(path)
            db = _connect(path)
            if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
                db.execute("REINDEX")  # the tables were found whole; an index can be derived from them
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            return cls(path, db, lock)

    def close(self) -> None:
        """Close the journal and release its lock. A closed journal is one file, without a write-ahead log."""
        with suppress(sqlite3.DatabaseError):  # somebody is reading it, or the disk is full
            self._db.execute("PRAGMA journal_mode=DELETE")
        super().close()
        self._lock.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Write all that the block writes, or nothing.

        Raises:
            StoppedError: the disk is full or gone.
        """
        before = dict(self._counts)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            if self._counts != before:
                write_entry(self._db, META_ROWS, json.dumps(self._counts))
            self._db.execute("COMMIT")
            before = self._counts
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise StoppedError(f"{self.path} cannot be written ({error})") from error
        finally:
            self._counts = before
            if self._db.in_transaction:
                self._db.rollback()
        if time.monotonic() - self._checkpointed > CHECKPOINT_SECONDS:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Move the write-ahead log into `study.db`, so that little is lost if the log is."""
        with suppress(sqlite3.OperationalError):  # the log stays
            self._db.execute("PRAGMA wal_checkpoint")
        self._checkpointed = time.monotonic()

    def _append(self, row: StoredRow, unless: str = "") -> None:
        """Append a row to its table, within a transaction; it gets its number and its checksum here.

        Args:
            row: the row, with the number `NEW`.
            unless: columns of which an equal row must not exist yet.
        """
        width = len(covered(type(row)))
        values = (self._counts[row.table] + 1, *row[1:width])
        statement = f"{insertion(type(row))} ON CONFLICT ({unless}) DO NOTHING" if unless else insertion(type(row))
        done = self._db.execute(statement, (*values, checksum(values), *row[width + 1 :]))
        self._counts[row.table] += done.rowcount

    def set_meta_once(self, key: str, value: Any) -> None:
        """Write one value about the whole study; the first value of a key stays."""
        with self._writing() as db:
            if not self._has_entry(key):
                self._write_entry(db, key, value)
        self._checkpoint()

    def add_runs(self, runs: Iterable[Run]) -> None:
        """Announce runs."""
        with self._writing():
            for run in runs:
                row = StoredRun(
                    id=NEW,
                    run=run.name,
                    phase=run.phase,
                    condition=run.condition,
                    arm=run.arm,
                    method=run.method,
                    k=run.index,
                    seed=run.seed_index,
                    audit=int(run.audit),
                    config=json.dumps(run.config),
                    parameters=json.dumps(run.parameters),
                    searched=json.dumps(run.searched),
                    at=time.time(),
                )
                self._append(row)

    def report(self, run: str, epochs: Iterable[tuple[int, dict[str, float]]]) -> None:
        """Write what a run measured after some epochs."""
        with self._writing():
            for epoch, metrics in epochs:
                row = StoredReport(id=NEW, run=run, epoch=epoch, metrics=json.dumps(metrics), at=time.time())
                self._append(row, unless="run, epoch")

    def decide(self, decision: records.Decision, run: str | None = None) -> None:
        """Write a decision, about one run or about the study."""
        with self._writing():
            self._append_decision(decision, run)

    def extend(
        self,
        study: Mapping[str, Any],
        plan: PlanRecord,
        decision: ExtensionDecision,
        also: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Write an extension: the new study file and plan, and the decision that keeps the old plan.

        Args:
            study: the new study file.
            plan: the new plan.
            decision: what is added.
            also: further entries of the table `meta`.
        """
        with self._writing() as db:
            self._append_decision(decision, None)
            for key, value in {records.META_STUDY: study, records.META_PLAN: plan.dump(), **also}.items():
                self._write_entry(db, key, value)
        self._checkpoint()

    def _has_entry(self, key: str) -> bool:
        return self._db.execute(f"SELECT 1 FROM {META} WHERE key = ?", (key,)).fetchone() is not None

    def _write_entry(self, db: sqlite3.Connection, key: str, value: Any) -> None:
        self._counts[META] += not self._has_entry(key)
        write_entry(db, key, json.dumps(value))

    def _append_decision(self, decision: records.Decision, run: str | None) -> None:
        detail = json.dumps(decision.dump())
        self._append(StoredDecision(id=NEW, kind=decision.kind, run=run, detail=detail, at=time.time()))

    def end(
        self, run: str, outcome: Outcome, correct: np.ndarray | None = None, loss: np.ndarray | None = None
    ) -> None:
        """Write how a run ended.

        Args:
            run: its name.
            outcome: how it ended.
            correct: bool (n,), of a confirmation run: which test examples it classified correctly.
            loss: float (n,), their log loss.
        """
        import numpy as np

        ended = StoredOutcome(
            id=NEW,
            run=run,
            outcome=outcome.outcome,
            epoch=outcome.epoch,
            reason=outcome.reason,
            metrics=json.dumps(outcome.metrics),
            at=time.time(),
        )
        with self._writing():
            self._append(ended, unless="run")
            if correct is not None and loss is not None:
                bits = zlib.compress(np.packbits(correct).tobytes())
                losses = zlib.compress(np.clip(loss, 0, 60000).astype(np.float16).tobytes())
                row = StoredExample(id=NEW, run=run, n=len(correct), correct=bits, loss=losses)
                self._append(row, unless="run")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", **CONNECTION)


_LOCK_FLAGS, _LOCK_MODE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o666
"""How the lock file is opened: without blocking, should it be a pipe."""


def _lock(path: Path) -> IO[str]:
    """Take the writer's lock of a journal.

    Raises:
        InputError: another process has it, or a link leads out of the study's folder.
    """
    refuse_links(path.parent)
    try:
        lock = os.fdopen(os.open(path.with_suffix(".lock"), _LOCK_FLAGS, _LOCK_MODE), "w")
    except OSError as error:
        raise InputError(f"the study in {path.parent} cannot be written ({error.strerror})") from None
    for _ in range(_ATTEMPTS):  # a reader that asks whether the study is running holds the lock for a moment
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        time.sleep(_ATTEMPT_SECONDS)
    lock.close()
    raise InputError(
        f"another process is running the study in {path.parent}. Look at it with "
        f"`assay status {shlex.quote(str(path.parent))}`."
    )
