"""Tracking URIs: which MLflow store a study uses, and the removal of credentials from everything else."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import time
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from search.store.delivery_state import read_delivery
from search.store.sqlite_uri import absolute_uri, has_table, is_sqlite, sqlite_path, sqlite_uri
from trainables import records
from trainables.errors import InputError
from trainables.records import JournalReader

HIDDEN = "***"
SCHEMES = {"http", "https", "sqlite", "mysql", "postgresql", "mssql", "databricks", "databricks-uc", "uc"}
"""Schemes of MLflow's own stores; installed plug-ins may add others."""
ARTIFACT_SCHEME = "assay"
"""Scheme of artifact URIs relative to the SQLite file of the store (see `search.tracking.artifact_repository`)."""
CREATION_SECONDS = 10.0
"""Time since the last change of a SQLite file for which MLflow may still be creating its tables in it."""
_USER = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*://)[\w.~!$&'()*+,;=:%@-]+@")
_SECRET = re.compile(
    r"(?P<before>[A-Za-z][\w+.-]*://[^\s\"'<>]*?[?&](?:password|passwd|pwd|token|access_token|secret)=)[^\s&\"'<>]+"
)
_ANY_USER = re.compile(r"^(?P<scheme>[A-Za-z][\w+.-]*://)(?P<user>.*)@(?=[^@]*$)", re.DOTALL)
_PARAMETER = re.compile(r"(?P<before>[?&#;](?P<name>[^=&#;]*)=)[^&#;]+")
_SECRET_VARIABLE = re.compile(
    r"PASSWORD|PASSWD|(?:\b|_)PWD\b|SECRET|TOKEN|API_?KEY|ACCESS_KEY|CREDENTIAL", re.IGNORECASE
)
_SHORTEST_SECRET = 8  # shorter values occur in ordinary text


def redact(text: str) -> str:
    """Return a text without users, passwords and tokens in URIs, and without secrets from the environment.

    A secret from the environment is the value of a variable such as MLFLOW_TRACKING_TOKEN or AWS_SECRET_ACCESS_KEY.

    Examples:
        >>> redact("cannot reach http://me:secret@host:5000/x")
        'cannot reach http://***@host:5000/x'
    """
    whole = os.environ.get("MLFLOW_TRACKING_URI")
    if whole:  # its password may contain any character
        text = text.replace(whole, without_secrets(whole, HIDDEN))
    text = _SECRET.sub(rf"\g<before>{HIDDEN}", _USER.sub(rf"\g<scheme>{HIDDEN}@", text))
    for name, value in os.environ.items():
        if len(value) < _SHORTEST_SECRET or name == "PWD":  # the working directory
            continue
        if value in text and _SECRET_VARIABLE.search(name):
            text = text.replace(value, HIDDEN)
    return text


def refuse_credentials(uri: str) -> None:
    """Refuse a tracking store whose URI contains a secret, which would be stored in the study folder.

    Raises:
        InputError: it contains a user of a server, or a password or token.

    Examples:
        >>> refuse_credentials("postgresql://me@host/runs")
        >>> refuse_credentials("http://me:secret@host:5000")
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: tracking.uri contains credentials ('http://***@host:5000'), which ...
    """
    if without_secrets(uri) == uri:
        return
    instead = "the complete URI in the environment variable MLFLOW_TRACKING_URI"
    if uri.startswith(("http:", "https:")):
        instead = (
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, in the environment, "
            f"or {instead}"
        )
    shown = without_secrets(uri, HIDDEN)
    raise InputError(
        f"tracking.uri contains credentials ({shown!r}), which would be stored in the study folder; remove them and "
        f"set {instead}"
    )


def without_secrets(uri: str, mark: str = "") -> str:
    """Return the URI of a store without the user of a server, passwords and tokens.

    Args:
        uri: the URI.
        mark: what stands in their place, if anything.

    Examples:
        >>> without_secrets("mysql+pymysql://me:a@b@host/runs?charset=utf8&password=x")
        'mysql+pymysql://me@host/runs?charset=utf8&password='
    """
    if is_sqlite(uri):
        return uri
    server = uri.lower().startswith(("http:", "https:"))

    def user(found: re.Match[str]) -> str:
        kept = mark or ("" if server else found["user"].partition(":")[0])
        return f"{found['scheme']}{kept}{'@' if kept else ''}"

    def parameter(found: re.Match[str]) -> str:
        return f"{found['before']}{mark}" if _SECRET_VARIABLE.search(unquote(found["name"])) else found[0]

    return _PARAMETER.sub(parameter, _ANY_USER.sub(user, uri, count=1))


def configured_uri(folder: Path) -> str | None:
    """Return the tracking store that the study file of a study names, or None.

    Raises:
        InputError: the folder contains no study.
    """
    with JournalReader.open(folder) as journal:
        study = journal.meta(records.META_STUDY) or {}
    uri = study.get("tracking", {}).get("uri")
    return uri and absolute_uri(uri, folder)  # older studies contain a relative path, which referred to their folder


