"""MLflow experiments: the runs of any experiment, nested or flat, whoever logged them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.judging.run_table import EPOCH, RUN, RunTable, find_column, recorded, short_list
from reports.judging.sources.extras import needs, shown
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


def read_mlflow(
    uri: str, experiment: str | None, where: str = "", metrics: Sequence[str] = (), epochs: bool = False
) -> RunTable:
    """Read the finished runs of an experiment.

    Columns: `run`, `run_id`, `params.NAME`, `metrics.NAME` (the last value) and `tags.NAME`.

    Args:
        uri: the tracking store.
        experiment: name or id of the experiment; None if there is only one.
        where: filter string of MLflow.
        metrics: metrics whose epochs are read.
        epochs: whether to read them however many runs there are.

    Raises:
        InputError: the store or the experiment cannot be read, or the filter is not valid.
    """
    needs("mlflow", "MLflow runs")
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        with _settings():
            client = MlflowClient(uri)
            id_, name = _experiment(client, uri, experiment)
            found = list(_runs(client, id_, where))
            runs = [run for run in found if run.info.status == FINISHED]
            frame = pd.DataFrame([_row(run) for run in runs])
            wanted = runs if epochs or len(runs) <= MOST_CURVES else []
            curves = _curves(client, wanted, _logged(frame, metrics))
    except MlflowException as error:
        raise InputError(f"MLflow at {shown(uri)} cannot be read: {shown(str(error).splitlines()[0])}") from None
    others = len(found) - len(runs)
    notes = [f"{number_of(others, 'run')} whose status is not FINISHED."] if others else []
    if runs and not wanted:
        notes.append(
            f"The epochs of {number_of(len(runs), 'run')}: more than {MOST_CURVES} take long (--last reads them)."
        )
    return RunTable(f"the MLflow experiment {name} at {shown(uri)}", frame, curves, tuple(notes))


@contextmanager
def _settings() -> Iterator[None]:
    """Let MLflow read folders such as `mlruns`, which it no longer does by default, and give up soon on servers."""
    added = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _experiment(client: MlflowClient, uri: str, asked: str | None) -> tuple[str, str]:
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
            f"--experiment {asked}: MLflow at {shown(uri)} has no such experiment; it has {short_list(known.values())}"
        )
    used = {id_: name for id_, name in known.items() if client.search_runs([id_], max_results=1)}
    if len(used) != 1:
        raise InputError(
            f"MLflow at {shown(uri)} has {len(used)} experiments with runs; name one with --experiment: "
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
