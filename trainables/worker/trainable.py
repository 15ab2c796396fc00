"""The Ray trainable: one worker process, many runs one after the other.

TensorFlow is imported once in a worker, and compiled steps are kept from run to run. A step of the trainable is as
many epochs as fit into half a second, up to the next rung, so that short epochs do not drown in messages. Whatever
goes wrong in a run comes back as its result; only the death of the process is an error to Ray.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune

from trainables import records
from trainables.engine import checkpoints
from trainables.engine.protocol import Engine
from trainables.errors import DivergedError, TrialError
from trainables.worker.requests import EPOCHS, FINAL, Final, Job

STEP_SECONDS = 0.5
GIVEN_UP = "given-up.txt"
VALIDATED = (records.VALIDATION_ACCURACY, records.VALIDATION_LOSS)
FITTED = (records.TRAIN_ACCURACY, records.TRAIN_LOSS)
"""What every epoch has to report; the second where nothing is left for validation."""
log = logging.getLogger("trainables")


class Trial(tune.Trainable):
    """Trains what its configuration, a `Job`, says."""

    def setup(self, config: dict[str, Any], arrays: dict[str, Any] | None = None, threads: int = 1) -> None:
        """Start the worker's first run.

        Args:
            config: a `Job` as a dictionary.
            arrays: the data set, from Ray's object store; `class_names` beside the four arrays.
            threads: CPU threads of this worker.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches workers too; the driver decides
        self._arrays = arrays or {}
        self._threads = threads
        self._open(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start another run in the same process."""
        self._open(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train some epochs; return them, and the final figures when the run is over."""
        rows: list[tuple[int, dict[str, float]]] = []
        try:
            final = self._go_on(rows)
        except Exception as error:  # whatever a run raises is that run's result
            log.error("%s", traceback.format_exc())
            final = _failure(error, self._engine.epoch if self._engine else 0)
        if final is None:
            return {EPOCHS: rows}
        self._close(final)
        return {EPOCHS: rows, FINAL: final, "done": True}

    def _go_on(self, rows: list[tuple[int, dict[str, float]]]) -> Final | None:
        """Train some epochs into `rows`; return how the run ended, or None."""
        engine = self._engine or self._start()
        self._checkpoint_if_due(engine)
        try:
            self._train(engine, rows)
        except DivergedError as error:
            return self._diverged(engine, error)
        return self._finish(engine) if engine.epoch >= self._epochs else None

    def cleanup(self) -> None:
        """Close the log."""
        self._close_log()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write a checkpoint where Ray asks for one."""
        if self._engine:
            self._engine.save(Path(checkpoint_dir))

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from a checkpoint that Ray kept."""
        self._engine = self._new_engine()
        self._engine.restore(Path(str(checkpoint)))
        self._saved = time.monotonic()

    def _open(self, config: dict[str, Any]) -> None:
        self._job = Job(**config)
        self._epochs = int(self._job.config["epochs"])
        self._engine: Engine | None = None
        self._close_log()
        self._handler = _log_file(Path(self._job.log))
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        root = logging.getLogger("trainables")
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)

    def _start(self) -> Engine:
        log.info("run %s: %s", self._job.run, self._job.config)
        given_up = Path(self._job.checkpoints) / GIVEN_UP
        if given_up.exists():
            raise TrialError(given_up.read_text())
        with self._limited("the start"):
            engine = self._new_engine()
            checkpoints.restore_newest(engine, Path(self._job.checkpoints))
        self._engine = engine
        self._saved = time.monotonic()
        return engine

    def _new_engine(self) -> Engine:
        job = self._job
        from trainables.config import RunConfig

        config = RunConfig.model_validate(job.config)
        if job.curves:
            from trainables.worker.replay import Replay, read_curves

            run = {key: getattr(job, key) for key in ("phase", "condition", "method", "k", "seed")}
            return Replay(read_curves(Path(job.curves)), run, config.optimizer.learning_rate, config.cost)
        from trainables.backends.selection import backend
        from trainables.engine.classifier import Classifier

        backend.configure(threads=self._threads, deterministic=config.deterministic)
        return Classifier(config, self._arrays, len(self._arrays["class_names"]))

    def _train(self, engine: Engine, rows: list[tuple[int, dict[str, float]]]) -> None:
        started = time.monotonic()
        while engine.epoch < self._epochs:
            with self._limited("an epoch"):
                metrics = engine.train_epoch()
            _require(metrics, FITTED if self._job.config.get("full_data") else VALIDATED)
            rows.append((engine.epoch, metrics))
            log.info("epoch %d: %s", engine.epoch, {key: round(value, 5) for key, value in metrics.items()})
            if engine.epoch in self._job.stops or time.monotonic() - started >= STEP_SECONDS:
                return

    @contextmanager
    def _limited(self, what: str) -> Iterator[None]:
        """End the worker if the block takes too long: nothing else frees a process that hangs in native code."""
        watch = threading.Timer(self._job.epoch_seconds, self._give_up, (what,))
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _give_up(self, what: str) -> None:
        reason = f"{what} took longer than {self._job.epoch_seconds:g} s (`resources.epoch_minutes`)"
        log.error("%s", reason)
        marker = Path(self._job.checkpoints) / GIVEN_UP
        try:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text(reason)
        finally:
            os._exit(1)

    def _checkpoint_if_due(self, engine: Engine) -> None:
        """Write a checkpoint now and then, before a step: all that it holds has been reported by then."""
        if engine.epoch == 0 or time.monotonic() - self._saved < self._job.checkpoint_seconds:
            return
        try:
            checkpoints.save(engine, Path(self._job.checkpoints))
        except OSError as error:
            log.warning("no checkpoint after epoch %d: %s", engine.epoch, error)
        self._saved = time.monotonic()

    def _finish(self, engine: Engine) -> Final:
        if self._job.model:
            self._save_model(engine)
        return self._tested(engine, records.COMPLETED, engine.warning, engine.epoch)

    def _tested(self, engine: Engine, outcome: str, reason: str, epoch: int) -> Final:
        if not self._job.test:
            return Final(outcome, reason, epoch)
        with self._limited("the test"):
            result = engine.test()
        confusion = result.confusion if self._job.phase == records.TRAIN else None
        return Final(outcome, reason, epoch, result.metrics, result.correct, result.loss, confusion)

    def _save_model(self, engine: Engine) -> None:
        from trainables.engine.classifier import Classifier

        if not isinstance(engine, Classifier):
            raise TrialError("a replayed run has no model to save")
        path = Path(self._job.model)
        path.parent.mkdir(parents=True, exist_ok=True)
        engine.save_model(path, tuple(self._arrays["class_names"]))

    def _diverged(self, engine: Engine, error: DivergedError) -> Final:
        """Return the result of a run whose loss is not finite: it counts with what its network still gets right."""
        log.error("%s", error)
        if self._job.curves:
            return Final(records.DIVERGED, str(error), error.epoch)
        return self._tested(engine, records.DIVERGED, str(error), error.epoch)

    def _close(self, final: Final) -> None:
        log.info("%s %s %s", final.outcome, final.reason, final.metrics)
        self._engine = None
        self._close_log()

    def _close_log(self) -> None:
        handler = getattr(self, "_handler", None)
        if handler:
            logging.getLogger("trainables").removeHandler(handler)
            handler.close()
        self._handler = None


def _log_file(path: Path) -> logging.Handler:
    """Return what writes a run's log; a full disk costs the log, not the run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return logging.FileHandler(path)
    except OSError:
        return logging.NullHandler()


def _require(metrics: dict[str, float], names: tuple[str, ...]) -> None:
    for name in names:
        if name not in metrics:
            raise TrialError(f"the epoch reported no `{name}`")
        if not math.isfinite(metrics[name]):
            raise TrialError(f"the epoch reported `{name}` = {metrics[name]}")


def _failure(error: Exception, epoch: int) -> Final:
    reason = f"{type(error).__name__}: {error}".strip().splitlines()[0][:500]
    return Final(records.FAILED, reason, epoch)
