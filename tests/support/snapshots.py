"""Snapshot of a study: all that two repetitions have in common.

Left out are times and what is measured in seconds, ids, paths, and what names a process or a machine.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pandas as pd

from search.store.optuna_storage import TRIAL
from search.store.sqlite_uri import sqlite_uri
from search.store.yaml_files import read_mapping
from trainables import records
from trainables.records import JournalReader

Part = list[Any]
TIMED_METRICS = {records.SECONDS, records.IMAGES_PER_SECOND}
TIMED_COLUMNS = {"started", "ended", "seconds", "seconds_deviation", "seconds_per_epoch", "relative"}
OWN_TAGS = {records.TAG_STUDY_ID, records.TAG_PARENT, "mlflow.user"}


def snapshot(folder: Path, in_order: bool) -> dict[str, Part]:
    """Return what a finished study holds, by name of the part.

    Args:
        folder: the study's.
        in_order: whether rows of the journal keep their order, which concurrent runs leave open.
    """
    journal = journal_rows(folder)
    return {
        **(journal if in_order else {name: sorted(rows, key=repr) for name, rows in journal.items()}),
        "facts": _facts(folder),
        "optuna": _optuna(folder, in_order),
        "mlflow": _mlflow(folder / records.MLFLOW_FILE),
        "recipe": [_recipe(folder / records.RECIPE_FILE)],
        "report": [_table(path, in_order) for path in sorted((folder / records.REPORT).glob("*.csv"))],
        "files": sorted(_files(folder)),
        "artifacts": sorted(_artifacts(folder)),
    }


def written_rows(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of the journal as they are, by table."""
    files = list(folder.glob(f"{records.JOURNAL_FILE}*"))
    if not files:
        return {}
    # A copy is read: a connection to the journal itself would move the log of a killed driver into it.
    with tempfile.TemporaryDirectory() as copy:
        for path in files:
            shutil.copy(path, copy)
        return _raw_rows(Path(copy, records.JOURNAL_FILE))


def _raw_rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        return {
            table: db.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("runs", "reports", "decisions", "outcomes", "examples")
        }


def journal_rows(path: Path) -> dict[str, Part]:
    """Return the rows of a journal by table, without times.

    Args:
        path: `study.db`, or the folder that holds it.
    """
    with JournalReader.open(path) as journal:
        journal.check()
        return {
            "runs": [vars(row.run) for row in journal.runs()],
            "reports": [(row.run, row.epoch, _without(row.metrics, TIMED_METRICS)) for row in journal.reports()],
            "outcomes": [(row.run, vars(row.outcome)) for row in journal.outcomes()],
            "decisions": [row.document()[:3] for row in journal.all_decisions()],
            "examples": [(row.run, row.n, row.correct) for row in journal.examples()],
        }


def _facts(folder: Path) -> Part:
    with JournalReader.open(folder) as journal:
        return [journal.required_plan().dump(), journal.facts().dump(), journal.meta(records.META_STUDY)]


def _optuna(folder: Path, in_order: bool) -> Part:
    storage = optuna.storages.RDBStorage(sqlite_uri(folder / records.OPTUNA_FILE))
    trials = [
        (study.study_name, trial.user_attrs[TRIAL], trial.state, trial.values, trial.params, trial.intermediate_values)
        for study in storage.get_all_studies()
        for trial in storage.get_all_trials(study._study_id)
    ]
    storage.engine.dispose()
    return trials if in_order else sorted(trials, key=repr)


def _mlflow(path: Path) -> Part:
    """Return the runs in MLflow, with their parameters, tags and points."""
    with closing(sqlite3.connect(path)) as db:
        found: dict[str, dict[str, Part]] = {run: {} for (run,) in db.execute("SELECT run_uuid FROM runs")}
        for table, columns in (("params", "key, value"), ("tags", "key, value"), ("metrics", "key, step, value")):
            for run, *row in db.execute(f"SELECT run_uuid, {columns} FROM {table} ORDER BY {columns}"):
                if row[0] not in TIMED_METRICS | OWN_TAGS:
                    found[run].setdefault(table, []).append(row)
        status = dict(db.execute("SELECT run_uuid, status FROM runs"))
    return sorted(((status[run], content) for run, content in found.items()), key=repr)


def _recipe(path: Path) -> dict[str, Any]:
    recipe = _without(read_mapping(path), {"checksum"})
    return {**recipe, "origin": _without(recipe["origin"], {"study_id", "mlflow_runs"})}


def _table(path: Path, in_order: bool) -> tuple[str, str]:
    table = pd.read_csv(path)
    table = table[[column for column in table if column not in TIMED_COLUMNS]].round(9)  # sums in another order
    lines = table.to_csv(index=False).splitlines()
    return path.name, "\n".join(lines if in_order else [lines[0], *sorted(lines[1:])])


def _files(folder: Path) -> Iterable[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] != records.ARTIFACTS:
            yield name.as_posix()


def _artifacts(folder: Path) -> Iterable[str]:
    """Yield the files in MLflow, without the ids of experiment and run."""
    root = folder / records.ARTIFACTS
    for path in root.rglob("*"):
        if path.is_file():
            yield "/".join(path.relative_to(root).parts[2:])


def _without(mapping: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in names}
