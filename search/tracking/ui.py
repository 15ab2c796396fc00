"""MLflow's web pages for a study: the command that opens them, or the address of a server."""

from __future__ import annotations

import shlex
from pathlib import Path

from search.tracking.uri import redact, store_uri

BACKEND = "MLFLOW_BACKEND_STORE_URI"
"""Variable that `mlflow ui` reads: unlike a command line, it hides credentials from other users."""
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def ui_command(folder: Path, uri: str | None = None, port: int = 5000) -> str:
    """Return the shell command that shows a study in MLflow, or the address of a server.

    Args:
        folder: the study's folder.
        uri: the tracking store that the study names; by default as in `store_uri`.
        port: port on this machine.

    Raises:
        InputError: If MLflow does not support the store.

    Examples:
        >>> ui_command(Path("/runs/s1"), "http://host:5000")
        'http://host:5000'
    """
    store = redact(store_uri(folder, uri))
    if is_server(store):
        return store
    return shlex.join(["mlflow", "ui", "--backend-store-uri", store, *_listen(port)])


def is_server(store: str) -> bool:
    """Return whether a store is a server, which has its own web pages."""
    return store.startswith(("http://", "https://"))


def ui_arguments(store: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the arguments for Python and the environment variables that serve MLflow's pages for a database.

    Args:
        store: a URI from `store_uri`.
        port: port on this machine.
    """
    return ["-m", "mlflow", "ui", *_listen(port), "--workers", "1"], {BACKEND: store, **_LEAN}


def _listen(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]
