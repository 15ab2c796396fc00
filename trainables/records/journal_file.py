"""Journal file: finds, opens and checks the SQLite file of a journal. Reading never writes to the study's folder."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from trainables.errors import InputError
from trainables.records.files import JOURNAL_FILE
from trainables.records.journal_schema import FIRST_CHECKED, META, META_SCHEMA, SCHEMA_VERSION, is_intact

CONNECTION: dict[str, Any] = {"uri": True, "timeout": 30, "isolation_level": None, "check_same_thread": False}
"""Arguments of every connection to a journal."""


def find_journal(path: Path) -> Path:
    """Return the path of a journal, given the path itself or the folder that contains it.

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


def open_read_only(journal: Path) -> sqlite3.Connection:
    """Open a journal for reading, without creating files next to it.

    SQLite shares an open journal through a write-ahead log and an index of it. Without a log, the file is complete and
    is read as it is. A log without an index that this process may write, such as one that a killed study has left in a
    read-only folder, is read in a temporary copy.

    Args:
        journal: `study.db`.
    """
    log, index = side_files(journal)
    if not log.exists():
        return sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro&immutable=1", **CONNECTION)
    if os.access(index, os.W_OK):
        return sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", **CONNECTION)
    with tempfile.TemporaryDirectory(prefix="assay-journal-") as scratch:  # an open file outlives its name
        copy = Path(scratch) / journal.name
        shutil.copyfile(journal, copy)
        shutil.copyfile(log, copy.with_name(log.name))
        connection = sqlite3.connect(copy, **CONNECTION)
        connection.execute("PRAGMA journal_mode = DELETE")  # folds in the log
        connection.execute(f"SELECT count(*) FROM {META}").fetchone()
        return connection


def side_files(journal: Path) -> tuple[Path, Path]:
    """Return the paths of a journal's write-ahead log and of the index of that log; both exist while it is open."""
    return journal.with_name(f"{journal.name}-wal"), journal.with_name(f"{journal.name}-shm")


def has_checksums(db: sqlite3.Connection) -> bool:
    """Return whether the rows of a journal have checksums; those of the first version have none."""
    return any(column[1] == "checksum" for column in db.execute(f"PRAGMA table_info({META})"))


def check_journal(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a journal that is damaged, of another kind, or newer than this version.

    Raises:
        InputError: it is newer.
        sqlite3.DatabaseError: it is damaged or not a journal.
    """
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    checked = has_checksums(db)
    columns = "key, value, checksum" if checked else "key, value"
    row = db.execute(f"SELECT {columns} FROM {META} NOT INDEXED WHERE key = ?", (META_SCHEMA,)).fetchone()
    version = int(row[1]) if row and str(row[1]).isdigit() else 0
    if version < 1 or (checked and not is_intact(row)) or checked != (version >= FIRST_CHECKED):
        raise sqlite3.DatabaseError("its version cannot be read")
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} was written by a newer Assay (journal version {version}, this one reads up to {SCHEMA_VERSION}). "
            "Update Assay; nothing was changed."
        )
