"""Artifacts of MLflow runs: files and texts, logged without credentials."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from search.store.tracking_uri import redact
from search.tracking.client import retry
from search.tracking.history import write_history
from trainables import records
from trainables.records import ReportRow

if TYPE_CHECKING:
    from mlflow import MlflowClient

_TEXT_FILES = {".html", ".md", ".csv", ".json", ".yaml", ".yml", ".txt", ".svg"}


def log_text(client: MlflowClient, run_id: str, text: str, name: str) -> None:
    """Log a text as an artifact of a run."""
    retry(client.log_text, run_id, redact(text), name)


def log_file(client: MlflowClient, run_id: str, path: Path, name: str) -> None:
    """Log a file as an artifact of a run, if the file exists.

    Args:
        client: client of the tracking store.
        run_id: MLflow's id of the run.
        path: the file.
        name: name of the artifact, which ends with the file's name.
    """
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8") if path.suffix in _TEXT_FILES else ""
    folder = Path(name).parent.as_posix()
    if redact(text) != text:
        log_text(client, run_id, text, name)
    else:
        retry(client.log_artifact, run_id, str(path), None if folder == "." else folder)


def log_folder(client: MlflowClient, run_id: str, folder: Path, name: str) -> None:
    """Log the files of a folder as artifacts of a run, under a name; hidden ones, such as incomplete files, are not."""
    for path in sorted(folder.rglob("[!.]*")):
        log_file(client, run_id, path, Path(name, path.relative_to(folder)).as_posix())


def log_history(client: MlflowClient, run_id: str, run: str, reports: Sequence[ReportRow]) -> None:
    """Log the history of the named run as one file, if it has one."""
    if not reports:
        return
    with tempfile.TemporaryDirectory(prefix="assay-history-") as folder:
        path = Path(folder, records.HISTORY_ARTIFACT)
        write_history(path, run, reports)
        log_file(client, run_id, path, path.name)
