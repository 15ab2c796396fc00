"""Recognition of a source: which reader a path, address or data frame needs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from reports.judging.run_table import RunTable, repeated
from reports.judging.sources.extras import shown
from reports.judging.sources.frames import with_index_columns
from reports.judging.sources.mlflow_runs import is_file_store, read_mlflow
from reports.judging.sources.optuna_storage import read_optuna
from reports.judging.sources.ray_results import RESULT, read_ray_results
from reports.judging.sources.tables import ENDINGS, read_table
from reports.judging.sources.tensorboard_events import EVENTS, read_tensorboard
from trainables.errors import InputError
from trainables.records import JOURNAL_FILE, number_of

KINDS = (
    "a table (.csv, .tsv, .parquet), a folder of Ray Tune results or TensorBoard events, an Optuna storage, or an "
    "MLflow store (with --experiment)"
)
_SQLITE = b"SQLite format 3"
_DATABASES = ("sqlite", "mysql", "postgresql", "mssql")
_TABLES = {"MLflow": {"experiments", "runs", "params"}, "Optuna": {"studies", "trials"}, "Assay": {"meta", "decisions"}}


@dataclass(frozen=True)
class Access:
    """How a source is read.

    Args:
        experiment: name or id of an MLflow experiment.
        where: filter string of MLflow.
        metrics: metrics whose epochs are of interest.
        epochs: whether the epochs are needed however many runs there are.
    """

    experiment: str | None = None
    where: str = ""
    metrics: Sequence[str] = ()
    epochs: bool = False


def read_source(source: str | Path | pd.DataFrame, access: Access | None = None) -> RunTable:
    """Read runs from any kind of source.

    Args:
        source: a data frame, a path or an address.
        access: how to read it; only MLflow needs it.

    Raises:
        InputError: there is nothing there, or its kind is unknown.
    """
    access = access or Access()
    if isinstance(source, pd.DataFrame):
        _refuse_mlflow_options("the data frame", access)
        frame = with_index_columns(source)
        if twice := repeated(frame.columns):
            raise InputError(
                f"the data frame has several columns called `{twice[0]}` (levels of its index are also columns); give "
                "each a unique name"
            )
        return RunTable("the data frame", frame)
    if not str(source).strip():
        raise InputError(f"the source is empty, such as a variable that is not set. A source is {KINDS}.")
    if isinstance(source, str) and ("://" in source or source == "databricks"):
        return _read_address(source, access)
    path = Path(source).expanduser()
    try:
        if not path.exists():
            raise InputError(f"{source} does not exist. A source is {KINDS}.")
        return _read_folder(path, access) if path.is_dir() else _read_file(path, access)
    except OSError as error:
        raise InputError(f"{error.filename or source} cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise InputError(f"{source} has a value that is nested too deeply to be read") from None


def source_name(source: str | Path | pd.DataFrame, access: Access) -> str:
    """Return the title of a report on a source, without credentials and options of its address.

    >>> source_name("https://me:secret@host:5000", Access())
    'host:5000'
    """
    if isinstance(source, pd.DataFrame):
        return "runs"
    place = str(source).partition("?")[0] if "://" in str(source) else str(source)
    return access.experiment or Path(shown(place)).name


def _mlflow(source: str | Path, access: Access) -> RunTable:
    return read_mlflow(source, access.experiment, access.where, access.metrics, access.epochs)


def _refuse_mlflow_options(source: str | Path, access: Access) -> None:
    """Refuse options that only MLflow obeys, instead of judging runs that they should leave out."""
    given = {"--experiment": access.experiment, "--filter": access.where}
    for option, value in given.items():
        if value:
            raise InputError(
                f"{option} {value}: {source} is not an MLflow store, so the option does not apply; leave it out, "
                "and select runs with --where COLUMN=VALUE"
            )


def _local(text: str) -> Path:
    """Return the path of an address, in which characters may be percent-encoded."""
    path = Path(text)
    return path if path.exists() else Path(unquote(text))


def _read_address(uri: str, access: Access) -> RunTable:
    scheme = uri.partition("://")[0].partition("+")[0]
    path = _local(uri.partition(":///")[2].partition("?")[0])
    if scheme == "sqlite":
        if not path.is_file():
            raise InputError(f"{uri}: the file {path} does not exist")
        return _read_file(path, access)
    if scheme in _DATABASES and access.experiment is None:
        _refuse_mlflow_options(shown(uri), access)
        return read_optuna(uri)
    if scheme in (*_DATABASES, "http", "https", "databricks", "uc", "databricks-uc"):
        return _mlflow(uri, access)
    if scheme == "file":
        return read_source(_local(uri.removeprefix("file://")), access)
    raise InputError(f"{shown(uri)} is an address of an unknown kind. A source is {KINDS}.")


def _read_file(path: Path, access: Access) -> RunTable:
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder. A source is {KINDS}.")
    if path.name.lower().endswith(ENDINGS):
        _refuse_mlflow_options(path, access)
        return read_table(path)
    with path.open("rb") as stream:
        start = stream.read(256)
    if start.startswith(_SQLITE):
        return _read_database(path, access)
    if start.startswith(b"{") and b"op_code" in start:
        _refuse_mlflow_options(path, access)
        return read_optuna(path)
    raise InputError(f"{path} is of an unknown kind. A source is {KINDS}.")


def _read_database(path: Path, access: Access) -> RunTable:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise InputError(f"the database {path} cannot be read: {error}") from None
    kind = next((kind for kind, own in _TABLES.items() if own <= tables), None)
    if kind == "MLflow":
        return _mlflow(path, access)
    if kind == "Optuna":
        _refuse_mlflow_options(path, access)
        return read_optuna(path)
    if kind == "Assay":
        raise _own_study(path.parent)
    raise InputError(f"the database {path} is neither an MLflow nor an Optuna database. A source is {KINDS}.")


def _own_study(folder: Path) -> InputError:
    return InputError(
        f"{folder} is a study of Assay, which is judged by its own plan: use `assay report {folder}`. Its runs as a "
        "table are in report/runs.csv."
    )


@dataclass
class _Found:
    """What a folder contains: results of Ray Tune, event files, runs of Weights & Biases, files that cannot be read."""

    results: list[Path] = field(default_factory=list)
    events: list[Path] = field(default_factory=list)
    offline: bool = False
    special: int = 0


def _search(folder: Path) -> _Found:
    """Look for files of runs in all folders; only regular files count, since others may be read for ever."""
    found = _Found()
    for directory, _, names in os.walk(folder):
        found.offline = found.offline or any(name.endswith(".wandb") for name in names)
        for name in names:
            if name != RESULT and EVENTS not in name:
                continue
            path = Path(directory, name)
            if path.is_file():
                (found.results if name == RESULT else found.events).append(path)
            else:
                found.special += 1
    return found


def _read_folder(folder: Path, access: Access) -> RunTable:
    if (folder / JOURNAL_FILE).exists():
        raise _own_study(folder)
    database = folder / "mlflow.db"
    if access.experiment is not None and database.exists():
        return _read_file(database, access)
    if is_file_store(folder):
        return _read_file(database, access) if database.exists() else _mlflow(folder, access)
    if access.experiment is not None:
        raise InputError(
            f"--experiment {access.experiment}: {folder} is not an MLflow store, and only these have experiments; "
            "leave it out, or name the folder of the store (often mlruns), which has the file mlflow.db, or meta.yaml "
            "in a folder for every experiment"
        )
    found = _search(folder)
    if found.results or found.events:
        _refuse_mlflow_options(folder, access)
        return _read_found(folder, found)
    if database.exists():
        return _read_file(database, access)
    if found.offline:
        raise InputError(
            f"{folder} has runs of Weights & Biases in their own binary form, which only `wandb sync` reads. Export "
            "them as a CSV file from the page of the project, or with wandb.Api().runs() and pandas."
        )
    left_out = " ".join(("", *_special_files(found)))
    raise InputError(f"{folder} has neither results of Ray Tune nor TensorBoard events.{left_out} A source is {KINDS}.")


def _read_found(folder: Path, found: _Found) -> RunTable:
    table = read_ray_results(folder, sorted(found.results)) if found.results else read_tensorboard(folder, found.events)
    return replace(table, notes=(*table.notes, *_special_files(found)))


def _special_files(found: _Found) -> tuple[str, ...]:
    if not found.special:
        return ()
    return (f"{number_of(found.special, 'file')} of results or events that cannot be read: pipes or broken links.",)
