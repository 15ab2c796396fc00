"""MLflow's web pages for a study: the command that opens them, or the address of a server."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from search.store.delivery_state import read_delivery
from search.store.tracking_uri import own_store, redact, store_uri
from trainables.backends.process import MODULE
from trainables.errors import InputError

BACKEND = "MLFLOW_BACKEND_STORE_URI"
"""Variable that `mlflow ui` reads: unlike a command line, it hides credentials from other users."""
_VIEW = "workflowType=machine_learning"  # MLflow's pages for training; without it they may open on language models
_LEAN = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PYTHONSAFEPATH": "1",  # also for the processes that MLflow starts
}


def ui_command(folder: Path, uri: str | None = None, port: int = 5000) -> str:
    """Return the shell command that shows a study in MLflow, or the address of its experiment on a server.

    Args:
        folder: the study's folder.
        uri: the tracking store that the study names; by default as in `store_uri`.
        port: port on this machine.

    Raises:
        InputError: MLflow does not support the store.

    Examples:
        >>> ui_command(Path("/runs/s1"), "http://host:5000")
        'http://host:5000'
    """
    store = redact(store_uri(folder, uri))
    if is_server(store):
        return page_address(folder, store, store)
    return shlex.join(["mlflow", "ui", "--backend-store-uri", store, *_listen(port)])


def page_address(folder: Path, store: str, pages: str) -> str:
    """Return the address of a study's experiment in MLflow's pages, or of the home page if the experiment is unknown.

    Args:
        folder: the study's folder.
        store: a URI from `store_uri`.
        pages: address of the pages of this store.
    """
    delivered = read_delivery(folder)
    experiment = delivered.experiment if (delivered.uri or own_store(folder)) == redact(store) else ""
    return f"{pages.rstrip('/')}/#/experiments/{experiment}?{_VIEW}" if experiment else pages


def check_port(port: int) -> None:
    """Refuse a port of this machine that another program uses.

    Raises:
        InputError: it is in use, or this user may not use it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as MLflow does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"port {port} cannot be used for MLflow's pages: {error.strerror}; name another one with --port"
            ) from None


def is_server(store: str) -> bool:
    """Return whether a store is a server, which has its own web pages."""
    return store.startswith(("http://", "https://"))


def ui_arguments(store: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment variables that serve MLflow's pages for a database.

    The command belongs into a folder that nobody else can write: the server that MLflow starts imports from it.

    Args:
        store: a URI from `store_uri`.
        port: port on this machine.
    """
    return [*MODULE, "mlflow", "ui", *_listen(port), "--workers", "1"], {BACKEND: store, **_LEAN}


def _listen(port: int) -> list[str]:
    return ["--host", "127.0.0.1", "--port", str(port)]
