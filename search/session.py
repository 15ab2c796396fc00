"""What starting a study, resuming it and training finally have in common: Ray, progress, delivery to MLflow."""

from __future__ import annotations

import base64
import os
import platform
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from search.cli.console import copyable, quiet
from search.monitor.progress import Display, Tally
from trainables import records
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from search.orchestration.controller import Conducts
    from search.study.resources import Resources
    from trainables.data import Dataset

T = TypeVar("T")
PACKAGES = ("assay", "ray", "tensorflow", "keras", "optuna", "numpy", "pandas", "mlflow", "scipy")
DELIVERY_SECONDS = 120.0
GOODBYE_SECONDS = 10.0
QUIET_SECONDS = 5.0


@dataclass(frozen=True)
class Options:
    """How runs are done, beside what is asked for.

    Args:
        address: a Ray cluster, or None for this machine.
        curves: a table of learning curves to replay instead of training.
        debug: let the noise of Ray and TensorFlow through.
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


def carry_out(
    conductor: Conducts,
    folder: Path,
    resources: Resources,
    tracking_uri: str | None,
    options: Options,
    data: Dataset | None,
    title: str,
    count: Callable[[], Tally],
    conclude: Callable[[], T],
) -> tuple[T, str]:
    """Do every run, then conclude, while a process of its own delivers to MLflow.

    Args:
        conductor: hands the runs out.
        folder: where the journal is.
        resources: what one run takes.
        tracking_uri: MLflow's store, or None for one in the folder.
        options: how.
        data: the images; None in a replay.
        title: what runs, for the progress display.
        count: returns the present tally.
        conclude: writes what follows from the runs.

    Returns:
        what `conclude` returned, and what MLflow has not received, in words, or an empty text.
    """
    from search.tracking.supervisor import start_delivery

    started = time.monotonic()
    quiet(f"working in {folder}" + (f", with Ray at {options.address}" if options.address else ""))
    with ExitStack() as session:
        work = _prepared(session, conductor, folder, resources, options, data, started)
        delivery = start_delivery(folder, tracking_uri)

        def tick() -> Tally:
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
                QUIET_SECONDS, quiet, [f"handing the rest to MLflow, for {patience:g} seconds at most"]
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
    conductor: Conducts,
    folder: Path,
    resources: Resources,
    options: Options,
    data: Dataset | None,
    started: float,
) -> Callable[[], None] | None:
    """Enter the folder and Ray, refuse a place that can hold no run, and return what does the runs that are left.

    Raises:
        InputError: Ray is out of reach, no run fits, or a node of the cluster cannot work in the folder.
    """
    if conductor.done:
        return None
    from search.ray_tune.dispatcher import Place
    from search.ray_tune.launcher import ray_session, run_all, usable_slots

    hours = resources.budget_hours
    deadline = None if hours is None else started + 3600 * hours
    place = Place(folder, resources, options.address, options.curves, options.debug, deadline)
    arrays: dict[str, Any] = {**data.arrays(), "class_names": data.class_names} if data else {}
    session.enter_context(_inside(folder))
    session.enter_context(ray_session(place))
    slots = usable_slots(place)
    return lambda: run_all(conductor, place, slots, arrays)


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in the study's folder: Ray puts the driver's working directory on its workers' path."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def packed_labels(labels: np.ndarray) -> str:
    """Return labels as a short text: base64 of zlib of uint16 (n,)."""
    return base64.b64encode(zlib.compress(labels.astype("<u2").tobytes(), 9)).decode()


def facts(data: Dataset | None, replayed: Path | None = None) -> dict[str, Any]:
    """Return what runs are done with: versions, machine, git commit, data, or the table that is replayed."""
    from search.store.provenance import working_commit

    return {
        **({"replayed": str(replayed)} if replayed else {}),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cpus": os.cpu_count()},
        "git": working_commit(Path.cwd()),
        "data": data
        and {
            "fingerprint": data.fingerprint,
            "class_names": list(data.class_names),
            "image_shape": list(data.images.shape[1:]),
            "images": len(data.images),
            "test_images": len(data.test_images),
            "brings": [part for part in ("groups", "validation") if getattr(data, part) is not None],
            records.TEST_LABELS: packed_labels(data.test_labels),
        },
    }
