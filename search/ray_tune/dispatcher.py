"""Run dispatcher: turns the controller's runs into requests for Ray's workers, and their results into records."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from search.monitor import interrupts
from search.monitor.messages import warn
from search.orchestration.protocol import RunSource
from search.study.resources import Resources
from trainables import records
from trainables.errors import BudgetError, StoppedError
from trainables.registration.plugins import allowed_code
from trainables.worker.requests import EPOCHS, FINAL, IDLE, RunRequest, RunResult

if TYPE_CHECKING:
    from trainables.records import Run

T = TypeVar("T")
WORKER_RESTARTS = 2
"""How often a run continues in another worker after the first one died."""
IDLE_SECONDS = 60.0
"""How long a worker waits for a run while there is none, before a rung or a look; a new one starts in a third of it."""


class Reply(Enum):
    """What a worker does after a result: train on, wait for another run after the end of its own, or be free for one.

    Ray ends a worker whose trial was stopped if no other trial is waiting at that moment. Between two phases or looks
    there is none, so that all workers but one would restart.
    """

    CONTINUE = "continue"
    WAIT = "wait"
    FREE = "free"


@dataclass(frozen=True)
class ExecutionContext:
    """Where and how runs are executed.

    Args:
        folder: the study's folder, accessible from every node.
        resources: resources per run.
        address: address of a cluster, or None for this machine.
        curves: a table of learning curves to replay instead of training, or None.
        debug: show the messages of Ray and TensorFlow.
        deadline: `time.monotonic` after which the study is interrupted (`BudgetError`), with its running runs; or None.
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
        self._unstarted: set[str] = set()
        self._released = 0  # workers without a run that are free for one that has not started yet
        self._stopped: StoppedError | None = None

    def next_request(self) -> dict[str, Any] | None:
        """Return the worker's request for the next run, or None if no run can start now.

        Raises:
            StoppedError: the study cannot continue now.
        """
        interrupts.check()
        if self._stopped:
            raise self._stopped
        self._check_alive()
        if self._is_overdue():
            hours = self._context.resources.budget_hours or 0.0
            raise BudgetError(f"the budget of {hours:g} hours (`resources.budget_hours`) is used up")
        if len(self._active) >= self._capacity():
            return None
        run = self._returned.pop(0) if self._returned else self._source.next_run()
        if run is None:
            return None
        self._active[run.name] = run
        self._unstarted.add(run.name)
        return self._request(run).payload()

    def _is_overdue(self) -> bool:
        return self._context.deadline is not None and time.monotonic() > self._context.deadline

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return self._source.done

    def handle_result(self, name: str, result: dict[str, Any]) -> Reply:
        """Record a worker's result; return what the worker does next."""
        return self._unless_stopped(lambda: self._record(name, result)) or Reply.CONTINUE

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
            warn(f"node {self._exclude(node)} is excluded: it {fault}")

    def run_lost(self, name: str) -> None:
        """Handle a run whose worker died and that Ray does not restart.

        Ray gives up a run at once if its worker dies between two runs, and one whose worker started on unfit nodes. As
        long as its workers have not died too often, it is started again, and continues from its checkpoint; after that
        it is recorded as failed.
        """
        self._unless_stopped(lambda: self._lose(name, self._deaths.get(name, [])))

    def remove_checkpoints(self) -> None:
        """Remove checkpoints left by a driver that was killed between the end of a run and their removal."""
        if self._source.done:
            shutil.rmtree(self._context.folder / records.CHECKPOINTS, ignore_errors=True)

    def _unless_stopped(self, action: Callable[[], T]) -> T | None:
        """Perform an action that writes to the journal; after one has failed, perform none and store the error."""
        interrupts.check()
        if self._stopped:
            return None
        try:
            return action()
        except StoppedError as error:
            self._stopped = error
            return None

    def _record(self, name: str, result: dict[str, Any]) -> Reply:
        if IDLE in result:
            return self._without_run(result[IDLE])
        if name in self._unstarted:
            self._unstarted.remove(name)
            self._released = max(0, self._released - 1)
        if name not in self._active:  # it ended, but its node died before Ray knew, and Ray restarted it
            return Reply.FREE
        stop = self._source.reported(name, result[EPOCHS]) if result.get(EPOCHS) else False
        if not stop and FINAL not in result:
            return Reply.CONTINUE
        self._end(name, result.get(FINAL, RunResult()))
        return self._without_run(0.0)

    def _without_run(self, idle: float) -> Reply:
        """Return what a worker does that has had no run for so many seconds."""
        if idle > IDLE_SECONDS or self._source.done or self._is_overdue():
            return Reply.FREE
        if not self._returned and (run := self._source.next_run()):
            self._returned.append(run)
        if len(self._returned) + len(self._unstarted) <= self._released:
            return Reply.WAIT
        self._released += 1
        return Reply.FREE

    def _end(self, name: str, final: RunResult) -> None:
        self._unstarted.discard(name)
        if name not in self._active:
            return
        self._source.ended(name, final)
        del self._active[name]
        shutil.rmtree(self._context.folder / records.CHECKPOINTS / name, ignore_errors=True)

    def _lose(self, name: str, deaths: list[str]) -> None:
        self._check_alive()
        self._unstarted.discard(name)
        if name in self._active and len(deaths) <= WORKER_RESTARTS:
            self._returned.append(self._active.pop(name))
        else:
            self._end(name, RunResult(records.FAILED, deaths[-1] if deaths else "the run ended without a result"))

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
