"""MLflow: what a report costs the driver, how fast reports arrive, how fast runs are read back.

Options: `report`, `deliver`, `read`; by default all three; and how many runs of 100 epochs are read back, by default
5 000. Everything is in a temporary folder.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from search.store.journal import Journal
from search.store.tracking_uri import own_store
from search.tracking.backlog import Backlog
from search.tracking.client import ENVIRONMENT
from search.tracking.history import read_histories, read_runs
from search.tracking.synchronizer import Synchronizer
from tests.benchmarks.common import Cost, table
from tests.support.runs import plan_of, run_of
from trainables import records
from trainables.records import EndDecision, JournalReader, Outcome

NAME = "benchmark"
RUNS, EPOCHS = 5000, 100
FEW = 20  # runs for what is slow


def main(arguments: list[str]) -> None:
    """Print a table for each part."""
    os.environ.update(ENVIRONMENT)
    parts = [part for part in ("report", "deliver", "read") if part in arguments] or ["report", "deliver", "read"]
    runs = next((int(text) for text in arguments if text.isdigit()), RUNS)
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as folder:
            if part == "report":
                _report(Path(folder))
            elif part == "deliver":
                _deliver(Path(folder))
            else:
                _read(Path(folder), runs)


class _Clock:
    """Wall and CPU time of a block."""

    def __enter__(self) -> _Clock:
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu = self._began
        self.cost = Cost(time.perf_counter() - wall, time.process_time() - cpu)


def _metrics(epoch: int) -> dict[str, float]:
    return {name: epoch + i / 8 for i, name in enumerate(records.EPOCH_METRICS)}


def _journal(folder: Path, runs: int) -> Journal:
    """Return a new journal that announces some runs."""
    journal = Journal.create(folder / records.JOURNAL_FILE)
    journal.set_meta_once(records.META_ID, NAME)
    journal.set_meta_once(records.META_PLAN, plan_of(NAME).dump())
    values = {"learning_rate": 0.1, "mixup.alpha": 0.2, "model": "resnet20", "weight_decay": 1e-4}
    journal.add_runs(
        run_of(f"run-{i:05d}", records.SEARCH, "all", "all: mixup", "mixup", i, 0, False, {}, values)
        for i in range(runs)
    )
    return journal


def _train(journal: Journal, runs: int, epochs: int) -> None:
    """Write all epochs and the end of every run."""
    rows = [(epoch, _metrics(epoch)) for epoch in range(1, epochs + 1)]
    for i in range(runs):
        journal.report(f"run-{i:05d}", rows)
        journal.end(f"run-{i:05d}", Outcome(records.COMPLETED, epochs, "", {records.SELECTION: 0.5}))
    journal.decide(EndDecision(runs=runs))


def _callback(folder: Path) -> tuple[Any, list[Any]]:
    """Return Ray's own callback on a new store, and trials that it knows."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    callback = MLflowLoggerCallback(tracking_uri=f"sqlite:///{folder / 'ray.db'}", experiment_name="ray")
    callback.setup()
    trials = [_Trial(i) for i in range(FEW)]
    for trial in trials:
        callback.log_trial_start(trial)
    return callback, trials


class _Trial(SimpleNamespace):
    """As much of a trial of Ray Tune as its callback looks at."""

    def __init__(self, number: int) -> None:
        super().__init__(config={"learning_rate": 0.1, "mixup.alpha": 0.2}, number=number)

    def __hash__(self) -> int:
        return self.number

    def __str__(self) -> str:
        return f"trial {self.number}"


def _report(folder: Path) -> None:
    """Print what one epoch of one run costs the process that drives the study."""
    with _journal(folder, FEW) as journal, _Clock() as ours:
        for epoch in range(1, EPOCHS + 1):
            for i in range(FEW):
                journal.report(f"run-{i:05d}", [(epoch, _metrics(epoch))])
    callback, trials = _callback(folder)
    with _Clock() as rays:
        for epoch in range(1, 6):
            for trial in trials:
                callback.log_trial_result(epoch, trial, {**_metrics(epoch), "training_iteration": epoch})
    rows = [
        [name, 1000 * cost.wall / reports, 1000 * cost.cpu / reports]
        for name, cost, reports in (("the journal", ours.cost, EPOCHS * FEW), ("Ray's callback", rays.cost, 5 * FEW))
    ]
    table(("an epoch report in the driver", "ms", "ms of CPU"), rows)


