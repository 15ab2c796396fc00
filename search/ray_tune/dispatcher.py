"""Between Ray's trials and the conductor's runs: runs become jobs, results become records."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.monitor import interrupts
from search.orchestration.protocol import RunSource
from search.study.resources import Resources
from trainables import records
from trainables.errors import BudgetError, StoppedError
from trainables.worker.requests import EPOCHS, FINAL, RunRequest, RunResult

if TYPE_CHECKING:
    from search.store.journal import Run


@dataclass(frozen=True)
class Place:
    """Where runs are done.

    Args:
        folder: the study's folder, reachable from every node.
        resources: what one run takes.
        address: a cluster's address, or None for this machine.
        curves: a table to replay instead of training, or None.
        debug: let Ray's and TensorFlow's own messages through.
        deadline: when to stop, by `time.monotonic`, or None.
    """

    folder: Path
    resources: Resources
    address: str | None = None
    curves: Path | None = None
    debug: bool = False
    deadline: float | None = None


class Bridge:
    """Translates between Ray's trials and the conductor's runs.

    Ray turns an exception in a callback into one of its own, so what keeps the study from going on is kept, and
    raised when Ray asks for the next run.

    Args:
        conductor: hands out and hears.
        place: where runs are done.
        slots: returns how many runs may be handed out at once.
    """

    def __init__(self, conductor: RunSource, place: Place, slots: Callable[[], int]) -> None:
        self._conductor = conductor
        self._place = place
        self._slots = slots
        self._out: set[str] = set()
        self._deaths: dict[str, str] = {}
        self._stopped: StoppedError | None = None

    def next_job(self) -> dict[str, Any] | None:
        """Return the next run as a worker needs it, None where there is none now.

        Raises:
            StoppedError: the study cannot go on now.
        """
        interrupts.check()
        if self._stopped:
            raise self._stopped
        if self._place.deadline is not None and time.monotonic() > self._place.deadline:
            hours = self._place.resources.budget_hours or 0.0
            raise BudgetError(f"the budget of {hours:g} hours (`resources.budget_hours`) is used up")
        if len(self._out) >= self._slots():
            return None
        run = self._conductor.next_run()
        if run is None:
            return None
        self._out.add(run.name)
        return self._job(run).payload()

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return self._conductor.done

    def result(self, name: str, result: dict[str, Any]) -> bool:
        """Take in what a worker sent; return whether its run must stop."""
        return self._unless_stopped(lambda: self._hear(name, result))

    def died(self, name: str, reason: str) -> None:
        """Take in that a run's worker died; Ray may revive it."""
        self._deaths[name] = reason

    def lost(self, name: str) -> None:
        """Take in that a run ended without a result: its worker died for good."""
        reason = self._deaths.get(name, "the run ended without a result")
        self._unless_stopped(lambda: self._end(name, RunResult(records.FAILED, reason)))

    def tidy(self) -> None:
        """Remove the checkpoints that a driver left which was killed between the end of a run and their removal."""
        if self._conductor.done:
            shutil.rmtree(self._place.folder / records.CHECKPOINTS, ignore_errors=True)

    def _unless_stopped(self, act: Callable[[], bool]) -> bool:
        """Act; keep what keeps the journal from being written, and write nothing after it."""
        interrupts.check()
        if self._stopped:
            return False
        try:
            return act()
        except StoppedError as error:
            self._stopped = error
            return False

    def _hear(self, name: str, result: dict[str, Any]) -> bool:
        if name not in self._out:  # it ended, but its node went away before Ray knew, and Ray revived it
            return True
        stop = self._conductor.reported(name, result[EPOCHS]) if result.get(EPOCHS) else False
        if FINAL in result or stop:
            self._end(name, result.get(FINAL, RunResult()))
        return stop

    def _end(self, name: str, final: RunResult) -> bool:
        if name not in self._out:
            return True
        self._conductor.ended(name, final)
        self._out.discard(name)
        shutil.rmtree(self._place.folder / records.CHECKPOINTS / name, ignore_errors=True)
        return True

    def _job(self, run: Run) -> RunRequest:
        folder, resources = self._place.folder, self._place.resources
        return RunRequest(
            run=run.name,
            phase=run.phase,
            condition=run.condition,
            method=run.method,
            index=run.index,
            seed_index=run.seed_index,
            config=run.config,
            stops=self._conductor.rungs(run),
            test=run.phase != records.SEARCH,
            checkpoints=str(folder / records.CHECKPOINTS / run.name),
            log=str(folder / records.LOGS / f"{run.name}.log"),
            checkpoint_seconds=resources.checkpoint_seconds,
            epoch_seconds=60 * resources.epoch_minutes,
            curves=str(self._place.curves or ""),
            model=self._model(run),
        )

    def _model(self, run: Run) -> str:
        return str(self._place.folder / "models" / f"{run.name}.keras") if run.phase == records.TRAIN else ""
