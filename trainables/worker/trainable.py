"""Ray trainable: a worker process that trains runs one after the other.

TensorFlow is imported once per worker, and compiled steps are kept from run to run. A step of the trainable covers as
many epochs as fit into half a second, up to the next rung, so that short epochs do not flood the driver with messages.
When a run has ended, steps wait until the driver stops the trial, since Ray ends a worker that has none.
Every failure of a run is returned as its result; Ray sees an error only if the process dies.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ray import tune

from trainables import records
from trainables.engine import checkpoints
from trainables.engine.protocol import Engine
from trainables.errors import DivergedError, TrialError
from trainables.records.atomic import PRIVATE
from trainables.worker.requests import EPOCHS, FINAL, IDLE, RunRequest, RunResult

if TYPE_CHECKING:
    import numpy as np

    from trainables.data.sharing import SharedData

STEP_SECONDS = 0.5
"""Wall time after which a step returns, in seconds."""
LONGEST_WAIT = 2.0
"""Longest step of a worker that waits for a run, in seconds."""
GIVEN_UP = "given-up.txt"
"""File in a run's checkpoint folder that records why its worker was ended."""
VALIDATED = (records.VALIDATION_ACCURACY, records.VALIDATION_LOSS)
"""Metrics that every epoch must report."""
FITTED = (records.TRAIN_ACCURACY, records.TRAIN_LOSS)
"""Metrics that every epoch must report if no images are left for validation."""
log = logging.getLogger("trainables")


