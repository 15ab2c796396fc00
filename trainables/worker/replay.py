"""Replay engine: reads the metrics of a run from a table of learning curves instead of training.

The table is a CSV file with one row per epoch of each curve. `method`, `epoch` (from 1) and `validation_accuracy` are
required columns. Optional columns restrict which runs a curve serves (`phase`, `condition`, `k`, the index of the trial
or point, and `seed`, the index of the seed; an empty cell matches every run) or give more metrics: any other metric of
an epoch, and those of the test in the last epoch. Columns whose name begins with `_` are ignored.
"""

from __future__ import annotations

import functools
import itertools
import json
import time
import zlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Self

from trainables import records
from trainables.engine.protocol import TestResult
from trainables.errors import InputError, TrialError

if TYPE_CHECKING:
    import pandas as pd

    from trainables.records import Run
    from trainables.worker.requests import RunRequest

KEYS = ("phase", "condition", "method", "k", "seed")
REQUIRED = ("method", "epoch", records.VALIDATION_ACCURACY)
COLUMNS = tuple(dict.fromkeys((*REQUIRED, *KEYS, *records.EPOCH_METRICS, *records.TEST_METRICS)))
_INDICES = ("k", "seed")
_NUMBERS = {"epoch", *_INDICES, *records.EPOCH_METRICS, *records.TEST_METRICS}
_MOST = 10**9
MOST_NAMED = 10
"""Largest number of curves that a message names."""
TEST_EXAMPLES = 1000
"""Number of test examples that a replayed test accuracy is spread over."""


@dataclass(frozen=True)
class RunKeys:
    """What a run's curve is chosen by; the fields belong to the columns `KEYS`, in order.

    Args:
        phase, condition, method: as in the journal.
        index: index of the trial in the search, or of the point in later phases.
        seed_index: index of the seed.
    """

    phase: str
    condition: str
    method: str
    index: int
    seed_index: int

    @classmethod
    def of(cls, run: Run | RunRequest) -> Self:
        """Return the keys of a run."""
        return cls(run.phase, run.condition, run.method, run.index, run.seed_index)

    def by_column(self) -> dict[str, str | int]:
        """Return the values by column."""
        return dict(zip(KEYS, astuple(self), strict=True))


def read_curves(path: Path) -> pd.DataFrame:
    """Read a table of learning curves.

    Raises:
        InputError: the file is missing, is not a CSV table, or lacks a column.
    """
    import pandas as pd

    try:
        # Only an empty cell is missing: "None" may be the name of a condition.
        table = pd.read_csv(path, dtype=dict.fromkeys((*KEYS, *_NUMBERS), str), na_values=[""], keep_default_na=False)
        numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in _NUMBERS if name in table}
        texts = [name for name, column in numbers.items() if (column.isna() & ~_is_missing(table[name])).any()]
        table = table.assign(**numbers)
    except FileNotFoundError:
        raise InputError(f"there is no table of curves at {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a CSV table") from None
    _check_columns(table, path)
    if texts:
        raise InputError(f"{path}: the column `{texts[0]}` contains text; it must contain numbers")
    _check_keys(table, path)
    _check_figures(table, path)
    return table.astype({key: "Int64" for key in _INDICES if key in table} | {"epoch": int})


def curves_at(path: Path) -> pd.DataFrame:
    """Return the table of `read_curves`, which a process reads once for all its runs, unless the file changes."""
    try:
        about = path.stat()
    except OSError:
        return read_curves(path)
    return _read_once(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=1)
def _read_once(path: Path, changed: int, size: int) -> pd.DataFrame:
    return read_curves(path)


def _is_missing(column: pd.Series) -> pd.Series:
    return column.isna() | column.astype(str).str.strip().str.lower().isin(["", "nan", "na", "n/a", "null", "none"])


def _check_columns(table: pd.DataFrame, path: Path) -> None:
    names = [str(name) for name in table]
    missing = [column for column in REQUIRED if column not in names]
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(names[:10])}")
    for name in names:
        if name not in COLUMNS and not name.startswith("_"):
            close = get_close_matches(name, COLUMNS, 1)
            meant = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(COLUMNS)}."
            raise InputError(f"{path}: unknown column `{name}`; {meant} A name that begins with `_` is ignored.")


