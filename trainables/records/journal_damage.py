"""Damage of a journal: which rows are intact, which runs have to be done again, and one message about it."""

from __future__ import annotations

import json
import shlex
import sqlite3
import zlib
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import InputError
from trainables.records.descriptions import number_of
from trainables.records.journal_file import has_checksums, open_read_only
from trainables.records.journal_schema import (
    COMPLETED,
    META,
    META_ROWS,
    SEARCH,
    STOPPED,
    TABLES,
    Row,
    StoredExample,
    StoredOutcome,
    StoredReport,
    StoredRow,
    StoredRun,
    covered,
    is_intact,
    selection,
)

UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What `sqlite3` raises on a damaged file; the messages of SQLite quote garbled names."""
_JSON = {"config", "parameters", "searched", "metrics", "detail"}


@dataclass(frozen=True)
class Survey:
    """What is left of a journal.

    Args:
        entries: the whole entries of `meta`, JSON texts by key.
        damaged_entries: whether an entry of `meta` other than `META_ROWS` is damaged or missing.
        rows: the intact rows by table and number.
        damaged: the rows that are damaged or missing, by table: their number, and the run that they name or None.
    """

    entries: dict[str, str]
    damaged_entries: bool
    rows: dict[type[StoredRow], dict[int, Any]]
    damaged: dict[type[StoredRow], dict[int, str | None]]

    def intact(self, kind: type[Row]) -> Collection[Row]:
        """Return the intact rows of a table, in order."""
        return self.rows[kind].values()

    @property
    def runs(self) -> dict[str, StoredRun]:
        """The intact rows of `runs` by name."""
        return {row.run: row for row in self.intact(StoredRun)}

    def to_repeat(self) -> set[str]:
        """Return the announced runs of which something is damaged or missing, so that they have to be done again."""
        runs = self.runs
        named = {run for rows in self.damaged.values() for run in rows.values() if run in runs}
        ended = {row.run: row for row in self.intact(StoredOutcome) if row.run in runs}
        if self.damaged[StoredReport]:
            epochs: dict[str, set[int]] = {run: set() for run in runs}
            for row in self.intact(StoredReport):
                epochs.setdefault(row.run, set()).add(row.epoch)
            named |= {run for run in runs if not _is_curve(epochs[run], ended.get(run))}
        if self.damaged[StoredExample]:
            recorded = {row.run for row in self.intact(StoredExample)}
            tested = {run for run, end in ended.items() if end.outcome == COMPLETED and runs[run].phase != SEARCH}
            named |= tested - recorded
        return named

    @property
    def unannounced(self) -> set[str]:
        """Names that other rows mention of runs whose row in `runs` is damaged or missing."""
        named = {row.run for kind in (StoredReport, StoredOutcome, StoredExample) for row in self.intact(kind)}
        return (named | {run for run in self.damaged[StoredRun].values() if run}) - set(self.runs)

    @property
    def intact_runs(self) -> set[str]:
        """Names of the runs that ended and of which nothing is damaged."""
        return {row.run for row in self.intact(StoredOutcome) if row.run in self.runs} - self.to_repeat()


def _is_curve(epochs: set[int], end: StoredOutcome | None) -> bool:
    """Return whether the epochs of a run are complete; one that failed or diverged did not report its last one."""
    least = 0 if end is None else end.epoch if end.outcome in {COMPLETED, STOPPED} else end.epoch - 1
    return epochs == set(range(1, len(epochs) + 1)) and len(epochs) >= least


def survey(db: sqlite3.Connection) -> Survey:
    """Read all of a journal that can be read.

    Raises:
        sqlite3.DatabaseError: not even the entries about the whole study can be read.
    """
    checked = has_checksums(db)
    columns = "key, value, checksum" if checked else "key, value"
    entries = db.execute(f"SELECT {columns} FROM {META} NOT INDEXED").fetchall()
    whole: dict[str, str] = dict(row[:2] for row in entries if not checked or is_intact(row))
    counts = json.loads(whole.get(META_ROWS, "{}"))
    found = {kind: _read(db, kind, checked, counts.get(kind.table)) for kind in TABLES}
    complete = len(whole) == counts.get(META, len(whole)) and len(whole) == len(entries)
    only_counts = META_ROWS not in whole and len(whole) == len(entries) - 1
    return Survey(
        entries=whole,
        damaged_entries=checked and not (complete or only_counts),
        rows={kind: rows for kind, (rows, _) in found.items()},
        damaged={kind: damaged for kind, (_, damaged) in found.items()},
    )


def _read(
    db: sqlite3.Connection, kind: type[StoredRow], checked: bool, count: int | None
) -> tuple[dict[int, StoredRow], dict[int, str | None]]:
    """Return the intact rows of a table by number, and the damaged ones with the run that they name."""
    rows = [kind(*row) for row in _readable(db, kind, checked, count)]
    whole = {row.id: row for row in rows if _is_whole(row, checked)}
    named = {row.id: row.run if isinstance(row.run, str) else None for row in rows}
    last = max([count or 0, *named])
    return whole, {number: named.get(number) for number in range(1, last + 1) if number not in whole}


def _readable(db: sqlite3.Connection, kind: type[StoredRow], checked: bool, count: int | None) -> list[Any]:
    """Return the rows of a table that SQLite can read, one by one if not all at once."""
    query = selection(kind, kind._fields, checked)
    try:
        return db.execute(f"{query} NOT INDEXED ORDER BY rowid").fetchall()
    except UNREADABLE:
        rows: list[Any] = []
    for number in range(1, (_last(db, kind) if count is None else count) + 1):
        with suppress(*UNREADABLE):
            rows += db.execute(f"{query} WHERE rowid = ?", (number,)).fetchall()
    return rows


def _last(db: sqlite3.Connection, kind: type[StoredRow]) -> int:
    try:
        return db.execute(f"SELECT max(rowid) FROM {kind.table}").fetchone()[0] or 0
    except UNREADABLE:
        return 0


def _is_whole(row: StoredRow, checked: bool) -> bool:
    """Return whether a row is intact: by its checksum, or, of an older journal, if its JSON can be read."""
    try:
        if isinstance(row, StoredExample):
            zlib.decompress(row.loss)
        if checked:
            return is_intact(row[: len(covered(type(row))) + 1])
        for name in _JSON.intersection(row._fields):
            json.loads(getattr(row, name))
    except (ValueError, TypeError, zlib.error):
        return False
    return True


def damage_error(journal: Path, reason: str = "") -> InputError:
    """Return the error about a damaged journal: which row, what is still usable, and what to do.

    Args:
        journal: `study.db`.
        reason: SQLite's message, used where the journal cannot be surveyed.
    """
    try:
        with closing(open_read_only(journal)) as db:
            found = survey(db)
    except (sqlite3.DatabaseError, OSError, ValueError, TypeError) as error:
        return InputError(
            f"{journal} is damaged or not a journal of Assay ({reason or error}). Nothing was changed; restore it from "
            "a copy."
        )
    return InputError(f"{journal} is damaged: {_what(found, reason)}. {_remedy(journal, found)} Nothing was changed.")


def _what(found: Survey, reason: str) -> str:
    if found.damaged_entries:
        return f"an entry of `{META}`, which describes the study, does not match its checksum or is missing"
    damaged = [(kind.table, number, run) for kind, rows in found.damaged.items() for number, run in rows.items()]
    if not damaged:
        return reason or "the numbers of rows do not match"
    table, number, run = damaged[0]
    of_run = f" (run {run})" if run else ""
    others = f"; so do {len(damaged) - 1} others" if len(damaged) > 1 else ""
    return f"row {number} of `{table}`{of_run} does not match its checksum or is missing{others}"


def _remedy(journal: Path, found: Survey) -> str:
    intact = f"{len(found.intact_runs)} of the ended runs are intact"
    if found.damaged_entries:
        return f"{intact}, but they cannot be used without it: restore {journal.name} from a copy."
    again = len(found.to_repeat() | found.unannounced)
    repeated = f" and repeats what is damaged ({number_of(again, 'run')})" if again else ""
    return (
        f"{intact}. `assay resume {shlex.quote(str(journal.parent))} --repair` sets the damaged file aside, keeps the "
        f"intact rows{repeated}."
    )


@contextmanager
def journal_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and JSON raise on reading a journal into an `InputError`."""
    try:
        yield
    except (*UNREADABLE, json.JSONDecodeError, zlib.error) as error:
        if getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise InputError(f"{path} is locked by another process; try again") from None
        raise damage_error(path, str(error)) from None
