"""SQLite addresses: URIs as SQLAlchemy reads them, for paths with any characters."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

MEMORY = ":memory:"


def sqlite_uri(path: Path) -> str:
    """Return the SQLAlchemy URI of a SQLite file.

    >>> sqlite_uri(Path("/my runs/what?/mlflow.db"))
    'sqlite:////my runs/what%3F/mlflow.db'
    """
    from sqlalchemy import URL

    return URL.create("sqlite", database=str(path)).render_as_string()


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite URI, which may be relative; None for any other URI and for a database in memory.

    >>> sqlite_path("sqlite:////my runs/what%3F/mlflow.db").as_posix()
    '/my runs/what?/mlflow.db'
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    if not is_sqlite(uri):
        return None
    try:
        database = make_url(uri).database
    except (ArgumentError, ValueError):
        return None
    return Path(database) if database and database != MEMORY and not database.startswith("file:") else None


def is_sqlite(uri: str) -> bool:
    """Return whether a URI has the scheme `sqlite`, with a driver or without."""
    return uri.partition(":")[0].partition("+")[0] == "sqlite"


def absolute_uri(uri: str, folder: Path) -> str:
    """Return a SQLite URI with an absolute path; any other URI stays as it is.

    Args:
        uri: any URI.
        folder: what a relative path refers to.

    >>> absolute_uri("sqlite:///all.db", Path("/studies"))
    'sqlite:////studies/all.db'
    """
    path = sqlite_path(uri)
    return uri if path is None or path.is_absolute() else sqlite_uri(folder.absolute() / path)


def has_table(path: Path, table: str) -> bool:
    """Return whether a file is a SQLite database with that table. Nothing is written."""
    if not path.is_file():
        return False
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() else "mode=ro&immutable=1"  # immutable: no files are created next to it
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as db:
            return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall())
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        return False
