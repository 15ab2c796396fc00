"""Ray Tune runs what the conductor hands out: one experiment for all arms and both phases, workers reused.

Ray keeps no truth here. Its searcher and scheduler are thin: they ask the conductor and write to the journal; its own
snapshots, checkpoints, loggers and progress tables are off.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from search.orchestration.protocol import RunSource
from search.ray_tune.capacity import Slots, refuse_unusable
from search.ray_tune.dispatcher import Bridge, Place
from trainables.backends.suppress_stderr import suppressed_stderr
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np


QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` Ray would package the project and refuse other folders
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
LOCAL = {"address": "local", "include_dashboard": False}
WORKER_RESTARTS = 2
KNOCK_SECONDS = 10.0


@contextmanager
def ray_session(place: Place) -> Iterator[None]:
    """Connect to Ray, or start it here, for the time of the block.

    Raises:
        InputError: no cluster answers at the address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    if not place.debug:
        logging.getLogger("ray.widgets").setLevel(logging.CRITICAL)  # which speaks while it is imported
    import ray

    if not place.debug:
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():  # a notebook's own Ray stays as it is
        yield
        return
    try:
        with _own_signals():
            _start(place)
        yield
    finally:
        ray.shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """Put back what signals do after the block: Ray makes a request to terminate end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(place: Place) -> None:
    import ray

    # Without "local" Ray joins whatever cluster `ray start` has left on this machine.
    options: dict[str, Any] = {"address": place.address} if place.address else LOCAL
    try:
        _knock(place.address or "")
        # Ray's core repeats every second what the error says in the end.
        with nullcontext() if place.debug or not place.address else suppressed_stderr():
            ray.init(
                **options,
                log_to_driver=place.debug,
                logging_level=logging.WARNING if place.debug else logging.CRITICAL,
            )
    except (OSError, RuntimeError, ValueError) as error:
        if place.address:
            raise InputError(
                f"no Ray cluster can be reached at `{place.address}`: {_short(error)}. Allowed are `auto` (the cluster "
                "of this machine) and HOST:PORT (of its head); where it asks for a token, set "
                "RAY_AUTH_MODE=token"
            ) from error
        raise InputError(f"Ray cannot be started on this machine: {_short(error)}") from error


def _knock(address: str) -> None:
    """See that somebody answers at HOST:PORT: Ray itself goes on trying for minutes.

    Raises:
        OSError: nobody does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")


def usable_slots(place: Place) -> Slots:
    """Return how many runs the place can hold at once, inside a `ray_session`.

    Raises:
        InputError: not even one fits, or a node of the cluster cannot work in the study's folder.
    """
    slots = Slots(place.resources, cluster=bool(place.address))
    if place.address:
        refuse_unusable(place.folder, place.resources)
    return slots


def run_all(conductor: RunSource, place: Place, slots: Slots, arrays: dict[str, np.ndarray | tuple[str, ...]]) -> None:
    """Do every run that the conductor hands out, inside a `ray_session`.

    Args:
        conductor: hands out and hears.
        place: where.
        slots: how many at once.
        arrays: the data set by name, with `class_names`; it goes to Ray's object store once per node.

    Raises:
        StoppedError: the budget is used up, or the journal cannot be written.
    """
    from ray import tune

    from search.ray_tune.callbacks import JournalScheduler, JournalSearcher, NoReporter
    from trainables.worker.trainable import TrainingTrainable

    resources = {"cpu": place.resources.cpus, "gpu": place.resources.gpus}
    trainable = tune.with_resources(
        tune.with_parameters(TrainingTrainable, arrays=arrays, threads=place.resources.cpus), resources
    )
    bridge = Bridge(conductor, place, slots)
    with tempfile.TemporaryDirectory(prefix="assay-tune-") as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=JournalSearcher(bridge),
                scheduler=JournalScheduler(bridge),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                progress_reporter=NoReporter(),
                failure_config=tune.FailureConfig(max_failures=WORKER_RESTARTS),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
    bridge.tidy()
