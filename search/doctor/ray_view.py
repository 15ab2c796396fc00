"""Ray's view: the resources of its nodes, asked by a separate process."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.backends.process import MODULE, bounded
from trainables.devices.diagnosis import Problem
from trainables.errors import InputError

PROGRAM = (*MODULE, "search.doctor.ray_view")
RESTART = "Look for a full disk, little memory, or a wrong `--address`; `assay run --debug` shows Ray's messages"


@dataclass(frozen=True)
class RayNode:
    """A node of Ray.

    Args:
        name: host name and address.
        cpus: CPUs that Ray can allocate.
        gpus: GPUs that Ray can allocate.
        memory: memory for workers, in bytes.
    """

    name: str
    cpus: float
    gpus: float
    memory: float


@dataclass(frozen=True)
class RayView:
    """What Ray can allocate.

    Args:
        nodes: its nodes.
        problems: what is wrong.
    """

    nodes: tuple[RayNode, ...] = ()
    problems: tuple[Problem, ...] = ()


def ray_view(address: str | None, seconds: float, program: Sequence[str] = PROGRAM) -> RayView:
    """Return what Ray can allocate; on a cluster, also which nodes cannot use the GPUs that they offer.

    Args:
        address: address of a cluster, or None to start Ray on this machine for a moment.
        seconds: how long it may take.
        program: the process that asks.
    """
    answer = bounded([*program, *([address] if address else [])], seconds)
    found = _last_object(answer.out)
    if found is None:
        what = f"Ray does not work: its process {answer.end or 'printed nothing'}{answer.last_message}"
        return RayView(problems=(Problem(what, RESTART),))
    if "error" in found:
        return RayView(problems=(Problem(f"Ray does not work: {found['error']}", RESTART),))
    faults = [Problem(fault, "Repair the node, or remove it from the cluster") for fault in found["faults"]]
    return RayView(tuple(RayNode(**node) for node in found["nodes"]), tuple(faults))


def _last_object(text: str) -> dict[str, Any] | None:
    """Return the last line that is a JSON object, or None."""
    for line in reversed(text.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None


def main(arguments: Sequence[str]) -> None:
    """Print nodes and faults, or an error, as JSON."""
    try:
        found = _ask(arguments[0] if arguments else None)
    except Exception as error:  # Ray raises errors of many kinds while it starts
        found = {"error": str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps(found), flush=True)


def _ask(address: str | None) -> dict[str, Any]:
    from search.ray_tune.capacity import nodes
    from search.ray_tune.dispatcher import ExecutionContext
    from search.ray_tune.gpus import node_faults
    from search.ray_tune.launcher import ray_session
    from search.study.resources import Resources

    with ray_session(ExecutionContext(Path.cwd(), Resources(), address)):
        found = [
            {
                "name": node.name,
                "cpus": node.resources.get("CPU", 0.0),
                "gpus": node.resources.get("GPU", 0.0),
                "memory": node.resources.get("memory", 0.0),
            }
            for node in nodes()
        ]
        return {"nodes": found, "faults": node_faults(Resources(gpus=1)) if address else []}


if __name__ == "__main__":
    main(sys.argv[1:])
