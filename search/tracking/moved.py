"""A study's folder that was moved or copied: its own MLflow store goes on finding its artifacts.

MLflow keeps the absolute address of every artifact folder, and offers no way to change it. So the addresses are
rewritten in the SQLite file, and only in the one that belongs to the folder.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from trainables import records

_ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def relocate(folder: Path) -> bool:
    """Let the store in a study's folder look for its artifacts there.

    Args:
        folder: the study's folder, as it is called now.

    Returns:
        Whether anything had to be rewritten.
    """
    store = folder.absolute() / records.MLFLOW_FILE
    if not store.is_file():
        return False
    here = (folder.absolute() / records.ARTIFACTS).as_uri()
    with closing(sqlite3.connect(store, timeout=30)) as db, db:
        ours = f"file:///%/{records.ARTIFACTS}"
        found = db.execute("SELECT DISTINCT artifact_location FROM experiments WHERE artifact_location LIKE ?", (ours,))
        moved = [place for (place,) in found if place != here]
        for there in moved:
            for table, column in _ADDRESSES:
                db.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?",
                    (here, len(there) + 1, len(there) + 1, f"{there}/"),
                )
    return bool(moved)