def store_uri(folder: Path, uri: str | None = None) -> str:
    """Return the URI of a study's tracking store.

    Args:
        folder: the study's folder.
        uri: a store named by the user; by default MLFLOW_TRACKING_URI, then the store that the study was delivered
            to before, then a SQLite file in the folder.

    Returns:
        The URI, with an absolute path if it is a SQLite file.

    Raises:
        InputError: it is a folder, since MLflow has retired its file store, or a store that MLflow does not
            support; its credentials are unknown; or the study chooses options of a database's driver.
    """
    own = os.environ.get("MLFLOW_TRACKING_URI")
    uri = uri or own or _previous_uri(folder) or own_store(folder)
    if uri != own:
        _refuse_driver_options(uri)
    scheme, separator, _ = uri.partition("://")
    if scheme.startswith("file") or (not separator and uri != "databricks"):
        raise InputError(
            f"tracking.uri is {redact(uri)!r}, a folder, which MLflow no longer supports as a store. "
            "Name a server (http://host:5000) or a database (sqlite:///mlflow.db), or leave it out."
        )
    if scheme.partition("+")[0] not in SCHEMES and scheme not in _plugin_schemes():
        raise InputError(
            f"tracking.uri is {redact(uri)!r}, but MLflow has no store with the scheme `{scheme}`. "
            "Name a server (http://host:5000) or a database (sqlite:///mlflow.db), or leave it out."
        )
    if is_sqlite(uri) and sqlite_path(uri) is None:
        raise InputError(f"tracking.uri is {redact(uri)!r}, which names no file; write `sqlite:////FOLDER/mlflow.db`")
    return absolute_uri(uri, Path.cwd())


def _refuse_driver_options(uri: str) -> None:
    """Refuse options of a database's driver, which may read files or load libraries, unless the user names them."""
    scheme, _, rest = uri.partition("://")
    if "?" in rest and scheme not in {"http", "https"} and not is_sqlite(uri):
        raise InputError(
            f"tracking.uri is {without_secrets(uri, HIDDEN)!r}, a database with options for its driver, which may read "
            "files or run code; set the environment variable MLFLOW_TRACKING_URI to it instead"
        )


def _plugin_schemes() -> set[str]:
    return {entry.name for entry in entry_points(group="mlflow.tracking_store")}


def chosen_by_study(folder: Path, uri: str | None) -> str:
    """Return the store that gets results because the study or its folder names it, without credentials; or nothing.

    Whoever sent the folder may have chosen it. A server also gets MLflow's credentials.

    Args:
        folder: the study's folder.
        uri: the tracking store that the study names.

    Returns:
        The URI of a server, or the path of a file outside of the folder.

    Raises:
        InputError: as in `store_uri`.

    Examples:
        >>> chosen_by_study(Path("/runs/s1"), "http://me:secret@host:5000")
        'http://***@host:5000'
        >>> chosen_by_study(Path("/runs/s1"), "sqlite:////runs/all.db")
        '/runs/all.db'
    """
    store = store_uri(folder, uri)
    own = os.environ.get("MLFLOW_TRACKING_URI")
    if store == own_store(folder) or (own and store == absolute_uri(own, Path.cwd())):
        return ""
    return redact(str(sqlite_path(store) or store))


def own_store(folder: Path) -> str:
    """Return the URI of the SQLite file in a study's folder."""
    return sqlite_uri(folder.absolute() / records.MLFLOW_FILE)


def existing_store(uri: str) -> str:
    """Return a tracking store that is only read, with an absolute path if it is a SQLite file.

    Raises:
        InputError: it is a SQLite file that is missing or is not a store of MLflow: MLflow would create it.
    """
    store = absolute_uri(uri, Path.cwd())
    path = sqlite_path(store)
    if is_sqlite(store) and (path is None or not has_table(path, "experiments")):
        raise InputError(
            f"{redact(uri)} is not a tracking store: " + (f"{path} is not an MLflow database" if path else "no file")
        )
    return store


def refuse_foreign_database(store: str, folder: Path) -> None:
    """Refuse a tracking store that is a file of another program: MLflow would add its tables to it.

    Args:
        store: the tracking store, as returned by `store_uri`.
        folder: the study's folder, whose own store may be half made.

    Raises:
        InputError: it is such a file.
    """
    path = sqlite_path(store)
    if path is None or store == own_store(folder) or not path.exists():
        return
    if not path.is_file() or (path.stat().st_size and not _is_mlflow_store(path)):
        raise InputError(
            f"the tracking store {redact(store)} is {path}, which is not an MLflow database and would be changed; "
            "use a new file or an existing MLflow database"
        )


def _is_mlflow_store(path: Path) -> bool:
    """Return whether a SQLite file is a store of MLflow, waiting for one that another study may be creating."""
    while not has_table(path, "experiments"):
        if time.time() - path.stat().st_mtime > CREATION_SECONDS:
            return False
        time.sleep(0.2)
    return True


