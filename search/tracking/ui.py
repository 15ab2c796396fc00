"""How to look at a study in MLflow's own pages."""

from __future__ import annotations

import shlex
from pathlib import Path

from search.tracking.uri import redact, store_uri

BACKEND = "MLFLOW_BACKEND_STORE_URI"  # what `mlflow ui` reads: a command line is no place for credentials
_LEAN = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


def ui_command(folder: Path, uri: str | None = None, port: int = 5000) -> str:
    """Return what shows a study in MLflow: a command line, quoted for a shell, or the address of a server.

    Args:
        folder: the study's folder.
        uri: the tracking store, if the study names one; otherwise as `store_uri` says.
        port: where the pages will be, on this machine.

    Raises:
        InputError: the store is one that MLflow no longer opens.
    """
    store = redact(store_uri(folder, uri))
    if is_server(store):
        return store
    return shlex.join(["mlflow", "ui", "--backend-store-uri", store, *_where(port)])


def is_server(store: str) -> bool:
    """Return whether a store is a server, which has pages of its own."""
    return store.startswith(("http://", "https://"))


def ui_arguments(store: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return what starts MLflow's pages on a database: arguments for Python, and environment variables.

    Args:
        store: as `store_uri` returns it.
        port: where the pages will be, on this machine.
    """
    return ["-m", "mlflow", "ui", *_where(port), "--workers", "1"], {BACKEND: store, **_LEAN}


def _where(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]
