"""Session: executes the runs of a study or a final training with Ray, shows progress and delivers to MLflow."""

from __future__ import annotations

import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from search.monitor.counts import StudyProgress
from search.monitor.messages import copyable, note
from search.monitor.progress import Display
from trainables import records
from trainables.errors import InputError, StoppedError

if TYPE_CHECKING:
    from search.orchestration.protocol import RunSource
    from search.store.delivery_state import DeliveryState
    from search.study.resources import Resources
    from search.tracking.supervisor import Delivery
    from trainables.data.sharing import SharedData

T = TypeVar("T")
DELIVERY_SECONDS = 30.0
"""How long a finished study waits for its delivery to MLflow, unless `--timeout` is given."""
INTERRUPTED_SECONDS = 10.0
"""Longest time that an interrupted study waits for it."""
NOTICE_SECONDS = 5.0
"""How long it waits without a message."""


@dataclass(frozen=True)
class Options:
    """How runs are executed.

    Args:
        address: address of a Ray cluster, or None for this machine.
        curves: table of learning curves to replay instead of training.
        debug: whether to show the messages of Ray and TensorFlow.
        timeout: seconds that a finished study waits for its delivery to MLflow.
    """

    address: str | None = None
    curves: Path | None = None
    debug: bool = False
    timeout: float = DELIVERY_SECONDS

    def __post_init__(self) -> None:
        """Refuse the address of a Ray Client server.

        Raises:
            InputError: it is one.
        """
        if self.address and self.address.startswith("ray://"):
            raise InputError(
                f"`{self.address}` is the address of a Ray Client server, which Ray Tune does not support. Outside the "
                "cluster use `ray job submit --address http://HOST:8265 -- assay run ...`; on one of its nodes "
                "`--address auto`"
            )


def refuse_unusable_gpus(resources: Resources, options: Options) -> None:
    """Refuse a new study or training that asks for GPUs which workers cannot use, before anything is written.

    Raises:
        InputError: they cannot; the message states why.
    """
    if resources.gpus and options.curves is None:
        from search.ray_tune.gpus import require_gpus

        require_gpus(resources, options.address, options.debug)


@contextmanager
def kept_workers(resources: Resources, options: Options) -> Iterator[None]:
    """Keep Ray for the duration of the block, in which `call_on_worker` and `execute_runs` use it.

    The working directory, which Ray's start changes, stays that of the user.

    Raises:
        InputError: no cluster can be reached, or Ray cannot be started.
    """
    from search.ray_tune.dispatcher import ExecutionContext
    from search.ray_tune.launcher import ray_session

    here = Path.cwd()
    with ray_session(ExecutionContext(here, resources, options.address, None, options.debug)), chdir(here):
        yield


def call_on_worker(function: Callable[..., T], arguments: Sequence[Any], resources: Resources, options: Options) -> T:
    """Return what a function returns in a worker that could execute a run; call it within `kept_workers`.

    Raises:
        InputError: no run fits, or the function has raised it.
        TrialError: the worker has raised something else, died, or taken too long.
    """
    from search.ray_tune.worker_call import call_on_worker as call

    return call(function, arguments, resources, cluster=bool(options.address))


def execute_runs(
    source: RunSource,
    folder: Path,
    resources: Resources,
    tracking_uri: str | None,
    options: Options,
    data: Mapping[str, SharedData],
    title: str,
    count: Callable[[], StudyProgress],
    conclude: Callable[[], T],
) -> tuple[T, str]:
    """Execute every run, then conclude, while a separate process delivers to MLflow.

    Args:
        source: provides the runs.
        folder: where the journal is.
        resources: resources of one run.
        tracking_uri: MLflow's tracking store, or None for one in the folder.
        options: how runs are executed.
        data: the data sets by label (see `RunSource.data_set`); empty in a replay.
        title: heading of the progress display.
        count: returns the current progress.
        conclude: writes the results once all runs have ended.

    Returns:
        The value of `conclude`, and a sentence about what MLflow has not received, empty if it has everything.

    Raises:
        StoppedError: the study was stopped, or its results cannot be written.
    """
    from search.tracking.supervisor import start_delivery

    store = _checked_store(folder, tracking_uri)  # before the working directory changes
    started = time.monotonic()
    note(f"working in {folder}" + (f", with Ray at {options.address}" if options.address else ""))
    with ExitStack() as session:
        work = _prepared(session, source, folder, resources, options, data, started)
        delivery = start_delivery(folder, store)

        def tick() -> StudyProgress:
            delivery.ensure()
            return count()

        timeout = min(INTERRUPTED_SECONDS, options.timeout)
        try:
            if work:
                with session, Display(tick, title):
                    work()
            if work:
                note("all runs have finished; writing the results")
            concluded = _concluded(conclude)
            timeout = options.timeout
        finally:
            state = _finished(delivery, timeout)
    undelivered = f"{state}. `assay sync {shlex.quote(str(folder))}` delivers it later."
    return concluded, "" if state.complete else copyable(undelivered)


def _checked_store(folder: Path, uri: str | None) -> str:
    """Return the tracking store, and print which one it is if only the study names it.

    Raises:
        InputError: it is not supported, or a file of another program.
    """
    from search.store.tracking_uri import chosen_by_study, refuse_foreign_database, store_uri

    store = store_uri(folder, uri)
    refuse_foreign_database(store, folder)
    if chosen := chosen_by_study(folder, uri):
        note(f"results are sent to {chosen} (tracking.uri of the study)")
    return store


def _finished(delivery: Delivery, timeout: float) -> DeliveryState:
    """Wait for the delivery, with a message if that takes a while, and end it; return what MLflow does not have."""
    waiting = threading.Timer(NOTICE_SECONDS, note, [f"delivering the rest to MLflow, for at most {timeout:g} seconds"])
    waiting.daemon = True
    waiting.start()
    state = delivery.finish(timeout)
    waiting.cancel()
    delivery.stop()
    return state


def _concluded(conclude: Callable[[], T]) -> T:
    """Write the results once all runs have ended.

    Raises:
        StoppedError: they cannot be written, because of a full disk for example; resuming writes them.
    """
    try:
        return conclude()
    except (OSError, InputError) as error:
        raise StoppedError(f"all runs have finished, but the results could not be written ({error})") from error


def _prepared(
    session: ExitStack,
    source: RunSource,
    folder: Path,
    resources: Resources,
    options: Options,
    data: Mapping[str, SharedData],
    started: float,
) -> Callable[[], None] | None:
    """Start Ray, check that a run fits, and return a function that executes the remaining runs, or None.

    Raises:
        InputError: Ray cannot be reached, no run fits, workers cannot use the GPUs that it needs, or a node of the
            cluster cannot access the folder.
    """
    if source.done:
        shutil.rmtree(folder / records.CHECKPOINTS, ignore_errors=True)  # of a driver killed after its last run
        return None
    from search.ray_tune.dispatcher import ExecutionContext
    from search.ray_tune.launcher import checked_capacity, ray_session, run_all

    refuse_unusable_gpus(resources, options)
    hours = resources.budget_hours
    deadline = None if hours is None else started + 3600 * hours
    context = ExecutionContext(folder, resources, options.address, options.curves, options.debug, deadline)
    session.enter_context(ray_session(context))
    capacity = checked_capacity(context, data)
    return lambda: run_all(source, context, capacity, data)
