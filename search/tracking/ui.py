"""How to look at a study in MLflow's own pages."""

from __future__ import annotations

import shlex
from pathlib import Path

from search.tracking.mapping import redact, store_uri


def ui_command(folder: Path, uri: str | None = None, port: int = 5000) -> str:
    """Return what shows a study in MLflow: a command line, quoted for a shell, or the address of a server.

    Args:
        folder: the study's folder.
        uri: the tracking store, if the study names one; otherwise as `store_uri` says.
        port: where the pages will be, on this machine.

    Raises:
        InputError: the store is one that MLflow no longer opens.
    """
    store = store_uri(folder, uri)
    if store.startswith(("http://", "https://")):
        return redact(store)
    command = [
        "mlflow",
        "ui",
        "--backend-store-uri",
        redact(store),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    return shlex.join(command)
