"""Data frames of MLflow runs and their histories, fast enough for thousands of runs.

MLflow needs one request per metric and run. Every child run that has ended therefore also has its history as one
Parquet artifact with one row per epoch, and these files are what is read here.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.store.tracking_uri import client_uri, local_artifacts
from search.tracking.mapping import RUNNING
from trainables import records
from trainables.records import ReportRow

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

_PAGE = 1000
_READERS = 8
CHILDREN = f"tags.`{records.TAG_RUN}` LIKE '%'"


def write_history(path: Path, run: str, reports: Sequence[ReportRow]) -> None:
    """Write a run's history with the columns run, epoch, at (POSIX seconds), and one per metric.

    Args:
        path: the Parquet file.
        run: name of the run.
        reports: its epochs, in order.
    """
    import pandas as pd

    head = {records.RUN: run, records.EPOCH: [report.epoch for report in reports]}
    frame = pd.DataFrame({**head, records.AT: [report.at for report in reports]})
    metrics = pd.DataFrame([report.metrics for report in reports], dtype="float64")
    pd.concat([frame, metrics], axis=1).to_parquet(path, index=False)


def read_runs(
    uri: str, experiment: str, where: str = CHILDREN, answered: Callable[[], None] = lambda: None
) -> pd.DataFrame:
    """Read the runs of an experiment as MLflow lists them.

    Args:
        uri: the tracking store.
        experiment: name of the experiment, which is the study's name.
        where: an MLflow filter string; by default all child runs.
        answered: called after every page of answers.

    Returns:
        One row per run, indexed by MLflow's run id, with the columns `run` (the name in the journal), `status`,
        `artifact_uri`, `params.NAME`, `metrics.NAME` and `tags.NAME` as in `mlflow.search_runs`, without MLflow's own
        tags.

    Raises:
        LookupError: the experiment does not exist.
    """
    import pandas as pd
    from mlflow import MlflowClient

    client = MlflowClient(client_uri(uri))
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise LookupError(f"MLflow has no experiment {experiment!r}")
    rows: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = client.search_runs([found.experiment_id], where, max_results=_PAGE, page_token=token)
        answered()
        rows += map(_row, page)
        token = page.token
        if not token:
            return pd.DataFrame(rows, columns=None if rows else ["run_id"]).set_index("run_id")


def _row(run: MlflowRun) -> dict[str, Any]:
    return {
        "run_id": run.info.run_id,
        "run": run.data.tags.get(records.TAG_RUN, run.info.run_name),
        "status": run.info.status,
        "artifact_uri": run.info.artifact_uri,
        **{f"params.{name}": value for name, value in run.data.params.items()},
        **{f"metrics.{name}": value for name, value in run.data.metrics.items()},
        **{f"tags.{name}": value for name, value in run.data.tags.items() if not name.startswith("mlflow.")},
    }


def read_histories(
    uri: str, runs: pd.DataFrame, at_once: int = 500, answered: Callable[[], None] = lambda: None
) -> Iterator[pd.DataFrame]:
    """Read the histories of runs in batches, so that memory does not grow with the number of runs.

    A run that is still training or has no history file is read from MLflow point by point.

    Args:
        uri: the tracking store.
        runs: all or some rows of a frame from `read_runs`.
        at_once: maximum number of runs per frame.
        answered: called after the history of every run.

    Yields:
        Frames with one row per epoch and run: `run_id` and the columns of `write_history`.
    """
    import pandas as pd
    from mlflow import MlflowClient

    client = MlflowClient(client_uri(uri))
    with tempfile.TemporaryDirectory(prefix="assay-history-") as scratch, _readers() as readers:
        read = partial(_history, client, uri, Path(scratch))
        for first in range(0, len(runs), at_once):
            some = runs.iloc[first : first + at_once]
            columns = (some.index, some["run"], some["status"], some["artifact_uri"])
            frames = []
            for frame in readers.map(read, *columns):
                answered()
                frames += [frame] if len(frame) else []
            if frames:
                yield pd.concat(frames, ignore_index=True)


@contextmanager
def _readers() -> Iterator[ThreadPoolExecutor]:
    """Yield a thread pool that is not waited for after an error, since its threads may wait for a server."""
    pool = ThreadPoolExecutor(_READERS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=sys.exception() is None, cancel_futures=True)


def _history(
    client: MlflowClient, uri: str, scratch: Path, run_id: str, run: str, status: str, artifact_uri: str
) -> pd.DataFrame:
    import pyarrow.parquet as pq
    from mlflow.exceptions import MlflowException

    if status == RUNNING:
        return _points(client, run_id, run)
    try:
        path = _history_file(client, uri, scratch, run_id, artifact_uri)
        frame: pd.DataFrame = pq.ParquetFile(path).read().to_pandas()
    except (OSError, MlflowException):
        return _points(client, run_id, run)
    if path.is_relative_to(scratch):
        path.unlink()
    frame.insert(0, "run_id", run_id)
    return frame


def _history_file(client: MlflowClient, uri: str, scratch: Path, run_id: str, artifact_uri: str) -> Path:
    """Return the path of a run's history file: the file itself if it is local, otherwise a downloaded copy."""
    local = local_artifacts(artifact_uri, uri)
    if local:
        return local / records.HISTORY_ARTIFACT
    folder = scratch / run_id
    folder.mkdir(exist_ok=True)
    return Path(client.download_artifacts(run_id, records.HISTORY_ARTIFACT, str(folder)))


def _points(client: MlflowClient, run_id: str, run: str) -> pd.DataFrame:
    """Return a run's history from MLflow's points, with one request per metric."""
    import pandas as pd

    rows: dict[int, dict[str, Any]] = {}
    for metric in set(client.get_run(run_id).data.metrics) & set(records.EPOCH_METRICS):
        for point in client.get_metric_history(run_id, metric):
            row = {"run_id": run_id, records.RUN: run, records.EPOCH: point.step, records.AT: point.timestamp / 1000}
            rows.setdefault(point.step, row)[metric] = point.value
    return pd.DataFrame([rows[epoch] for epoch in sorted(rows)])
