"""Ray Tune runs what the conductor hands out: one experiment for all arms and both phases, workers reused.

Ray keeps no truth here. Its searcher and scheduler are thin: they ask the conductor and write to the journal; its own
snapshots, checkpoints, loggers and progress tables are off.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from search.bridge import Bridge, Place
from search.conductor import Conducts
from search.study import Resources
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
    "TUNE_MAX_PENDING_TRIALS_PG": "16",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
WORKER_RESTARTS = 2


@contextmanager
def ray_session(place: Place) -> Iterator[None]:
    """Connect to Ray, or start it here, for the time of the block.

    Raises:
        InputError: no cluster answers at the address.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if not place.debug:
        for name in ("ray", "ray.tune", "ray.train", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    options: dict[str, Any] = {"address": place.address} if place.address else {"include_dashboard": False}
    try:
        ray.init(
            **options,
            log_to_driver=place.debug,
            logging_level=logging.WARNING if place.debug else logging.CRITICAL,
        )
    except ConnectionError as error:
        raise InputError(f"no Ray cluster answers at `{place.address}`: {error}") from None
    try:
        yield
    finally:
        ray.shutdown()


def slots(resources: Resources) -> int:
    """Return how many runs fit on the cluster at once.

    Raises:
        InputError: not even one does.
    """
    import ray

    have = ray.cluster_resources()
    fit = int(have.get("CPU", 0) // resources.cpus)
    if resources.gpus:
        fit = min(fit, int(have.get("GPU", 0) / resources.gpus + 1e-9))
    if fit < 1:
        raise InputError(
            f"a run takes {resources.cpus} CPUs and {resources.gpus:g} GPUs, but Ray has {have.get('CPU', 0):g} CPUs "
            f"and {have.get('GPU', 0):g} GPUs; lower `resources.cpus` or `resources.gpus`"
        )
    return min(fit, resources.concurrency or fit)


def run_all(conductor: Conducts, place: Place, arrays: dict[str, np.ndarray | tuple[str, ...]]) -> None:
    """Do every run that the conductor hands out, inside a `ray_session`.

    Args:
        conductor: hands out and hears.
        place: where.
        arrays: the data set by name, with `class_names`; it goes to Ray's object store once per node.
    """
    from ray import tune

    from search.tune import JournalScheduler, JournalSearcher
    from trainables.trainable import Trial

    if conductor.done:
        return
    resources = {"cpu": place.resources.cpus, "gpu": place.resources.gpus}
    trainable = tune.with_resources(tune.with_parameters(Trial, arrays=arrays, threads=place.resources.cpus), resources)
    bridge = Bridge(conductor, place)
    with tempfile.TemporaryDirectory(prefix="assay-tune-") as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                num_samples=-1,
                search_alg=JournalSearcher(bridge),
                scheduler=JournalScheduler(bridge),
                max_concurrent_trials=slots(place.resources),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=WORKER_RESTARTS),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        tuner.fit()
