"""Damage of a journal: which rows are intact, which runs have to be done again, and one message about it."""

from __future__ import annotations

import json
import shlex
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
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
    is_intact,
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
        rows: the intact rows by table and number: the columns of `TABLES`, for `examples` then the loss.
        damaged: the rows that are damaged or missing, by table: their number, and the run that they name or None.
    """

    entries: dict[str, str]
    damaged_entries: bool
    rows: dict[str, dict[int, tuple[Any, ...]]]
    damaged: dict[str, dict[int, str | None]]

    @property
    def runs(self) -> dict[str, tuple[Any, ...]]:
        """The intact rows of `runs` by name."""
        return {row[1]: row for row in self.rows["runs"].values()}

    def to_repeat(self) -> set[str]:
        """Return the announced runs of which something is damaged or missing, so that they have to be done again."""
        runs = self.runs
        named = {run for rows in self.damaged.values() for run in rows.values() if run in runs}
        ended = {row[1]: (row[2], row[3]) for row in self.rows["outcomes"].values() if row[1] in runs}
        if self.damaged["reports"]:
            epochs: dict[str, set[int]] = {}
            for row in self.rows["reports"].values():
                epochs.setdefault(row[1], set()).add(row[2])
            named |= {run for run in runs if not _is_curve(epochs.get(run, set()), *ended.get(run, ("", 0)))}
        if self.damaged["examples"]:
            recorded = {row[1] for row in self.rows["examples"].values()}
            tested = {run for run, (outcome, _) in ended.items() if outcome == COMPLETED and runs[run][2] != SEARCH}
            named |= tested - recorded
        return named

    @property
    def unannounced(self) -> set[str]:
        """Names that other rows mention of runs whose row in `runs` is damaged or missing."""
        named = {row[1] for table in ("reports", "outcomes", "examples") for row in self.rows[table].values()}
        return (named | {run for run in self.damaged["runs"].values() if run}) - set(self.runs)

    @property
    def intact_runs(self) -> set[str]:
        """Names of the runs that ended and of which nothing is damaged."""
        return {row[1] for row in self.rows["outcomes"].values() if row[1] in self.runs} - self.to_repeat()


def _is_curve(epochs: set[int], outcome: str, last: int) -> bool:
    """Return whether the epochs of a run are complete; one that failed or diverged did not report its last one."""
    least = last if outcome in {COMPLETED, STOPPED} else last - 1
    return epochs == set(range(1, len(epochs) + 1)) and len(epochs) >= least


def survey(db: sqlite3.Connection) -> Survey:
    """Read all of a journal that can be read.

    Raises:
        sqlite3.DatabaseError: not even the entries about the whole study can be read.
    """
    checked = has_checksums(db)
    columns = "key, value, checksum" if checked else "key, value"
    entries = db.execute(f"SELECT {columns} FROM {META} NOT INDEXED").fetchall()
    whole = {row[0]: row[1] for row in entries if not checked or is_intact(row)}
    counts = json.loads(whole.get(META_ROWS, "{}"))
    found = {table: _read(db, table, checked, counts.get(table)) for table in TABLES}
    complete = len(whole) == counts.get(META, len(whole)) and len(whole) == len(entries)
    only_counts = META_ROWS not in whole and len(whole) == len(entries) - 1
    return Survey(
        entries=whole,
        damaged_entries=checked and not (complete or only_counts),
        rows={table: rows for table, (rows, _) in found.items()},
        damaged={table: damaged for table, (_, damaged) in found.items()},
    )


def _read(
    db: sqlite3.Connection, table: str, checked: bool, count: int | None
) -> tuple[dict[int, tuple[Any, ...]], dict[int, str | None]]:
    """Return the intact rows of a table by number, and the damaged ones with the run that they name."""
    names = TABLES[table]
    columns = ("rowid", *names[1:], *(["checksum"] if checked else []), *(["loss"] if table == "examples" else []))
    query = f"SELECT {', '.join(columns)} FROM {table}"
    rows: list[Sequence[Any]] = []
    try:
        rows = db.execute(f"{query} NOT INDEXED ORDER BY rowid").fetchall()
    except UNREADABLE:
        for number in range(1, (_last(db, table) if count is None else count) + 1):
            try:
                rows += db.execute(f"{query} WHERE rowid = ?", (number,)).fetchall()
            except UNREADABLE:
                continue
    width = len(names)
    whole = {
        row[0]: (*row[:width], *row[width + checked :]) for row in rows if _is_whole(row, names, checked)
    }  # fmt: skip
    last = max([count or 0, *(row[0] for row in rows if isinstance(row[0], int))])
    place = names.index("run")
    named = {row[0]: row[place] if isinstance(row[place], str) else None for row in rows}
    return whole, {number: named.get(number) for number in range(1, last + 1) if number not in whole}


def _last(db: sqlite3.Connection, table: str) -> int:
    try:
        return db.execute(f"SELECT max(rowid) FROM {table}").fetchone()[0] or 0
    except UNREADABLE:
        return 0


def _is_whole(row: Sequence[Any], names: Sequence[str], checked: bool) -> bool:
    """Return whether a row is intact: by its checksum, or, of an older journal, if its JSON can be read."""
    try:
        if "correct" in names:
            zlib.decompress(row[-1])
        if checked:
            return is_intact(row[: len(names) + 1])
        for name, value in zip(names, row, strict=False):
            if name in _JSON:
                json.loads(value)
    except (ValueError, TypeError, zlib.error):
        return False
    return True


def damage_error(journal: Path, reason: str = "") -> InputError:
    """Return the error about a damaged journal: which row, what is still usable, and what to do.

    Args:
        journal: `study.db`.
        reason: what SQLite says, used where the journal cannot be surveyed.
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
        return f"an entry of `{META}`, which says what the study is, does not match its checksum or is missing"
    damaged = [(table, number, run) for table, rows in found.damaged.items() for number, run in rows.items()]
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
    repeated = f" and does what is damaged again ({number_of(again, 'run')})" if again else ""
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
