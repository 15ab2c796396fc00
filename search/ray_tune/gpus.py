"""GPU check: refuses runs that need GPUs which workers cannot use, with the diagnosis, before anything is written."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from search.monitor.messages import warn
from search.ray_tune.capacity import PROBE_SECONDS, Capacity, ask_nodes, nodes
from search.ray_tune.dispatcher import ExecutionContext
from search.ray_tune.launcher import ray_session
from search.study.resources import Resources
from trainables.backends.keras_settings import one_device
from trainables.devices.diagnosis import missing_gpus
from trainables.errors import InputError

REMEDY = "`assay doctor` shows more; to train without a GPU, set `resources.gpus` (with `assay train`: `--gpus`) to 0"


def require_gpus(resources: Resources, address: str | None = None, debug: bool = False) -> None:
    """Refuse resources with GPUs that workers cannot use. The answer is kept for this process.

    Args:
        resources: resources per run; without GPUs nothing is checked.
        address: address of a Ray cluster, or None for this machine.
        debug: show the messages of Ray.

    Raises:
        InputError: no run fits, TensorFlow (or JAX) cannot use the GPUs that a run needs, or a run needs several with
            TensorFlow.
    """
    if not resources.gpus:
        return
    if not address and (fault := one_device(resources.gpus)):
        raise InputError(fault)
    if faults := _faults(resources.model_dump_json(), address, debug):
        raise InputError("\n".join([*faults, REMEDY]))


@functools.cache
def _faults(resources: str, address: str | None, debug: bool) -> tuple[str, ...]:
    """Return what is wrong, for resources as JSON: with this machine, or with each node of a cluster."""
    needed = Resources.model_validate_json(resources)
    if not address and not _ray_is_running():
        return tuple(filter(None, [missing_gpus(needed.gpus)]))
    with ray_session(ExecutionContext(Path.cwd(), needed, address, None, debug)):
        Capacity(needed, cluster=bool(address))
        return tuple(node_faults(needed))


def _ray_is_running() -> bool:
    """Return whether this process, a notebook for example, has started Ray."""
    return "ray" in sys.modules and sys.modules["ray"].is_initialized()


def node_faults(resources: Resources) -> list[str]:
    """Return one line per node of the cluster whose GPUs its workers cannot use; call it within a `ray_session`.

    A node whose GPUs are all in use is not checked, and a warning names it.
    """
    able = [node for node in nodes() if node.holds(resources)]
    answers = ask_nodes(missing_gpus, (resources.gpus,), able, num_gpus=resources.gpus)
    for answer in answers:
        if answer.late:
            warn(f"node {answer.node.name}: its GPUs were not checked, since none was free within {PROBE_SECONDS:g} s")
    return [f"node {answer.node.name}: {answer.fault}" for answer in answers if answer.fault and not answer.late]
