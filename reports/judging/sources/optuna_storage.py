"""Optuna storages: the trials of all studies in a database or a journal file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from reports.judging.run_table import EPOCH, RUN, RunTable, recorded, stacked_curves
from reports.judging.sources.extras import first_line, needs, shown
from trainables.errors import InputError
from trainables.records import number_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

VALUE = "value"
"""Column of the objective; several objectives are `value_0`, `value_1`, ..."""
_UNREADABLE = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What Optuna raises if its records are of another form."""


def read_optuna(source: str | Path) -> RunTable:
    """Read the completed trials of all studies. Nothing is written to the storage.

    Columns: `study`, `run`, `number`, `value`, `params.NAME`, `user_attrs.NAME`; the intermediate values become the
    curve of `value`.

    Args:
        source: path of a SQLite file or journal, or URL of a database.

    Raises:
        InputError: the storage cannot be read, or has no completed trial.
    """
    optuna = needs("optuna", "an Optuna storage")
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return _read(optuna, source)
    except (OptunaError, SQLAlchemyError, ImportError, *_UNREADABLE) as error:
        raise InputError(
            f"the Optuna storage {shown(str(source))} cannot be read: {shown(first_line(error.__cause__ or error))}"
        ) from None


def _read(optuna: ModuleType, source: str | Path) -> RunTable:
    storage = _storage(source)
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, np.ndarray]] = []
    unfinished, directions = 0, set()
    for study in storage.get_all_studies():
        higher = [direction == optuna.study.StudyDirection.MAXIMIZE for direction in study.directions]
        directions.add(tuple(higher))
        for trial in storage.get_all_trials(study._study_id, deepcopy=False):
            if trial.state != optuna.trial.TrialState.COMPLETE:
                unfinished += 1
                continue
            rows.append(_row(study.study_name, trial))
            curves.append(_curve(trial))
    notes = (f"{number_of(unfinished, 'trial')} pruned, failed or not ended.",) if unfinished else ()
    if not rows:
        raise InputError(" ".join((f"{shown(str(source))} has no completed trial.", *notes)))
    names = (
        [VALUE] if len(next(iter(directions))) == 1 else [f"{VALUE}_{i}" for i in range(len(next(iter(directions))))]
    )
    known = dict(zip(names, next(iter(directions)), strict=True)) if len(directions) == 1 else {}
    epochs = stacked_curves(curves)
    return RunTable(
        f"the Optuna storage {shown(str(source))}", pd.DataFrame(rows), epochs if len(epochs) else None, notes, known
    )


def _storage(source: str | Path) -> BaseStorage:
    from optuna.storages import RDBStorage

    if isinstance(source, str):
        return RDBStorage(source, skip_table_creation=True)
    with source.open("rb") as stream:
        database = stream.read(15) == b"SQLite format 3"
    if not database:
        return _replayed(source)
    connect = partial(sqlite3.connect, f"{source.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    return RDBStorage("sqlite://", engine_kwargs={"creator": connect}, skip_table_creation=True)


class _Journal:
    """Journal file that is read once and never written: the backend of a `JournalStorage`.

    Args:
        path: the file. A last line without its end, which another process is writing, is left out, as by Optuna.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.number = 0
        self.line = b""

    def read_logs(self, log_number_from: int) -> Iterator[Any]:
        """Yield the entries; none after the first time."""
        if log_number_from:
            return
        with self._path.open("rb") as stream:
            for self.number, self.line in enumerate(stream, start=1):
                if self.line.endswith(b"\n"):
                    yield self._entry()

    def _entry(self) -> dict[str, Any]:
        entry = json.loads(self.line)
        if not isinstance(entry, dict):
            raise TypeError("it is not a JSON object")
        return entry


def _replayed(path: Path) -> BaseStorage:
    """Return the storage of a journal file.

    Raises:
        InputError: a line is not an entry of a journal.
    """
    from optuna.storages import JournalStorage

    journal = _Journal(path)
    try:
        return JournalStorage(cast(Any, journal))
    except _UNREADABLE as error:
        raise InputError(
            f"{path}, line {journal.number} is not an entry of an Optuna journal ({_problem(error)}): "
            f"{journal.line[:60].rstrip()!r}; restore the file, or remove the line from a copy"
        ) from None


def _problem(error: BaseException) -> str:
    """Return what Optuna finds wrong with a line."""
    if isinstance(error, AssertionError):
        return "its `op_code` is not known or its fields do not fit"
    return f"{error} is missing" if isinstance(error, KeyError) else first_line(error)


def _row(study: str, trial: FrozenTrial) -> dict[str, Any]:
    values = trial.values or []
    names = [VALUE] if len(values) == 1 else [f"{VALUE}_{position}" for position in range(len(values))]
    return {
        "study": study,
        RUN: f"{study}/{trial.number}",
        "number": trial.number,
        **dict(zip(names, values, strict=True)),
        **{f"params.{name}": value for name, value in trial.params.items()},
        **{f"user_attrs.{name}": _plain(value) for name, value in trial.user_attrs.items()},
    }


def _plain(value: Any) -> Any:
    return recorded(value) if isinstance(value, str | int | float | None) else str(value)


def _curve(trial: FrozenTrial) -> dict[str, np.ndarray]:
    steps = sorted(trial.intermediate_values)
    values = np.array([trial.intermediate_values[step] for step in steps], dtype=float)
    return {EPOCH: np.array(steps, dtype=float), VALUE: values}
