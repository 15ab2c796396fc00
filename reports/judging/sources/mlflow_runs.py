"""MLflow experiments: the runs of any experiment, nested or flat, logged by any program."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.judging.run_table import EPOCH, RUN, RunTable, find_column, recorded, short_list
from reports.judging.sources.extras import first_line, needs, shown
from trainables.errors import InputError
from trainables.records import number_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FINISHED = "FINISHED"
MOST_CURVES = 500
"""MLflow needs one request per metric and run, so the epochs of more runs are read only if they are averaged."""
_PAGE = 1000
_SETTINGS = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",  # of each attempt
}
_OF_COPIES = {"MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool"}
"""So that no connection to a copy is kept."""
_MOST_DESCRIPTION = 65_536
"""Bytes of a file `meta.yaml` that are looked at."""


def read_mlflow(
    source: str | Path, experiment: str | None, where: str = "", metrics: Sequence[str] = (), epochs: bool = False
) -> RunTable:
    """Read the finished runs of an experiment. Nothing is written to a store in files.

    Columns: `run`, `run_id`, `params.NAME`, `metrics.NAME` (the last value) and `tags.NAME`.

    Args:
        source: the tracking store: an address, a SQLite file or a folder.
        experiment: name or id of the experiment; None if there is only one.
        where: filter string of MLflow.
        metrics: metrics whose epochs are read.
        epochs: whether to read them however many runs there are.

    Raises:
        InputError: the store or the experiment cannot be read, or the filter is not valid.
    """
    needs("mlflow", "MLflow runs")
    from alembic.util import CommandError
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    place = shown(_place(source))
    try:
        with _settings(_OF_COPIES if isinstance(source, Path) else {}), _unchanged(source) as uri:
            client = MlflowClient(uri)
            id_, name = _experiment(client, place, experiment)
            found = list(_runs(client, id_, where))
            runs = [run for run in found if run.info.status == FINISHED]
            frame = pd.DataFrame([_row(run) for run in runs])
            wanted = runs if epochs or len(runs) <= MOST_CURVES else []
            curves = _curves(client, wanted, _logged(frame, metrics))
    except (MlflowException, CommandError, SQLAlchemyError, sqlite3.Error) as error:
        raise InputError(f"MLflow at {place} cannot be read: {shown(first_line(error))}") from None
    others = len(found) - len(runs)
    notes = [f"{number_of(others, 'run')} whose status is not FINISHED."] if others else []
    if runs and not wanted:
        notes.append(
            f"The epochs of {number_of(len(runs), 'run')}: more than {MOST_CURVES} take long (--last reads them)."
        )
    return RunTable(f"the MLflow experiment {name} at {place}", frame, curves, tuple(notes))


def is_file_store(folder: Path) -> bool:
    """Return whether a folder is a store of MLflow in files: it has a folder of an experiment with its `meta.yaml`."""
    return any(_describes_experiment(path) for path in folder.glob("*/meta.yaml"))


def _describes_experiment(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return any(line.startswith(b"experiment_id:") for line in stream.read(_MOST_DESCRIPTION).splitlines())


def _place(source: str | Path) -> str:
    if isinstance(source, str):
        return source
    return str(source.absolute()) if source.is_dir() else f"sqlite:///{source.absolute()}"


@contextmanager
def _unchanged(source: str | Path) -> Iterator[str]:
    """Yield an address by which MLflow reads a store without changing it.

    MLflow brings a database of an older version up to date, creates an experiment where none is, and makes folders.
    So it gets a copy of a SQLite file, and in place of a folder one with links to the experiments.
    """
    if isinstance(source, str):
        yield source
        return
    with TemporaryDirectory(prefix="assay-") as folder:
        if source.is_dir():
            for child in source.absolute().iterdir():
                Path(folder, child.name).symlink_to(child)
            yield Path(folder).as_uri()
        else:
            copy = Path(folder, "mlflow.db")
            _copy_database(source, copy)
            yield f"sqlite:///{copy}"


def _copy_database(source: Path, copy: Path) -> None:
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as database,
        closing(sqlite3.connect(copy)) as target,
    ):
        database.backup(target)


@contextmanager
def _settings(more: Mapping[str, str]) -> Iterator[None]:
    """Let MLflow read folders such as `mlruns`, which it no longer does by default, and give up soon on servers.

    It does not log that it brings a copy of a database up to date.
    """
    added = {name: value for name, value in {**_SETTINGS, **more}.items() if name not in os.environ}
    disabled = logging.root.manager.disable
    os.environ.update(added)
    logging.disable(max(disabled, logging.INFO))
    try:
        yield
    finally:
        logging.disable(disabled)
        for name in added:
            del os.environ[name]


def _experiment(client: MlflowClient, place: str, asked: str | None) -> tuple[str, str]:
    """Return id and name of the experiment."""
    if asked is not None:
        found = client.get_experiment_by_name(asked)
        if found is not None:
            return found.experiment_id, found.name
    known = {one.experiment_id: one.name for one in client.search_experiments()}
    if asked is not None:
        if asked in known:
            return asked, known[asked]
        raise InputError(
            f"--experiment {asked}: MLflow at {place} has no such experiment; it has {short_list(known.values())}"
        )
    used = {id_: name for id_, name in known.items() if client.search_runs([id_], max_results=1)}
    if len(used) != 1:
        raise InputError(
            f"MLflow at {place} has {len(used)} experiments with runs; name one with --experiment: "
            f"{short_list(used.values())}"
        )
    return next(iter(used.items()))


def _runs(client: MlflowClient, experiment: str, where: str) -> Iterator[Run]:
    token: str | None = None
    while True:
        page = client.search_runs([experiment], where, max_results=_PAGE, page_token=token, order_by=["start_time ASC"])
        yield from page
        token = page.token
        if not token:
            return


def _row(run: Run) -> dict[str, Any]:
    tags = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    return {
        RUN: run.info.run_name,
        "run_id": run.info.run_id,
        **{f"params.{name}": value for name, value in run.data.params.items()},
        **{f"metrics.{name}": recorded(value) for name, value in run.data.metrics.items()},
        **{f"tags.{name}": value for name, value in tags.items()},
    }


def _logged(frame: pd.DataFrame, metrics: Sequence[str]) -> list[str]:
    """Return the names under which MLflow has the metrics."""
    own = [str(name) for name in frame if str(name).startswith("metrics.")]
    found = [find_column(own, name, "--metric") for name in metrics if any(one.endswith(name) for one in own)]
    return [name.removeprefix("metrics.") for name in dict.fromkeys(found)]


def _curves(client: MlflowClient, runs: Sequence[Run], metrics: Sequence[str]) -> pd.DataFrame | None:
    """Return the epochs of the metrics that have several."""
    frames = []
    for row, run in enumerate(runs):
        points = {
            f"metrics.{metric}": pd.Series({point.step: point.value for point in history}, dtype=float)
            for metric in metrics
            if metric in run.data.metrics and (history := client.get_metric_history(run.info.run_id, metric))
        }
        if points:
            curve = pd.DataFrame(points).sort_index().rename_axis(EPOCH).reset_index()
            frames.append(curve.assign(**{RUN: row}))
    found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({RUN: []})
    return found if len(found) > len(frames) else None
