"""A run that replays a learning curve from a table: the same protocol, no TensorFlow.

The table is a CSV with one row for each epoch of each curve. Required columns: `method`, `epoch` (from 1) and
`validation_accuracy`. Optional ones narrow down which curve serves which run (`phase`, `condition`, `k`, `seed`;
empty cells fit any run), add figures (any other metric of an epoch, or of the test in the last epoch), or make the
epoch go wrong, for tests of everything around a run:

    wait    seconds to sleep
    fault   raise: an exception; memory: there is none left; diverge: the loss is not finite; omit: the metric is
            missing; infinite: it is no number; hang: the epoch never ends; kill: the process dies
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables import records
from trainables.engine.protocol import TestResult
from trainables.errors import DivergedError, InputError, TrialError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("phase", "condition", "method", "k", "seed")
FIGURES = (
    records.TRAIN_LOSS, records.TRAIN_ACCURACY, records.VALIDATION_LOSS, records.VALIDATION_ACCURACY,
    records.TEST_LOSS, records.TEST_ACCURACY, "wait",
)  # fmt: skip
REQUIRED = ("method", "epoch", records.VALIDATION_ACCURACY)
TEST_EXAMPLES = 1000


def read_curves(path: Path) -> pd.DataFrame:
    """Return a table of curves.

    Raises:
        InputError: the file is missing, no CSV, or lacks a column.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"no table of curves at {path}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no CSV table: {error}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, not a CSV table") from None
    missing = [column for column in REQUIRED if column not in table]
    if missing:
        raise InputError(f"{path} lacks the column(s) {', '.join(missing)}; it has {', '.join(table.columns)}")
    for column in ("epoch", *FIGURES):
        if column in table and not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path}: the column `{column}` holds text; it must hold numbers")
    for column in (records.VALIDATION_ACCURACY, records.TEST_ACCURACY):
        if column in table and not table[column].dropna().between(0, 1).all():
            raise InputError(f"{path}: `{column}` must lie between 0 and 1")
    return table


def choose_curve(table: pd.DataFrame, run: dict[str, Any]) -> pd.DataFrame:
    """Return the curve that serves a run: the same one each time, and spread evenly where several fit.

    Args:
        table: as `read_curves` gives it.
        run: the run's phase, condition, method, k and seed.

    Raises:
        TrialError: none fits.
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
    """An `Engine` that reads its figures from a table.

    Args:
        table: as `read_curves` gives it.
        run: the run's phase, condition, method, k, seed.
        learning_rate: reported as it is.
        cost: plain epochs per epoch.
    """

    def __init__(self, table: pd.DataFrame, run: dict[str, Any], learning_rate: float, cost: float) -> None:
        self.epoch = 0
        self.warning = ""
        self._rows = {int(row["epoch"]): row for row in choose_curve(table, run).to_dict("records")}
        self._learning_rate = learning_rate
        self._cost = cost
        self._run = run

    def train_epoch(self) -> dict[str, float]:
        """Return the figures of the next epoch (see `Engine`)."""
        import pandas as pd

        epoch = self.epoch + 1
        if epoch not in self._rows:
            raise TrialError(f"the curve ends before epoch {epoch}")
        row = {key: value for key, value in self._rows[epoch].items() if not pd.isna(value)}
        started = time.perf_counter()
        time.sleep(float(row.get("wait", 0)))
        fault = row.get("fault")
        if fault == "raise":
            raise TrialError(f"the table says that epoch {epoch} fails")
        if fault == "memory":
            raise MemoryError(f"the table says that epoch {epoch} finds no memory")
        if fault == "diverge":
            raise DivergedError(epoch)
        if fault == "hang":
            threading.Event().wait()
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self.epoch = epoch
        accuracy = float(row[records.VALIDATION_ACCURACY])
        metrics = {
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
        if fault == "omit":
            del metrics[records.VALIDATION_ACCURACY]
        if fault == "infinite":
            metrics[records.VALIDATION_ACCURACY] = float("nan")
        return metrics

    def test(self) -> TestResult:
        """Return the test figures of the last epoch, as so many of 1 000 examples right."""
        import numpy as np

        row = self._rows[self.epoch]
        accuracy = float(row.get(records.TEST_ACCURACY, row[records.VALIDATION_ACCURACY]))
        loss = float(row.get(records.TEST_LOSS, 1 - accuracy))
        correct = np.arange(TEST_EXAMPLES) < round(accuracy * TEST_EXAMPLES)
        metrics = {name: float(row[name]) for name in records.TEST_METRICS if name in row and not np.isnan(row[name])}
        metrics |= {records.TEST_ACCURACY: accuracy, records.TEST_LOSS: loss}
        return TestResult(metrics, correct, np.full(TEST_EXAMPLES, loss, np.float32))

    def save(self, folder: Path) -> None:
        """Write the epoch."""
        (folder / "replay.json").write_text(json.dumps({"epoch": self.epoch, "run": self._run}))

    def restore(self, folder: Path) -> None:
        """Continue from the epoch that `save` wrote."""
        try:
            saved = json.loads((folder / "replay.json").read_text())
        except (OSError, ValueError) as error:
            raise TrialError(f"the checkpoint in {folder} is damaged: {error}") from None
        if saved["run"] != self._run:
            raise TrialError(f"the checkpoint in {folder} is of another run: {saved['run']}")
        self.epoch = int(saved["epoch"])