def _deliver(folder: Path) -> None:
    """Print how many epoch reports a second reach MLflow, in one run after another."""
    from mlflow import MlflowClient

    runs, few, epochs = 5 * FEW, 5, 10
    with _journal(folder, runs) as journal:
        _train(journal, runs, EPOCHS)
    ours = _deliver_all(folder)
    client = MlflowClient(f"sqlite:///{folder / 'plain.db'}")
    experiment = client.create_experiment(NAME)
    with _Clock() as plain:
        for _ in range(few):
            run = client.create_run(experiment).info.run_id
            for epoch in range(1, epochs + 1):
                for name, value in _metrics(epoch).items():
                    client.log_metric(run, name, value, step=epoch)
            client.set_terminated(run)
    rows = [
        [name, reports / cost.wall, reports / cost.cpu]
        for name, cost, reports in (("delivered", ours, runs * EPOCHS), ("log_metric", plain.cost, few * epochs))
    ]
    table(("epoch reports into SQLite", "per s", "per s of CPU"), rows)


def _deliver_all(folder: Path) -> Cost:
    """Deliver a study, and return what that cost after the store was made."""
    from mlflow import MlflowClient

    uri = own_store(folder)
    MlflowClient(uri).search_experiments()
    with closing(JournalReader.open(folder)) as source:
        courier = Synchronizer(folder, uri, Backlog(source), lambda: True)
        with _Clock() as clock:
            courier.round(last=True)
        if not courier.complete:
            raise RuntimeError(f"not all was delivered: {courier.error}")
    return clock.cost


def _read(folder: Path, runs: int) -> None:
    """Print how long all runs with all their epochs take to read back, and in how much memory."""
    from mlflow import MlflowClient

    with _journal(folder, FEW) as journal:
        _train(journal, FEW, EPOCHS)
    _deliver_all(folder)
    _multiply(folder, runs // FEW)
    uri, before = own_store(folder), _megabytes()
    with _Clock() as ours:
        listed = read_runs(uri, NAME)
        found = sum(len(frame) for frame in read_histories(uri, listed))
    memory = _megabytes() - before
    if found != runs * EPOCHS:
        raise RuntimeError(f"{found} epochs were read back, not {runs * EPOCHS}")
    client = MlflowClient(uri)
    with _Clock() as plain:
        for run_id in listed.index[:FEW]:
            for metric in records.EPOCH_METRICS:
                client.get_metric_history(run_id, metric)
    scaled = Cost(plain.cost.wall * runs / FEW, plain.cost.cpu * runs / FEW)
    rows = [
        ["read_runs, read_histories", ours.cost.wall, ours.cost.cpu, memory],
        [f"get_metric_history, from {FEW} runs", scaled.wall, scaled.cpu, "-"],
    ]
    table((f"{runs} runs of {EPOCHS} epochs read back", "s", "s of CPU", "more memory, MB"), rows)


def _multiply(folder: Path, times: int) -> None:
    """Copy each child in a store until there are so many of it: delivering thousands takes long.

    Points are left out, five million of them: MLflow lists runs by their latest ones, and histories are in files.
    """
    tables = {"params": "key, value", "tags": "key, value", "latest_metrics": "key, value, timestamp, step, is_nan"}
    with closing(sqlite3.connect(folder / records.MLFLOW_FILE)) as db, db:
        (columns,) = db.execute("SELECT group_concat(name) FROM pragma_table_info('runs')").fetchone()
        changed = columns.replace("run_uuid", ":new").replace("artifact_uri", "replace(artifact_uri, :old, :new)")
        children = db.execute("SELECT run_uuid FROM tags WHERE key = ?", (records.TAG_RUN,)).fetchall()
        for (old,) in children:
            for _ in range(times - 1):
                ids = {"old": old, "new": uuid.uuid4().hex}
                db.execute(f"INSERT INTO runs ({columns}) SELECT {changed} FROM runs WHERE run_uuid = :old", ids)
                for name, values in tables.items():
                    rows = f"SELECT {values}, :new FROM {name} WHERE run_uuid = :old"
                    db.execute(f"INSERT INTO {name} ({values}, run_uuid) {rows}", ids)
                place = folder / records.ARTIFACTS
                shutil.copytree(place / old, place / ids["new"])


def _megabytes() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
