"""MLflow client without global state, and retries of calls after transient errors.

`import mlflow` takes seconds, so this package imports it inside functions.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from search.tracking.uri import sqlite_path
from trainables.records.atomic import atomic_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # printing it costs one more request per run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # blindly repeating a request to create a run creates two
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_PAUSES = (0.2, 0.8)  # seconds before each repetition
_TRANSIENT = {None, "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
P = ParamSpec("P")
T = TypeVar("T")


def open_client(uri: str) -> MlflowClient:
    """Return a client of a tracking store; a missing SQLite store is created."""
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _create_sqlite(uri)
    return MlflowClient(uri)


def _create_sqlite(uri: str) -> None:
    """Create a missing SQLite store under a temporary name first: an incomplete schema cannot be repaired."""
    path = sqlite_path(uri)
    if path is None or path.exists():
        return
    from mlflow import MlflowClient

    with atomic_file(path) as unfinished:
        MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)


def retry(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make an idempotent call, and repeat it after transient errors."""
    for pause in _PAUSES:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if error_code(error) not in _TRANSIENT:
                raise
        time.sleep(pause)
    return call(*args, **kwargs)


def error_code(error: BaseException | None) -> Any:
    """Return MLflow's error code, or None."""
    return getattr(error, "error_code", None)