@cache
def client_uri(uri: str) -> str:
    """Return the URI to give to MLflow for a tracking store.

    MLflow creates the parent folder of a SQLite file without unquoting its name, so a path with special characters is
    given by a symbolic link, which is removed when the process ends.
    """
    path = sqlite_path(uri)
    if path is None or "%" not in sqlite_uri(path.parent):
        return uri
    link = Path(tempfile.mkdtemp(prefix="assay-mlflow-")) / "store"
    atexit.register(shutil.rmtree, link.parent, ignore_errors=True)
    link.symlink_to(path.parent.absolute(), target_is_directory=True)
    return sqlite_uri(link / path.name)


def _previous_uri(folder: Path) -> str | None:
    """Return the store outside the folder that the study was delivered to before, or None."""
    uri = read_delivery(folder).uri
    if uri and HIDDEN in uri:
        raise InputError(
            f"the study in {folder} was delivered to {uri}, and its credentials are not stored. "
            "Set MLFLOW_TRACKING_URI to the complete URI."
        )
    return uri


def artifact_location(uri: str, folder: Path) -> str | None:
    """Return the artifact location of a new experiment.

    Args:
        uri: the tracking store.
        folder: the study's folder.

    Returns:
        For the store in the folder a URI relative to the folder, so that the folder can be moved; for another SQLite
        file a `file:` URI next to it, for another database one in the folder; None if a server chooses the location.
    """
    if uri.startswith(("http://", "https://", "databricks")):
        return None
    if uri == own_store(folder):
        return f"{ARTIFACT_SCHEME}:/{records.ARTIFACTS}"
    file = sqlite_path(uri)
    return ((file.parent if file else folder.absolute()) / records.ARTIFACTS).as_uri()


def check_location(location: str, uri: str, folder: Path) -> None:
    """Refuse a place of artifacts that a SQLite store names: one that is neither next to the store nor in the study.

    Whoever made the file has chosen the place. MLflow would send files there, with its credentials, or write them.

    Args:
        location: artifact URI of an experiment or run in the store.
        uri: the tracking store; a server is trusted.
        folder: the study's folder.

    Raises:
        InputError: it is elsewhere.

    Examples:
        >>> check_location("assay:/artifacts/1", "sqlite:////runs/s1/mlflow.db", Path("/runs/s1"))
        >>> check_location("https://host/1", "sqlite:////runs/s1/mlflow.db", Path("/runs/s1"))
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: /runs/s1/mlflow.db stores artifacts in https://host/1, outside of ...
    """
    file = sqlite_path(uri)
    if file is None:
        return
    path = local_artifacts(location, uri)
    allowed = [file.parent.resolve(), folder.resolve()]
    if path is None or not any(path.resolve().is_relative_to(each) for each in allowed):
        raise InputError(
            f"{file} stores artifacts in {redact(location)}, outside of its folder and of the study's, so nothing is "
            "delivered; if this is intended, start MLflow's server with this file, and name the server"
        )


def local_artifacts(artifact_uri: str, uri: str) -> Path | None:
    """Return the folder that an artifact URI refers to, or None if it is not on this machine.

    Args:
        artifact_uri: such as `file:///runs/artifacts/1`, or relative to the store (see `relative_artifacts`).
        uri: the tracking store that contains it.

    Raises:
        InputError: as in `relative_artifacts`.

    Examples:
        >>> local_artifacts("file:///runs/artifacts/1", "http://host:5000").as_posix()
        '/runs/artifacts/1'
    """
    parts = urlsplit(artifact_uri)
    if parts.scheme in {"", "file"}:
        return Path(url2pathname(parts.path))
    return relative_artifacts(artifact_uri, uri)


def relative_artifacts(artifact_uri: str, uri: str) -> Path | None:
    """Return the folder that an artifact URI relative to a SQLite store refers to, or None for any other URI.

    Args:
        artifact_uri: such as `assay:/artifacts/RUN/artifacts`.
        uri: the tracking store that contains it.

    Examples:
        >>> relative_artifacts("assay:/artifacts/1", "sqlite:////runs/s1/mlflow.db").as_posix()
        '/runs/s1/artifacts/1'

    Raises:
        InputError: it leads out of the folder of the store.
    """
    parts, file = urlsplit(artifact_uri), sqlite_path(uri)
    if parts.scheme != ARTIFACT_SCHEME or file is None:
        return None
    if ".." in Path(parts.path).parts:
        raise InputError(f"{redact(artifact_uri)} leads out of the folder of {file}; the file was not made by Assay")
    return file.parent / parts.path.lstrip("/")


def without_credentials(uri: str) -> tuple[str, dict[str, str]]:
    """Split a server's URI into one without credentials and the environment variables that contain them instead.

    MLflow repeats a server's URI in its messages. A database URI stays whole, since its driver needs the credentials.
    """
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or parts.username is None:
        return uri, {}
    variables = {"MLFLOW_TRACKING_USERNAME": unquote(parts.username)}
    if parts.password is not None:
        variables["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), variables
