"""Journal: reader of `study.db`, the append-only record of a study.

One process writes (`search.store.journal.Journal`); any number of processes read with `JournalReader`, also while the
study runs: the controller, the delivery to MLflow, `assay status`, export and reports. Every row (`journal_rows`) is
checked against its checksum when it is read (`journal_schema`).
"""

from __future__ import annotations

import gc
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from trainables.errors import InputError
from trainables.records.decisions import KINDS, Decision, EndDecision
from trainables.records.facts import Facts
from trainables.records.journal_damage import damage_error, journal_errors
from trainables.records.journal_file import check_journal, find_journal, has_checksums, open_read_only
from trainables.records.journal_rows import (
    ArrivalRow,
    DecisionRow,
    ExampleRow,
    Outcome,
    OutcomeRow,
    ReportRow,
    RunRow,
    run_of,
)
from trainables.records.journal_schema import (
    META,
    META_FACTS,
    META_PLAN,
    META_RECIPE,
    META_ROWS,
    TABLES,
    Row,
    StoredDecision,
    StoredExample,
    StoredOutcome,
    StoredReport,
    StoredRun,
    are_intact,
    covered,
    selection,
)
from trainables.records.plan import PlanRecord

D = TypeVar("D", bound=Decision)


class JournalReader:
    """An open journal, for reading. Use it as a context manager.

    Every method raises an `InputError` that names the damage if a row does not match its checksum or is missing.

    Args:
        path: `study.db`.
        connection: an open connection to it.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._decisions: list[StoredDecision] = []
        with journal_errors(path):
            self._checked = has_checksums(connection)
        self._index_checked = not self._checked

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a journal for reading only.

        Args:
            path: `study.db`, or the folder that contains it.

        Raises:
            InputError: the journal is missing, damaged, or was written by a newer version.
        """
        journal = find_journal(path)
        with journal_errors(journal):
            connection = open_read_only(journal)
            try:
                check_journal(connection, journal)
                return cls(journal, connection)
            except BaseException:
                connection.close()
                raise

    @classmethod
    def reopen(cls, journal: Path) -> Self:
        """Open a journal that this process has opened before, without looking for damage: that reads the whole file.

        Args:
            journal: `study.db`.
        """
        with journal_errors(journal):
            return cls(journal, open_read_only(journal))

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
        entries = self._entries()
        with journal_errors(self.path):
            return json.loads(entries[key]) if key in entries else None

    @property
    def is_final_training(self) -> bool:
        """Whether it is the journal of a final training instead of a study."""
        return self.meta(META_RECIPE) is not None

    def _entries(self) -> dict[str, str]:
        """Return all values about the whole study as JSON texts, checked."""
        rows = self._rows(f"SELECT key, value{', checksum' if self._checked else ''} FROM {META} NOT INDEXED")
        entries: dict[str, str] = {key: value for key, value, *_ in rows}
        if self._checked and not (
            are_intact(rows) and len(entries) == json.loads(entries.get(META_ROWS, "{}")).get(META)
        ):
            raise damage_error(self.path)
        return entries

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
        first = self._select(StoredRun, "ORDER BY id LIMIT 1")
        timed = (StoredRun, StoredReport, StoredDecision, StoredOutcome)
        times = [row.at for kind in timed for row in self._select(kind, "ORDER BY id DESC LIMIT 1")]
        return (first[0].at if first else min(times), max(times)) if times else None

    # Tables; `after` is the id of the last row that is known already

    def runs(self, after: int = 0) -> list[RunRow]:
        """Return the runs, in the order of their announcement."""
        rows = self._table(StoredRun, after)
        configs = self._objects([row.config for row in rows])
        parameters = self._objects([row.parameters for row in rows])
        searched = self._objects([row.searched for row in rows])
        return [
            RunRow(row.id, run_of(row, *values), row.at)
            for row, *values in zip(rows, configs, parameters, searched, strict=True)
        ]

    def reports(self, after: int = 0, run: str | None = None) -> list[ReportRow]:
        """Return the epochs in order of arrival, of one run or of all."""
        with _paused_collection():
            rows = self._table(StoredReport, after) if run is None else self._reports_of(run, after)
            metrics = self._objects([row.metrics for row in rows])
            return [
                ReportRow(row.id, row.run, row.epoch, found, row.at) for row, found in zip(rows, metrics, strict=True)
            ]

    def _reports_of(self, run: str, after: int) -> list[StoredReport]:
        if not self._index_checked:
            with journal_errors(self.path):
                if self._db.execute("PRAGMA integrity_check(reports)").fetchone()[0] != "ok":
                    raise damage_error(self.path)
            self._index_checked = True
        return self._select(StoredReport, "WHERE run = ? AND id > ? ORDER BY id", (run, after))

    def arrivals(self, after: int = 0) -> list[ArrivalRow]:
        """Return which runs reported which epoch, in order of arrival, without what they reported."""
        with _paused_collection():
            return [ArrivalRow(row.id, row.run, row.epoch) for row in self._table(StoredReport, after)]

    def outcomes(self, after: int = 0) -> list[OutcomeRow]:
        """Return how runs ended, in order."""
        rows = self._table(StoredOutcome, after)
        metrics = self._objects([row.metrics for row in rows])
        return [
            OutcomeRow(row.id, row.run, Outcome(row.outcome, row.epoch, row.reason, found), row.at)
            for row, found in zip(rows, metrics, strict=True)
        ]

    def decisions(self, kind: type[D]) -> list[DecisionRow[D]]:
        """Return the decisions of one kind, in order."""
        return self._parsed([row for row in self._decided() if row.kind == kind.kind])

    def all_decisions(self) -> list[DecisionRow[Decision]]:
        """Return the decisions of every kind, in order; kinds that this version does not know are left out."""
        return self._parsed([row for row in self._decided() if row.kind in KINDS])

    def _parsed(self, rows: Sequence[StoredDecision]) -> list[DecisionRow[Any]]:
        details = self._objects([row.detail for row in rows])
        return [
            DecisionRow(row.id, row.run, KINDS[row.kind].parse(detail), row.at)
            for row, detail in zip(rows, details, strict=True)
        ]

    def runs_at_end(self) -> int | None:
        """Return how many runs the study had when it ended, or None if it did not end, or went on."""
        rows = self._decided()
        if not rows or rows[-1].kind != EndDecision.kind:
            return None
        return EndDecision.parse(self._objects([rows[-1].detail])[0]).runs

    def is_finished(self) -> bool:
        """Return whether every run has ended and no more will follow.

        A study records its end as its last decision; a final training announces all its runs at once.
        """
        runs, outcomes = (self._rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("runs", "outcomes"))
        if self.is_final_training:
            return 0 < runs == outcomes
        return runs == outcomes == self.runs_at_end()

    def _decided(self) -> list[StoredDecision]:
        """Return the rows of all decisions; those read before are kept."""
        self._decisions += self._table(StoredDecision, self._decisions[-1].id if self._decisions else 0)
        return self._decisions

    def examples(self, runs: Iterable[str] | None = None) -> list[ExampleRow]:
        """Return which test examples runs classified correctly, of some runs or of all; some may have no record.

        Of some runs only their own records are checked; `check` checks all of them.
        """
        if runs is None:
            rows = sorted(self._table(StoredExample), key=lambda row: row.run)
        else:
            ids = dict(self._rows("SELECT run, rowid FROM examples NOT INDEXED"))
            found = [self._select(StoredExample, "WHERE rowid = ?", (ids[run],)) for run in runs if run in ids]
            rows = [row for own in found for row in own]
        return [ExampleRow(row.run, row.correct, row.n) for row in rows]

    def check(self, *tables: str) -> None:
        """Check every row of some tables, by default of all.

        Raises:
            InputError: one is damaged or missing.
        """
        for kind in TABLES:
            if not tables or kind.table in tables:
                self._table(kind)

    # Reading and checking rows

    def _table(self, kind: type[Row], after: int = 0) -> list[Row]:
        """Return the rows of a table after that one, checked: each matches its checksum, and none is missing."""
        known = json.loads(self._entries()[META_ROWS])[kind.table] if self._checked else 0
        rows = self._select(kind, "WHERE rowid > ? ORDER BY rowid", (after,))
        if self._checked:
            numbered = all(row.id == number for number, row in enumerate(rows, after + 1))
            if not numbered or after + len(rows) < known:
                raise damage_error(self.path)
        return rows

    def _select(self, kind: type[Row], condition: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return some rows of a table, each checked by itself, without the losses of test examples."""
        query = selection(kind, (*covered(kind), "checksum"), self._checked)
        rows = self._rows(f"{query} {condition}", values)
        if self._checked and not are_intact(rows):
            raise damage_error(self.path)
        return [kind(*row) for row in rows]

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with journal_errors(self.path):
            return self._db.execute(query, values).fetchall()

    def _objects(self, texts: Sequence[str]) -> list[Any]:
        """Parse many JSON texts at once."""
        with journal_errors(self.path):
            return json.loads(f"[{','.join(texts)}]")


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Pause the garbage collector, which would look again and again at millions of new objects that are all in use."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
