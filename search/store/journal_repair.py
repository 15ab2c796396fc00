"""Repair of a damaged journal, and upgrade of an older one: its intact rows are written to a new file."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from trainables.records import END, JOURNAL_SCHEMA, LOOK, META_SCHEMA, OPTUNA_FILE, SCHEMA_VERSION
from trainables.records.atomic import atomic_file
from trainables.records.journal_damage import UNREADABLE, Survey, damage_error, survey
from trainables.records.journal_file import find_journal, open_read_only, side_files
from trainables.records.journal_schema import (
    META_ROWS,
    TABLES,
    StoredDecision,
    StoredExample,
    StoredOutcome,
    StoredReport,
    StoredRow,
    StoredRun,
    insertion,
    seal,
    write_entry,
)

_Rows = Mapping[type[StoredRow], Sequence[StoredRow]]


def upgrade(journal: Path) -> None:
    """Give the rows of a journal of the first version their checksums. The caller holds the writer's lock.

    Raises:
        InputError: it is damaged.
        sqlite3.DatabaseError: it cannot be read, or another process is reading it.
    """
    with closing(sqlite3.connect(journal)) as db:
        found = survey(db)
        if any(found.damaged.values()):
            raise damage_error(journal)
        db.execute("PRAGMA journal_mode = DELETE")  # nothing of it may be left in a log
    _rewrite(journal, found.entries, {kind: list(found.intact(kind)) for kind in TABLES})


def repair(path: Path) -> str:
    """Repair a damaged journal: keep the intact rows, and remove the runs of which something is damaged.

    The runs are done again when the study is resumed. The decisions about a run stay; interim looks after a damaged
    decision are taken again. The damaged file is kept next to the new one. The caller holds the writer's lock.

    Args:
        path: `study.db`, or the folder that contains it.

    Returns:
        What was done, in words; empty if nothing is damaged.

    Raises:
        InputError: there is no journal, or too little of it can be read.
    """
    journal = find_journal(path)
    try:
        with closing(open_read_only(journal)) as db:
            found = survey(db)
            intact = db.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
    except UNREADABLE as error:
        raise damage_error(journal, str(error)) from None
    if found.damaged_entries:
        raise damage_error(journal)
    if intact and META_ROWS in found.entries and not any(found.damaged.values()):
        return ""
    aside = _set_aside(journal)
    again = found.to_repeat() | found.unannounced
    _rewrite(journal, found.entries, _kept(found))
    journal.with_name(OPTUNA_FILE).unlink(missing_ok=True)  # contains the removed trials; it is derived again
    lost = sum(map(len, found.damaged.values()))
    return (
        f"{journal} is repaired: damaged or missing rows: {lost}; runs to repeat: {len(again)}. The damaged file is "
        f"kept as {aside.name}."
    )


def _kept(found: Survey) -> _Rows:
    """Return the rows of a damaged journal that a repair keeps."""
    gone = found.to_repeat()
    runs = found.runs
    first = min(found.damaged[StoredDecision], default=None)
    decisions = [
        row
        for row in found.intact(StoredDecision)
        if (row.run is None or row.run in runs) and not (first is not None and row.kind == LOOK and row.id > first)
    ]
    while decisions and decisions[-1].kind == END:
        decisions.pop()
    ended = {
        kind: [row for row in found.intact(kind) if row.run in runs and row.run not in gone]
        for kind in (StoredReport, StoredOutcome, StoredExample)
    }
    return {StoredRun: list(found.intact(StoredRun)), StoredDecision: decisions, **ended}


def _set_aside(journal: Path) -> Path:
    """Copy a journal and its write-ahead log to the same folder, and return the copy."""
    number = 1
    while (aside := journal.with_name(f"{journal.name}.damaged-{number}")).exists():
        number += 1
    log, _ = side_files(journal)
    shutil.copy2(journal, aside)
    if log.exists():
        shutil.copy2(log, side_files(aside)[0])
    return aside


def _rewrite(journal: Path, entries: Mapping[str, str], rows: _Rows) -> None:
    """Replace a journal by one with these entries and rows, which are renumbered."""
    with atomic_file(journal) as unfinished:
        with closing(sqlite3.connect(unfinished)) as db:
            db.executescript(JOURNAL_SCHEMA)
            for kind in TABLES:
                db.executemany(insertion(kind), [row._replace(id=id) for id, row in enumerate(rows[kind], 1)])
            for key, value in {**entries, META_SCHEMA: str(SCHEMA_VERSION)}.items():
                write_entry(db, key, value)
            seal(db)
            db.commit()
        for path in side_files(journal):  # of the old file: SQLite would apply the log to the new one
            path.unlink(missing_ok=True)
