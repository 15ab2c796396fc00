"""Journal writer: appends to `study.db`, the one truth about a study.

One process writes, the driver, guarded by a lock file; `trainables.records.JournalReader` reads, also while it does.
Every decision is written before it takes effect. The first record of an epoch or an outcome stays: what a resumed run
reports again is not written twice.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from trainables import records
from trainables.errors import InputError, StoppedError
from trainables.records import ExtensionDecision, JournalReader, Outcome, PlanRecord, Run
from trainables.records.atomic import atomic_file
from trainables.records.journal import CONNECTION, check_journal, find_journal, journal_errors

if TYPE_CHECKING:
    import numpy as np


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

    @classmethod
    def create(cls, path: Path) -> Self:
        """Create a new journal and take its lock.

        Raises:
            InputError: there is one already, another process has the lock, or the folder cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder {path.parent} cannot be created ({error}); choose another `--output`"
            ) from None
        lock = _lock(path)
        try:
            if path.exists():
                raise InputError(f"{path} exists already. Continue it with `assay resume {path.parent}`.")
            with atomic_file(path) as unfinished, closing(sqlite3.connect(unfinished)) as db:
                db.executescript(records.JOURNAL_SCHEMA)
                db.execute("INSERT INTO meta VALUES (?, ?)", (records.META_SCHEMA, str(records.SCHEMA_VERSION)))
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
            path: `study.db`, or the folder that holds it.

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

    @classmethod
    def _opened(cls, path: Path, lock: IO[str]) -> Self:
        with journal_errors(path):
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", **CONNECTION)
            check_journal(db, path)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
        return cls(path, db, lock)

    def close(self) -> None:
        """Close the journal and release its lock."""
        super().close()
        self._lock.close()

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

    def set_meta(self, key: str, value: Any) -> None:
        """Write one value about the whole study; the first value of a key stays."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def add_runs(self, runs: Iterable[Run]) -> None:
        """Announce runs."""
        rows = [
            (
                run.name, run.phase, run.condition, run.arm, run.method, run.index, run.seed_index, int(run.audit),
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

    def decide(self, decision: records.Decision, run: str | None = None) -> None:
        """Write a decision, about one run or about the study."""
        with self._writing() as db:
            _insert(db, decision, run)

    def extend(self, study: dict[str, Any], plan: PlanRecord, decision: ExtensionDecision) -> None:
        """Write an extension: the new study file and plan, and the decision that keeps the old plan."""
        with self._writing() as db:
            _insert(db, decision, None)
            for key, value in ((records.META_STUDY, study), (records.META_PLAN, plan.dump())):
                db.execute("UPDATE meta SET value = ? WHERE key = ?", (json.dumps(value), key))

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

        with self._writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO outcomes (run, outcome, epoch, reason, metrics, at) VALUES (?, ?, ?, ?, ?, ?)",
                (run, outcome.outcome, outcome.epoch, outcome.reason, json.dumps(outcome.metrics), time.time()),
            )
            if correct is not None and loss is not None:
                bits = zlib.compress(np.packbits(correct).tobytes())
                losses = zlib.compress(np.clip(loss, 0, 60000).astype(np.float16).tobytes())
                db.execute("INSERT OR IGNORE INTO examples VALUES (?, ?, ?, ?)", (run, bits, losses, len(correct)))


def _insert(db: sqlite3.Connection, decision: records.Decision, run: str | None) -> None:
    db.execute(
        "INSERT INTO decisions (kind, run, detail, at) VALUES (?, ?, ?, ?)",
        (decision.kind, run, json.dumps(decision.dump()), time.time()),
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