def _check_keys(table: pd.DataFrame, path: Path) -> None:
    """Refuse values of the key columns that match no run, two rows for the same epoch, and missing epochs."""
    phases = set(table["phase"].dropna()) if "phase" in table else set()
    unknown = sorted(phases - {records.SEARCH, records.CONFIRM})
    if unknown:
        raise InputError(
            f"{path}: unknown phase `{unknown[0]}`; use `{records.SEARCH}`, `{records.CONFIRM}` or an empty cell"
        )
    for name in ("epoch", *(key for key in _INDICES if key in table)):
        least = 1 if name == "epoch" else 0
        numbers, missing = table[name], table[name].isna()
        wrong = ~missing & ~((numbers >= least) & (numbers < _MOST) & (numbers % 1 == 0))
        wrong |= missing if name == "epoch" else False
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            raise InputError(
                f"{path}: `{name}` is {numbers.iloc[row]:g} in line {row + 2}; it must be a whole number from {least}"
            )
    repeated = table.duplicated([*(key for key in KEYS if key in table), "epoch"])
    if repeated.any():
        raise InputError(
            f"{path}: line {int(repeated.to_numpy().argmax()) + 2} repeats the keys and epoch of another line"
        )
    if table.empty:
        raise InputError(f"{path} contains no curve; each line below the header is an epoch of a curve")
    for _, curve in table.groupby([key for key in KEYS if key in table], dropna=False):
        if curve["epoch"].max() != len(curve):
            gap = min(set(range(1, len(curve) + 1)) - set(curve["epoch"].astype(int)))
            keys = ", ".join(f"{key} {curve[key].iloc[0]}" for key in KEYS if key in curve and curve[key].notna().all())
            raise InputError(f"{path}: the curve of {keys} lacks epoch {gap}; it must have all up to its last one")


def _check_figures(table: pd.DataFrame, path: Path) -> None:
    if (missing := table[records.VALIDATION_ACCURACY].isna()).any():
        line = int(missing.to_numpy().argmax()) + 2
        raise InputError(f"{path}: `{records.VALIDATION_ACCURACY}` is missing in line {line}; every epoch needs it")
    for column in (records.VALIDATION_ACCURACY, records.TEST_ACCURACY):
        if column in table and not table[column].dropna().between(0, 1).all():
            raise InputError(f"{path}: `{column}` must be between 0 and 1")


def check_covered(table: pd.DataFrame, path: Path, needed: Iterable[tuple[dict[str, str], int]]) -> None:
    """Refuse a table that has no curve for some runs, or only curves that are too short for them.

    Args:
        table: as returned by `read_curves`.
        path: its file, for messages.
        needed: for each kind of run its `phase`, `condition` and `method`, and its number of epochs.

    Raises:
        InputError: there are such runs.
    """
    known = [key for key in ("phase", "condition", "method") if key in table]
    cells = table[known].astype(object).where(table[known].notna(), None)
    longest: dict[tuple[str | None, ...], int] = {}
    for cell, epoch in zip(cells.itertuples(index=False, name=None), table["epoch"], strict=True):
        longest[cell] = max(longest.get(cell, 0), int(epoch))
    for run, epochs in needed:
        choices = itertools.product(*((run[key], None) for key in known))
        found = max((longest.get(choice, 0) for choice in choices), default=0)
        name = ", ".join(f"{key} `{run[key]}`" for key in known)
        if not found:
            there = [", ".join(cell if cell else "(any)" for cell in each) for each in longest]
            more = ", ..." if len(there) > MOST_NAMED else ""
            raise InputError(f"{path} has no curve for {name}; it has some for: {'; '.join(there[:MOST_NAMED])}{more}")
        if found < epochs:
            raise InputError(
                f"{path}: the longest curve for {name} has {found} epochs, but its runs need {epochs}; add epochs to "
                "the table, or shorten the training"
            )


def choose_curve(table: pd.DataFrame, run: RunKeys) -> pd.DataFrame:
    """Return the curve that serves a run.

    The choice is deterministic. If several curves match, runs are spread evenly over them.

    Args:
        table: as returned by `read_curves`.
        run: the keys of the run.

    Raises:
        TrialError: no curve matches.
    """
    keys = [key for key in KEYS if key in table]
    values = run.by_column()
    for key in keys:
        table = table[table[key].isna() | (table[key] == values[key])]
    curves = [curve for _, curve in table.groupby(keys, dropna=False, sort=True)]
    if not curves:
        raise TrialError(f"the table of curves has no curve for {values}")
    turn = zlib.crc32(f"{run.phase}/{run.index}/{run.seed_index}".encode())
    return curves[turn % len(curves)].sort_values("epoch")


