"""Looking up what MLflow has of a study, for those who can do without."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from search.tracking.uri import redact, store_uri
from trainables import records
from trainables.records import JournalReader

SQLITE = "sqlite:///"
IDS = """
SELECT name.value, runs.run_uuid FROM runs
JOIN tags AS study ON study.run_uuid = runs.run_uuid AND study.key = ? AND study.value = ?
JOIN tags AS name ON name.run_uuid = runs.run_uuid AND name.key = ?
WHERE runs.lifecycle_stage = 'active' ORDER BY name.value
"""


def mlflow_runs(folder: Path, uri: str | None) -> tuple[dict[str, str], str]:
    """Return the ids in MLflow of a study's runs by name, and why there are none, if something went wrong.

    A SQLite store is read as a file: that takes milliseconds, and importing MLflow seconds.

    Args:
        folder: the study's folder.
        uri: the tracking store that the study names, or None.
    """
    store = store_uri(folder, uri)
    with JournalReader.open(folder) as journal:
        study_id = journal.meta(records.META_ID)
    try:
        if store.startswith(SQLITE):
            return _in_file(Path(store.removeprefix(SQLITE)), study_id), ""
        from search.tracking.mlflow_store import delivered_runs

        return delivered_runs(store, folder, study_id), ""
    except Exception as error:  # a store may fail in any way, and ids are a convenience
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return {}, f"the recipe names no MLflow runs: {redact(store)} cannot be read ({redact(reason)})"


def _in_file(path: Path, study_id: str) -> dict[str, str]:
    if not path.is_file():
        return {}
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return dict(db.execute(IDS, (records.TAG_STUDY_ID, study_id, records.TAG_RUN)).fetchall())
