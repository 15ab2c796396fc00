"""Session: executes the runs of a study or a final training with Ray, shows progress and delivers to MLflow."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from search.monitor.counts import StudyProgress
from search.monitor.messages import copyable, note
from search.monitor.progress import Display
from trainables.errors import InputError

if TYPE_CHECKING:
    from search.orchestration.protocol import RunSource
    from search.study.resources import Resources
    from trainables.data import Dataset

T = TypeVar("T")
DELIVERY_SECONDS = 120.0
GOODBYE_SECONDS = 10.0
QUIET_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """How runs are executed.

    Args:
        address: a Ray cluster, or None for this machine.
        curves: a table of learning curves to replay instead of training.
        debug: show the messages of Ray and TensorFlow.
    """

    address: str | None = None
    curves: Path | None = None
    debug: bool = False

    def __post_init__(self) -> None:
        """Refuse Ray's client.

        Raises:
            InputError: the address is one.
        """
        if self.address and self.address.startswith("ray://"):
            raise InputError(
                f"`{self.address}` is Ray's client, and Ray Tune cannot be driven through it. From outside the cluster "
                "use `ray job submit --address http://HOST:8265 -- assay run ...`; on one of its nodes `--address auto`"
            )


def execute_runs(
    source: RunSource,
    folder: Path,
    resources: Resources,
    tracking_uri: str | None,
    options: Options,
    data: Dataset | None,
    title: str,
    count: Callable[[], StudyProgress],
    conclude: Callable[[], T],
) -> tuple[T, str]:
    """Execute every run, then conclude, while a separate process delivers to MLflow.

    Args:
        source: provides the runs.
        folder: where the journal is.
        resources: what one run takes.
        tracking_uri: MLflow's store, or None for one in the folder.
        options: how runs are executed.
        data: the images; None in a replay.
        title: heading of the progress display.
        count: returns the current progress.
        conclude: writes the results once all runs have ended.

    Returns:
        The value of `conclude`, and a sentence about what MLflow has not received, empty if it has everything.
    """
    from search.tracking.supervisor import start_delivery

    started = time.monotonic()
    note(f"working in {folder}" + (f", with Ray at {options.address}" if options.address else ""))
    with ExitStack() as session:
        work = _prepared(session, source, folder, resources, options, data, started)
        delivery = start_delivery(folder, tracking_uri)

        def tick() -> StudyProgress:
            delivery.ensure()
            return count()

        patience = GOODBYE_SECONDS
        try:
            if work:
                with session, Display(tick, title):
                    work()
            concluded = conclude()
            patience = DELIVERY_SECONDS
        finally:
            waiting = threading.Timer(
                QUIET_SECONDS, note, [f"handing the rest to MLflow, for {patience:g} seconds at most"]
            )
            waiting.daemon = True
            waiting.start()
            state = delivery.finish(patience)
            waiting.cancel()
            delivery.stop()
    later = f"{state}. `assay sync {folder}` delivers it later."
    return concluded, "" if state.complete else copyable(later)


def _prepared(
    session: ExitStack,
    source: RunSource,
    folder: Path,
    resources: Resources,
    options: Options,
    data: Dataset | None,
    started: float,
) -> Callable[[], None] | None:
    """Start Ray, refuse an environment in which no run fits, and return a function that executes the remaining runs.

    Raises:
        InputError: Ray cannot be reached, no run fits, or a node of the cluster cannot work in the folder.
    """
    if source.done:
        return None
    from search.ray_tune.dispatcher import ExecutionContext
    from search.ray_tune.launcher import checked_capacity, ray_session, run_all

    hours = resources.budget_hours
    deadline = None if hours is None else started + 3600 * hours
    context = ExecutionContext(folder, resources, options.address, options.curves, options.debug, deadline)
    arrays: dict[str, Any] = {**data.arrays(), "class_names": data.class_names} if data else {}
    session.enter_context(_inside(folder))
    session.enter_context(ray_session(context))
    capacity = checked_capacity(context)
    return lambda: run_all(source, context, capacity, arrays)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in the study's folder, since Ray puts the driver's working directory on its workers' path."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
