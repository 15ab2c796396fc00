"""Replay engine: reads the metrics of a run from a table of learning curves instead of training.

The table is a CSV file with one row per epoch of each curve. `method`, `epoch` (from 1) and `validation_accuracy` are
required columns. Optional columns restrict which runs a curve serves (`phase`, `condition`, `k`, the index of the trial
or point, and `seed`, the index of the seed; an empty cell matches every run) or give more metrics: any other metric of
an epoch, and those of the test in the last epoch.
"""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables import records
from trainables.engine.protocol import TestResult
from trainables.errors import InputError, TrialError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("phase", "condition", "method", "k", "seed")
FIGURES = (
    records.TRAIN_LOSS, records.TRAIN_ACCURACY, records.VALIDATION_LOSS, records.VALIDATION_ACCURACY,
    records.TEST_LOSS, records.TEST_ACCURACY,
)  # fmt: skip
REQUIRED = ("method", "epoch", records.VALIDATION_ACCURACY)
TEST_EXAMPLES = 1000
"""Number of test examples that a replayed test accuracy is spread over."""


def read_curves(path: Path) -> pd.DataFrame:
    """Read a table of learning curves.

    Raises:
        InputError: If the file is missing, is not a CSV table, or lacks a column.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"there is no table of curves at {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV table: {error}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a CSV table") from None
    missing = [column for column in REQUIRED if column not in table]
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}")
    for column in ("epoch", *FIGURES):
        if column in table and not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path}: the column `{column}` contains text; it must contain numbers")
    for column in (records.VALIDATION_ACCURACY, records.TEST_ACCURACY):
        if column in table and not table[column].dropna().between(0, 1).all():
            raise InputError(f"{path}: `{column}` must be between 0 and 1")
    return table


def choose_curve(table: pd.DataFrame, run: dict[str, Any]) -> pd.DataFrame:
    """Return the curve that serves a run.

    The choice is deterministic. If several curves match, runs are spread evenly over them.

    Args:
        table: as returned by `read_curves`.
        run: the run's values of `KEYS`.

    Raises:
        TrialError: If no curve matches.
    """
    for key in KEYS:
        if key in table and key in run:
            table = table[table[key].isna() | (table[key].astype(str) == str(run[key]))]
    keys = [key for key in KEYS if key in table]
    curves = [curve for _, curve in table.groupby(keys, dropna=False, sort=True)]
    if not curves:
        raise TrialError(f"the table of curves has none for { ({key: run.get(key) for key in KEYS}) }")
    turn = zlib.crc32(f"{run.get('phase')}/{run.get('k')}/{run.get('seed')}".encode())
    return curves[turn % len(curves)].sort_values("epoch")


class Replay:
    """An `Engine` that reads its metrics from a table.

    Args:
        table: as returned by `read_curves`.
        run: the run's values of `KEYS`.
        learning_rate: the learning rate to report.
        cost: nominal cost of an epoch, in plain epochs.
    """

    def __init__(self, table: pd.DataFrame, run: dict[str, Any], learning_rate: float, cost: float) -> None:
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
            TrialError: If the curve has no such epoch.
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

    def test(self) -> TestResult:
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
        if saved["run"] != self._run:
            raise TrialError(f"checkpoint {folder} belongs to another run: {saved['run']}")
        self.epoch = int(saved["epoch"])

    def save_model(self, path: Path, class_names: tuple[str, ...]) -> None:
        """Refuse to save a model: a replay has no network (see `Engine.save_model`)."""
        raise TrialError(f"no model can be saved to {path}: a replayed run has no network; train it to get one")

    def _checkpoint(self) -> str:
        return json.dumps({"epoch": self.epoch, "run": self._run})
