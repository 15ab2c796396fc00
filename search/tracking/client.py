"""A client of MLflow without global state, and calls that are repeated when the reason may pass.

`import mlflow` stands inside functions throughout this package: it costs seconds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from search.tracking.moved import relocate
from search.tracking.uri import own_store, sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # printing costs one more request per run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a request to create a run that is repeated blindly creates two
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_PAUSES = (0.2, 0.8)  # seconds before a call is repeated
_PASSING = {None, "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


def open_client(uri: str, folder: Path) -> MlflowClient:
    """Return a client; a missing SQLite store is created, and one that has moved with its folder is mended.

    Args:
        uri: the tracking store.
        folder: the study's folder.
    """
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _create_sqlite(uri)
    if uri == own_store(folder) and relocate(folder):
        _log.info("the folder was moved; its MLflow store finds its artifacts again")
    return MlflowClient(uri)


def _create_sqlite(uri: str) -> None:
    """Create a missing SQLite store, under another name first: a schema cut short cannot be mended."""
    path = sqlite_path(uri)
    if path is None or path.exists():
        return
    from mlflow import MlflowClient

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def again(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that may be made twice, some times if need be."""
    for pause in _PAUSES:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if error_code(error) not in _PASSING:
                raise
        time.sleep(pause)
    return call(*args, **kwargs)


def error_code(error: BaseException | None) -> Any:
    """Return MLflow's code of an error, or None."""
    return getattr(error, "error_code", None)
