"""Fault injection: a replay, and a worker, that misbehave where a table of learning curves says so.

Two more columns of the table make an epoch slow or make it fail:

    _wait   seconds to sleep
    _fault  raise: an exception; memory: a MemoryError; diverge: a loss that is not finite; omit: the metric is missing;
            infinite: the metric is not a number; hang: the epoch never ends; kill: the process dies

Each file in the folder that the variable FAULTY_STARTS names makes one worker die while it starts, and is removed; one
that is called `unfit*` makes it find its node unfit, as if it were another node, and one that is
called `between*` makes it die when it gets its next run.

`python -m tests.support.faulty_cli` is `assay` with these workers.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from search.ray_tune.newcomers import UnfitNodeError
from trainables import records
from trainables.config import RunConfig
from trainables.engine.protocol import Engine
from trainables.errors import DivergedError, TrialError
from trainables.worker.replay import Replay, RunKeys, read_curves
from trainables.worker.requests import RunRequest
from trainables.worker.trainable import TrainingTrainable

OTHER_NODE = 28 * "0a"
"""Ray's id of a node that does not exist."""
FAULTS = ("raise", "memory", "diverge", "omit", "infinite", "hang", "kill")


class FaultyReplay(Replay):
    """A replay that obeys the columns `_wait` and `_fault`."""

    def train_epoch(self) -> dict[str, float]:
        epoch, started = self.epoch + 1, time.perf_counter()
        row = self._rows.get(epoch, {})
        time.sleep(float(row.get("_wait", 0)))
        fault = row.get("_fault")
        _fail(fault, epoch)
        metrics = super().train_epoch()
        metrics[records.SECONDS] = time.perf_counter() - started
        if fault == "omit":
            del metrics[records.VALIDATION_ACCURACY]
        if fault == "infinite":
            metrics[records.VALIDATION_ACCURACY] = float("nan")
        return metrics


class FaultyTrainable(TrainingTrainable):
    """A worker whose replays obey the columns `_wait` and `_fault`."""

    def setup(self, config: dict[str, Any], *arguments: Any, **named: Any) -> None:
        if _taken("unfit*"):
            raise UnfitNodeError(OTHER_NODE, "has no disk")
        if _taken("died*"):
            os.kill(os.getpid(), signal.SIGKILL)
        super().setup(config, *arguments, **named)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        if _taken("between*"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().reset_config(new_config)

    def make_engine(self, request: RunRequest) -> Engine:
        config = RunConfig.model_validate(request.config)
        curves, keys = read_curves(Path(request.curves)), RunKeys.of(request)
        return FaultyReplay(curves, keys, config.optimizer.learning_rate, config.cost)


def _taken(pattern: str) -> bool:
    """Return whether this worker is one that a file makes die, and remove that file."""
    for fault in Path(os.environ.get("FAULTY_STARTS", "/nowhere")).glob(pattern):
        with suppress(FileNotFoundError):
            fault.unlink()
            return True
    return False


def _fail(fault: object, epoch: int) -> None:
    if isinstance(fault, str) and fault not in FAULTS:
        raise ValueError(f"unknown fault {fault!r}; known are {', '.join(FAULTS)}")
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
