"""Where MLflow is, and how no credentials get there beside the address itself."""

from __future__ import annotations

import json
import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from trainables import records
from trainables.errors import InputError

HIDDEN = "***"
SCHEMES = {"http", "https", "sqlite", "mysql", "postgresql", "mssql", "databricks", "databricks-uc", "uc"}
"""Of MLflow's own stores; installed packages may bring others."""
_SQLITE = "sqlite:///"
_USER = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)[\w.~!$&'()*+,;=:%@-]+@")
_SECRET = re.compile(
    r"(?P<before>[A-Za-z][\w+.-]*://[^\s\"'<>]*?[?&](?:password|passwd|pwd|token|access_token|secret)=)[^\s&\"'<>]+"
)
_SECRET_VARIABLE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE)
_SHORTEST_SECRET = 8  # shorter values stand in ordinary text


def redact(text: str) -> str:
    """Return a text without users, passwords and tokens in URIs, and without secrets of the environment.

    A secret of the environment is the value of a variable such as MLFLOW_TRACKING_TOKEN or AWS_SECRET_ACCESS_KEY.
    """
    text = _SECRET.sub(rf"\g<before>{HIDDEN}", _USER.sub(rf"\g<scheme>{HIDDEN}@", text))
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST_SECRET and value in text and _SECRET_VARIABLE.search(name):
            text = text.replace(value, HIDDEN)
    return text


def store_uri(folder: Path, uri: str | None = None) -> str:
    """Return the URI of the tracking store of a study.

    Args:
        folder: the study's folder.
        uri: a store named by the user; otherwise MLFLOW_TRACKING_URI, otherwise the one that the study was delivered
            to before, otherwise a SQLite file in the folder.

    Returns:
        The URI, with an absolute path if it is a SQLite file.

    Raises:
        InputError: it is a folder: MLflow has retired its file store; or its credentials are not known here.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or _used_before(folder) or own_store(folder)
    scheme, separator, path = uri.partition("://")
    if scheme.startswith("file") or (not separator and uri != "databricks"):
        raise InputError(
            f"tracking.uri is {redact(uri)!r}, a folder, which MLflow no longer writes to. "
            "Name a server (http://host:5000) or a database (sqlite:///mlflow.db), or leave it out."
        )
    if scheme.partition("+")[0] not in SCHEMES and scheme not in _of_plugins():
        raise InputError(
            f"tracking.uri is {redact(uri)!r}, and MLflow knows no store `{scheme}`. "
            "Name a server (http://host:5000) or a database (sqlite:///mlflow.db), or leave it out."
        )
    if scheme == "sqlite" and path.startswith("/"):
        return f"{_SQLITE}{Path(path[1:]).absolute()}"
    return uri


def _of_plugins() -> set[str]:
    return {entry.name for entry in entry_points(group="mlflow.tracking_store")}


def own_store(folder: Path) -> str:
    """Return the URI of the SQLite file in a study's folder."""
    return f"{_SQLITE}{folder.absolute() / records.MLFLOW_FILE}"


def _used_before(folder: Path) -> str | None:
    """Return the store outside the folder that the study was delivered to before, or None."""
    used = read_state(folder).get("uri")
    if used and HIDDEN in used:
        raise InputError(
            f"the study in {folder} was delivered to {used}, and its credentials are not kept. "
            "Set MLFLOW_TRACKING_URI to the whole address."
        )
    return used


def read_state(folder: Path) -> dict:
    """Return what the delivery of a study last said, or nothing."""
    try:
        return json.loads((folder / records.DELIVERY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite store, or None if the store is another one."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def artifact_location(uri: str, folder: Path) -> str | None:
    """Return where artifacts of a store belong: beside a SQLite file, in the folder for another database.

    Args:
        uri: the tracking store.
        folder: the study's folder.

    Returns:
        A `file:` URI, or None if a server keeps them.
    """
    if uri.startswith(("http://", "https://", "databricks")):
        return None
    file = sqlite_path(uri)
    return ((file.parent if file else folder.absolute()) / records.ARTIFACTS).as_uri()


def without_credentials(uri: str) -> tuple[str, dict[str, str]]:
    """Split a server's URI into one without credentials and the environment variables that hold them instead.

    MLflow repeats a server's address in its messages. A database's URI stays whole: its driver needs it.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or parts.username is None:
        return uri, {}
    variables = {"MLFLOW_TRACKING_USERNAME": unquote(parts.username)}
    if parts.password is not None:
        variables["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), variables