class TrainingTrainable(tune.Trainable):
    """Trains the run that its configuration, a `RunRequest`, describes."""

    def setup(
        self,
        config: dict[str, Any],
        data: Mapping[str, SharedData] = MappingProxyType({}),
        threads: int = 1,
        check: Callable[[Mapping[str, SharedData], tuple[str, ...]], None] | None = None,
    ) -> None:
        """Start the worker's first run.

        Args:
            config: a `RunRequest` as a dictionary.
            data: the data sets by label, from Ray's object store; empty in a replay.
            threads: CPU threads of this worker.
            check: raises an exception if this node cannot execute runs; its arguments are the data and the code that
                the user allowed.
        """
        if check:
            check(data, tuple(config["code"]))
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches workers too; the driver decides
        self._data = data
        self._arrays: dict[str, dict[str, np.ndarray]] = {}
        self._threads = threads
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another run in the same process."""
        self._open(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train some epochs and return their metrics, with the `RunResult` once the run has ended; then wait."""
        if self._ended is not None:
            idle = time.monotonic() - self._ended
            time.sleep(min(LONGEST_WAIT, 0.1 + idle / 4))
            return {EPOCHS: [], IDLE: idle}
        rows: list[tuple[int, dict[str, float]]] = []
        try:
            result = self._continue(rows)
        except Exception as error:  # any exception of a run is that run's result
            log.error("%s", traceback.format_exc())
            result = _failure(error, self._engine.epoch if self._engine else 0)
        if result is None:
            return {EPOCHS: rows}
        log.info("%s %s %s", result.outcome, result.reason, result.metrics)
        self.end_run()
        return {EPOCHS: rows, FINAL: result}

    def end_run(self) -> None:
        """End the run, finished or stopped by the driver; later steps wait."""
        self._engine = None
        self._ended = time.monotonic()
        self._close_log()

    def cleanup(self) -> None:
        """Close the log file."""
        self._close_log()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write a checkpoint to a folder of Ray's."""
        if self._engine:
            self._engine.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from a checkpoint that Ray kept."""
        self._engine = self.make_engine(self._request)
        self._engine.restore(Path(str(checkpoint)))
        self._saved = time.monotonic()

    def make_engine(self, request: RunRequest) -> Engine:
        """Return the engine of a run: the Keras classifier, or the replay if the request names a table of curves.

        Raises:
            InputError: the configuration does not fit the data, or the table cannot be read.
            TrialError: the table has no curve for the run.
        """
        from trainables.config import RunConfig
        from trainables.registration.plugins import allow_code

        allow_code(*request.code)
        config = RunConfig.model_validate(request.config)
        if request.curves:
            from trainables.worker.replay import Replay, RunKeys, curves_at

            curves, keys = curves_at(Path(request.curves)), RunKeys.of(request)
            return Replay(curves, keys, config.optimizer.learning_rate, config.cost)
        from trainables.backends.unused_imports import UNUSED, without

        with without(*UNUSED):
            from trainables.backends.selection import backend
        from trainables.engine.classifier import Classifier
        from trainables.engine.feeding import Placement

        backend.configure(threads=self._threads, deterministic=config.deterministic)
        label = request.data_set
        if label not in self._data:
            raise TrialError("the worker has no images")
        if label not in self._arrays:
            self._arrays[label] = self._data[label].open()
        placement = Placement(request.data, request.gpus)
        return Classifier(config, self._arrays[label], len(self._data[label].class_names), placement)

    def _open(self, config: dict[str, Any]) -> None:
        self._request = RunRequest(**config)
        self._epochs = int(self._request.config["epochs"])
        self._engine: Engine | None = None
        self._ended: float | None = None
        self._close_log()
        self._handler = _log_file(Path(self._request.log))
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        root = logging.getLogger("trainables")
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)

    def _continue(self, rows: list[tuple[int, dict[str, float]]]) -> RunResult | None:
        """Append the metrics of some more epochs to `rows`; return the result if the run has ended."""
        engine = self._engine or self._start()
        self._checkpoint_if_due(engine)
        try:
            self._train(engine, rows)
        except DivergedError as error:
            log.error("%s", error)
            # A diverged run counts with the accuracy that its network still has.
            return self._result(engine, records.DIVERGED, str(error), error.epoch)
        return self._finish(engine) if engine.epoch >= self._epochs else None

    def _start(self) -> Engine:
        log.info("run %s: %s", self._request.run, self._request.config)
        given_up = Path(self._request.checkpoints) / GIVEN_UP
        if given_up.exists():
            raise TrialError(given_up.read_text())
        with self._limited("the start"):
            engine = self.make_engine(self._request)
            checkpoints.restore_newest(engine, Path(self._request.checkpoints))
        self._engine = engine
        self._saved = time.monotonic()
        return engine

    def _train(self, engine: Engine, rows: list[tuple[int, dict[str, float]]]) -> None:
        started = time.monotonic()
        while engine.epoch < self._epochs:
            with self._limited("an epoch"):
                metrics = engine.train_epoch()
            _require(metrics, FITTED if self._request.config.get("full_data") else VALIDATED)
            rows.append((engine.epoch, metrics))
            log.info("epoch %d: %s", engine.epoch, {key: round(value, 5) for key, value in metrics.items()})
            if engine.epoch in self._request.stops or time.monotonic() - started >= STEP_SECONDS:
                return

    @contextmanager
    def _limited(self, what: str) -> Iterator[None]:
        """End the process if the block takes too long: nothing else stops a hang in native code."""
        watch = threading.Timer(self._request.epoch_seconds, self._give_up, (what,))
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _give_up(self, what: str) -> None:
        reason = f"{what} took longer than {self._request.epoch_seconds:g} s (`resources.epoch_minutes`)"
        log.error("%s", reason)
        marker = Path(self._request.checkpoints) / GIVEN_UP
        try:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text(reason)
        finally:
            os._exit(1)

    def _checkpoint_if_due(self, engine: Engine) -> None:
        """Write a checkpoint if enough time has passed.

        This happens before a step, when every epoch that the checkpoint contains has been reported.
        """
        if engine.epoch == 0 or time.monotonic() - self._saved < self._request.checkpoint_seconds:
            return
        try:
            checkpoints.save(engine, Path(self._request.checkpoints))
        except OSError as error:
            log.warning("no checkpoint after epoch %d: %s", engine.epoch, error)
        self._saved = time.monotonic()

    def _finish(self, engine: Engine) -> RunResult:
        if self._request.model:
            data = self._data.get(self._request.data_set)
            engine.save_model(Path(self._request.model), data.class_names if data else ())
        return self._result(engine, records.COMPLETED, engine.warning, engine.epoch)

    def _result(self, engine: Engine, outcome: str, reason: str, epoch: int) -> RunResult:
        """Return the result of a run, with test metrics if the request asks for them."""
        if not self._request.test:
            return RunResult(outcome, reason, epoch)
        with self._limited("the test"):
            test = engine.test(self._request.test)
        confusion = test.confusion if self._request.phase == records.TRAIN else None
        return RunResult(outcome, reason, epoch, test.metrics, test.correct, test.loss, confusion)

    def _close_log(self) -> None:
        handler = getattr(self, "_handler", None)
        if handler:
            logging.getLogger("trainables").removeHandler(handler)
            handler.close()
        self._handler = None


def _log_file(path: Path) -> logging.Handler:
    """Return a handler that writes to a log file, or none if the file cannot be opened: a run needs no log."""
    try:
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        path.touch(PRIVATE)
        return logging.FileHandler(path)
    except OSError:
        return logging.NullHandler()


def _require(metrics: dict[str, float], names: tuple[str, ...]) -> None:
    """Raise a `TrialError` if a metric is missing or not finite."""
    for name in names:
        if name not in metrics:
            raise TrialError(f"the epoch reported no `{name}`")
        if not math.isfinite(metrics[name]):
            raise TrialError(f"the epoch reported `{name}` = {metrics[name]}")


def _failure(error: Exception, epoch: int) -> RunResult:
    reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
    return RunResult(records.FAILED, reason, epoch)
