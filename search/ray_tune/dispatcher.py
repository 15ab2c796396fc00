"""Run dispatcher: turns the controller's runs into requests for Ray's workers, and their results into records."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.monitor import interrupts
from search.monitor.messages import warn
from search.orchestration.protocol import RunSource
from search.study.resources import Resources
from trainables import records
from trainables.errors import BudgetError, StoppedError
from trainables.registration.plugins import allowed_code
from trainables.worker.requests import EPOCHS, FINAL, RunRequest, RunResult

if TYPE_CHECKING:
    from trainables.records import Run

WORKER_RESTARTS = 2
"""How often a run continues in another worker after the first one died."""


@dataclass(frozen=True)
class ExecutionContext:
    """Where and how runs are executed.

    Args:
        folder: the study's folder, accessible from every node.
        resources: resources per run.
        address: address of a cluster, or None for this machine.
        curves: a table of learning curves to replay instead of training, or None.
        debug: show the messages of Ray and TensorFlow.
        deadline: `time.monotonic` after which no run starts, or None.
    """

    folder: Path
    resources: Resources
    address: str | None = None
    curves: Path | None = None
    debug: bool = False
    deadline: float | None = None


class RunDispatcher:
    """Translates between Ray's trials and the runs of a run source.

    Ray wraps exceptions in callbacks in its own, so an error that stops the study is stored and raised when Ray
    requests the next run.

    Args:
        source: provides runs and receives results.
        context: where and how runs are executed.
        capacity: returns how many runs may be active at once.
        check_alive: called before a run starts or counts as lost; raises StoppedError if Ray itself has died.
        exclude: takes a node that cannot execute runs out of the capacity, given by Ray's id, and returns its name.
    """

    def __init__(
        self,
        source: RunSource,
        context: ExecutionContext,
        capacity: Callable[[], int],
        check_alive: Callable[[], None] = lambda: None,
        exclude: Callable[[str], str] = str,
    ) -> None:
        self._source = source
        self._context = context
        self._capacity = capacity
        self._check_alive = check_alive
        self._exclude = exclude
        self._active: dict[str, Run] = {}
        self._deaths: dict[str, list[str]] = {}
        self._unfit: dict[str, str] = {}
        self._returned: list[Run] = []
        self._stopped: StoppedError | None = None

    def next_request(self) -> dict[str, Any] | None:
        """Return the worker's request for the next run, or None if no run can start now.

        Raises:
            StoppedError: If the study cannot continue now.
        """
        interrupts.check()
        if self._stopped:
            raise self._stopped
        self._check_alive()
        if self._context.deadline is not None and time.monotonic() > self._context.deadline:
            hours = self._context.resources.budget_hours or 0.0
            raise BudgetError(f"the budget of {hours:g} hours (`resources.budget_hours`) is used up")
        if len(self._active) >= self._capacity():
            return None
        run = self._returned.pop(0) if self._returned else self._source.next_run()
        if run is None:
            return None
        self._active[run.name] = run
        return self._request(run).payload()

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return self._source.done

    def handle_result(self, name: str, result: dict[str, Any]) -> bool:
        """Record a worker's result; return whether its run must stop."""
        return self._unless_stopped(lambda: self._record(name, result))

    def worker_died(self, name: str, reason: str) -> None:
        """Remember why a run's worker died; Ray may restart it."""
        self._deaths.setdefault(name, []).append(reason)

    def node_unfit(self, name: str, node: str, fault: str) -> None:
        """Handle a worker that found, before it got its run, that its node cannot execute runs; the run loses nothing.

        Args:
            name: the run.
            node: Ray's id of the node, which later requests avoid.
            fault: what is wrong with it.
        """
        self._deaths.setdefault(name, [])
        if node not in self._unfit:
            self._unfit[node] = fault
            warn(f"node {self._exclude(node)} gets no runs: it {fault}")

    def run_lost(self, name: str) -> None:
        """Handle a run whose worker died and that Ray does not restart.

        Ray gives up a run at once if its worker dies between two runs, and one whose worker started on unfit nodes. As
        long as its workers have not died too often, it is started again, and continues from its checkpoint; after that
        it is recorded as failed.
        """
        self._unless_stopped(lambda: self._lose(name, self._deaths.get(name, ["the run ended without a result"])))

    def remove_checkpoints(self) -> None:
        """Remove checkpoints left by a driver that was killed between the end of a run and their removal."""
        if self._source.done:
            shutil.rmtree(self._context.folder / records.CHECKPOINTS, ignore_errors=True)

    def _unless_stopped(self, action: Callable[[], bool]) -> bool:
        """Perform an action that writes to the journal; after one has failed, perform none and store the error."""
        interrupts.check()
        if self._stopped:
            return False
        try:
            return action()
        except StoppedError as error:
            self._stopped = error
            return False

    def _record(self, name: str, result: dict[str, Any]) -> bool:
        if name not in self._active:  # it ended, but its node died before Ray knew, and Ray restarted it
            return True
        stop = self._source.reported(name, result[EPOCHS]) if result.get(EPOCHS) else False
        if FINAL in result or stop:
            self._end(name, result.get(FINAL, RunResult()))
        return stop

    def _end(self, name: str, final: RunResult) -> bool:
        if name not in self._active:
            return True
        self._source.ended(name, final)
        del self._active[name]
        shutil.rmtree(self._context.folder / records.CHECKPOINTS / name, ignore_errors=True)
        return True

    def _lose(self, name: str, deaths: list[str]) -> bool:
        self._check_alive()
        if name in self._active and len(deaths) <= WORKER_RESTARTS:
            self._returned.append(self._active.pop(name))
            return True
        return self._end(name, RunResult(records.FAILED, deaths[-1]))

    def _request(self, run: Run) -> RunRequest:
        folder, resources = self._context.folder, self._context.resources
        return RunRequest(
            run=run.name,
            phase=run.phase,
            condition=run.condition,
            method=run.method,
            index=run.index,
            seed_index=run.seed_index,
            config=run.config,
            stops=self._source.rungs(run),
            test=self._source.test_part(run),
            checkpoints=str(folder / records.CHECKPOINTS / run.name),
            log=str(folder / records.LOGS / f"{run.name}.log"),
            checkpoint_seconds=resources.checkpoint_seconds,
            epoch_seconds=60 * resources.epoch_minutes,
            curves=str(self._context.curves or ""),
            model=self._model_path(run),
            data=resources.data,
            data_set=self._source.data_set(run),
            gpus=resources.gpus,
            code=allowed_code(),
            avoided_nodes=tuple(self._unfit),
        )

    def _model_path(self, run: Run) -> str:
        return str(self._context.folder / records.MODELS / f"{run.name}.keras") if run.phase == records.TRAIN else ""
