"""Launcher: connects to Ray and executes runs as one Ray Tune experiment for all arms and phases, reusing workers.

Ray stores no state of the study. Its searcher and scheduler delegate to the controller and the journal; Ray's own
snapshots, checkpoints, loggers and progress tables are disabled.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.monitor.interrupts import preserved_handlers
from search.monitor.messages import resume_hint, warn
from search.orchestration.protocol import RunSource
from search.ray_tune.capacity import Capacity, check_nodes
from search.ray_tune.dispatcher import WORKER_RESTARTS, ExecutionContext, RunDispatcher
from search.ray_tune.local_processes import LocalProcesses
from search.ray_tune.newcomers import NewcomerCheck, newcomer_check, placement
from trainables.backends.suppress_stderr import suppressed_stderr
from trainables.errors import AssayError, InputError
from trainables.records.atomic import PRIVATE

if TYPE_CHECKING:
    from trainables.data.sharing import SharedData


DEFAULTS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` Ray would package the project and reject other folders
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # Tune's workers have their own variables, so that it starts others
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_MAX_PENDING_TRIALS_PG": "1000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
LOCAL = {"address": "local", "include_dashboard": False}
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable that, at 0, makes Ray listen on the loopback address only; it is for all systems, despite its name."""
LONGEST_PARENT = 24
"""Characters of the folder for temporary files; names of sockets have at most 107."""
CONNECT_SECONDS = 10.0


@contextmanager
def ray_session(context: ExecutionContext) -> Iterator[None]:
    """Connect to a Ray cluster, or start Ray on this machine, for the duration of the block.

    Raises:
        InputError: no cluster can be reached at the address.
    """
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    if not context.address:
        os.environ.setdefault(LOOPBACK, "0")
    if not context.debug:
        logging.getLogger("ray.widgets").setLevel(logging.CRITICAL)  # it logs during its import
    import ray

    if not context.debug:
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    if ray.is_initialized():  # Ray started by a notebook is used as it is
        yield
        return
    with _private_folder() as private:
        try:
            with preserved_handlers():
                _start(context, private)
            yield
        finally:
            ray.shutdown()


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Create a folder that only the user can enter, with an empty folder in it as the working directory.

    A local Ray keeps its session there, whose logs repeat the environment. Ray puts the driver's working directory
    first on the import path of its workers, where a `pandas.py` would be executed.
    """
    parent = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(parent) > LONGEST_PARENT:
        parent = "/tmp"
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="assay-", dir=parent, ignore_cleanup_errors=True) as folder:
        empty = Path(folder, "empty")
        empty.mkdir()
        os.chdir(empty)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def _start(context: ExecutionContext, private: Path) -> None:
    import ray

    # Without "local" Ray joins any cluster that `ray start` has left running on this machine.
    local = {**LOCAL, "_temp_dir": str(private / "ray")}
    options: dict[str, Any] = {"address": context.address} if context.address else local
    try:
        _check_reachable(context.address or "")
        # Ray's core repeats the final error message every second.
        with nullcontext() if context.debug or not context.address else suppressed_stderr():
            ray.init(
                **options,
                log_to_driver=context.debug,
                logging_level=logging.WARNING if context.debug else logging.CRITICAL,
            )
        hide_token()
    except AssayError:
        raise
    except Exception as error:  # Ray raises various exceptions, a bare one if this machine is too busy for it
        if context.address:
            raise InputError(
                f"no Ray cluster can be reached at `{context.address}`: {_short(error)}. Use `auto` (the cluster "
                "on this machine) or HOST:PORT of the head node; if the cluster requires a token, set "
                "RAY_AUTH_MODE=token"
            ) from error
        raise InputError(f"Ray cannot be started on this machine: {_short(error)}") from error


def hide_token() -> None:
    """Let only the user read Ray's token, which allows running code as the user; Ray lets the umask decide."""
    with suppress(OSError, RuntimeError):  # there is no token, or no home folder
        token = Path.home() / ".ray" / "auth_token"
        if token.stat().st_mode & 0o077:
            token.chmod(PRIVATE)


def _check_reachable(address: str) -> None:
    """Check that HOST:PORT accepts connections: Ray itself would retry for minutes.

    Raises:
        OSError: it does not.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")


def checked_capacity(context: ExecutionContext, data: Mapping[str, SharedData]) -> Capacity:
    """Return the capacity for runs after checking all nodes; call it within a `ray_session`.

    Raises:
        InputError: no run fits, or a node of the cluster cannot use the study's folder or its images.
    """
    capacity = Capacity(context.resources, cluster=bool(context.address))
    if context.address:
        check_nodes(context.folder, context.resources, data.values())
    return capacity


def run_all(source: RunSource, context: ExecutionContext, capacity: Capacity, data: Mapping[str, SharedData]) -> None:
    """Execute every run of a run source; call it within a `ray_session`.

    Args:
        source: provides runs and receives results.
        context: where and how runs are executed.
        capacity: how many runs may be active at once.
        data: the data sets by label, which Ray's object store sends to each node once; large images are opened by path.

    Raises:
        StoppedError: the budget is used up, the journal cannot be written, or a process of the local Ray has died.
    """
    from ray import tune

    from search.ray_tune.callbacks import JournalScheduler, JournalSearcher, NoReporter
    from trainables.worker.trainable import TrainingTrainable

    resources = context.resources
    local = LocalProcesses()
    dispatcher = RunDispatcher(source, context, capacity.runs, local.check, capacity.exclude)
    with ExitStack() as block:
        scratch = block.enter_context(tempfile.TemporaryDirectory(prefix="assay-tune-"))
        check = block.enter_context(_check(context, capacity)) if context.address else None
        trainable = tune.with_resources(
            tune.with_parameters(TrainingTrainable, data=data, threads=resources.cpus, check=check),
            lambda config: placement(resources, config["avoided_nodes"]),
        )
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=JournalSearcher(dispatcher),
                scheduler=JournalScheduler(dispatcher),
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
        with local.watched(lambda reason: print_fatal_error(reason, context.folder)):
            tuner.fit()
    dispatcher.remove_checkpoints()


def _check(context: ExecutionContext, capacity: Capacity) -> AbstractContextManager[NewcomerCheck]:
    gpus = 0 if context.curves else context.resources.gpus
    return newcomer_check(context.folder, gpus, capacity.known)


def print_fatal_error(reason: str, folder: Path) -> None:
    """Print why the study stopped, and how to continue it."""
    warn(f"stopped: {reason}; all progress is saved. Continue with: {resume_hint(folder)}")
