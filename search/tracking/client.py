"""MLflow client without global state, and retries of calls after transient errors.

`import mlflow` takes seconds, so this package imports it inside functions.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from search.store.sqlite_uri import sqlite_path, sqlite_uri
from search.store.tracking_uri import client_uri
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
    """Return a client of a tracking store; a SQLite store that is missing or empty is created."""
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    _create_sqlite(uri)
    return MlflowClient(client_uri(uri))


def _create_sqlite(uri: str) -> None:
    """Create a missing or empty SQLite store under a temporary name first: an incomplete schema cannot be repaired."""
    path = sqlite_path(uri)
    if path is None or (path.exists() and (path.stat().st_size > 0)):
        return
    from mlflow import MlflowClient

    with atomic_file(path) as unfinished, _harmless_working_directory():
        MlflowClient(client_uri(sqlite_uri(unfinished.absolute()))).search_experiments(max_results=1)


@contextmanager
def _harmless_working_directory() -> Iterator[None]:
    """Leave a working directory whose path MLflow cannot put into SQL: it does so unquoted, in a new store."""
    before = Path.cwd()
    if not re.fullmatch(r"[\w/. +=@,-]*", str(before)):
        os.chdir("/")
    try:
        yield
    finally:
        os.chdir(before)


def limit_requests(seconds: float) -> None:
    """Set MLflow's limits in the environment of a command that reads: no repetition, and a time per request."""
    os.environ.update(ENVIRONMENT)
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(max(1, int(seconds)))


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