class Replay:
    """An `Engine` that reads its metrics from a table.

    Args:
        table: as returned by `read_curves`.
        run: the keys of the run.
        learning_rate: the learning rate to report.
        cost: nominal cost of an epoch, in plain epochs.
    """

    def __init__(self, table: pd.DataFrame, run: RunKeys, learning_rate: float, cost: float) -> None:
        self.epoch = 0
        self.warning = ""
        self._rows = {int(row["epoch"]): row for row in choose_curve(table, run).to_dict("records")}
        self._learning_rate = learning_rate
        self._cost = cost
        self._run = run

    @property
    def state_bytes(self) -> int:
        """Size of a checkpoint in bytes."""
        return len(self._checkpoint().encode())

    def train_epoch(self) -> dict[str, float]:
        """Return the metrics of the next epoch (see `Engine.train_epoch`).

        Raises:
            TrialError: the curve has no such epoch.
        """
        import pandas as pd

        epoch = self.epoch + 1
        if epoch not in self._rows:
            raise TrialError(f"the curve ends before epoch {epoch}")
        started = time.perf_counter()
        row = {key: value for key, value in self._rows[epoch].items() if not pd.isna(value)}
        self.epoch = epoch
        accuracy = float(row[records.VALIDATION_ACCURACY])
        return {
            records.TRAIN_LOSS: float(row.get(records.TRAIN_LOSS, 1 - accuracy)),
            records.TRAIN_ACCURACY: float(row.get(records.TRAIN_ACCURACY, accuracy)),
            records.VALIDATION_LOSS: float(row.get(records.VALIDATION_LOSS, 1 - accuracy)),
            records.VALIDATION_ACCURACY: accuracy,
            **{name: float(row[name]) for name in records.EPOCH_METRICS if name in row},
            records.LEARNING_RATE: self._learning_rate,
            records.SECONDS: time.perf_counter() - started,
            records.IMAGES_PER_SECOND: 0.0,
            records.PLAIN_EPOCHS: epoch * self._cost,
        }

    def test(self, part: records.TestPart = "official") -> TestResult:
        """Return the test metrics of the last epoch, as the results of `TEST_EXAMPLES` examples."""
        import numpy as np

        row = self._rows[self.epoch]
        accuracy = float(row.get(records.TEST_ACCURACY, row[records.VALIDATION_ACCURACY]))
        loss = float(row.get(records.TEST_LOSS, 1 - accuracy))
        correct = np.arange(TEST_EXAMPLES) < round(accuracy * TEST_EXAMPLES)
        metrics = {name: float(row[name]) for name in records.TEST_METRICS if name in row and not np.isnan(row[name])}
        metrics |= {records.TEST_ACCURACY: accuracy, records.TEST_LOSS: loss}
        return TestResult(metrics, correct, np.full(TEST_EXAMPLES, loss, np.float32))

    def save(self, folder: Path) -> None:
        """Write the epoch (see `Engine.save`)."""
        (folder / "replay.json").write_text(self._checkpoint())

    def restore(self, folder: Path) -> None:
        """Continue after the epoch that `save` wrote (see `Engine.restore`)."""
        try:
            saved = json.loads((folder / "replay.json").read_text())
        except (OSError, ValueError) as error:
            raise TrialError(f"checkpoint {folder} is damaged: {error}") from None
        if saved["run"] != self._run.by_column():
            raise TrialError(f"checkpoint {folder} belongs to another run: {saved['run']}")
        self.epoch = int(saved["epoch"])

    def save_model(self, path: Path, class_names: tuple[str, ...]) -> None:
        """Refuse to save a model: a replay has no network (see `Engine.save_model`)."""
        raise TrialError(f"no model can be saved to {path}: a replayed run has no network; train it to get one")

    def _checkpoint(self) -> str:
        return json.dumps({"epoch": self.epoch, "run": self._run.by_column()})
