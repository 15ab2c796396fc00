"""The nodes of a Ray cluster: whether they can work in the study's folder, and how many runs they hold at once."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError

if TYPE_CHECKING:
    from search.study.resources import Resources

LOOK_SECONDS = 5.0
PROBE_SECONDS = 180.0


@dataclass(frozen=True)
class Node:
    """One node that is alive.

    Args:
        id: Ray's.
        name: its host name and address, for people.
        resources: what it has in all, by Ray's names.
    """

    id: str
    name: str
    resources: Mapping[str, float]

    def holds(self, resources: Resources) -> int:
        """Return how many runs fit on the node at once."""
        fit = int(self.resources.get("CPU", 0) // resources.cpus)
        if resources.gpus:
            fit = min(fit, int(self.resources.get("GPU", 0) / resources.gpus + 1e-9))
        return fit


def nodes() -> list[Node]:
    """Return the nodes that are alive."""
    import ray

    return [
        Node(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})", node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    ]


class Slots:
    """How many runs may be handed out at once; looked up again now and then, because nodes join and leave.

    Args:
        resources: what one run takes.
        cluster: whether a cluster can grow: there, `resources.concurrency` is asked for whether it fits now or not,
            which is what makes an autoscaler start nodes.

    Raises:
        InputError: not even one run fits, and nobody asked to wait for nodes.
    """

    def __init__(self, resources: Resources, cluster: bool) -> None:
        self._resources = resources
        self._cluster = cluster
        self._looked = time.monotonic()
        present = nodes()
        self._fit = sum(node.holds(resources) for node in present)
        if self() < 1:
            raise InputError(_nothing_fits(resources, present, cluster))

    def __call__(self) -> int:
        """Return the number."""
        asked = self._resources.concurrency
        if asked and self._cluster:
            return asked
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._fit = sum(node.holds(self._resources) for node in nodes())
        return min(self._fit, asked or self._fit)


def _nothing_fits(resources: Resources, present: list[Node], cluster: bool) -> str:
    have = "; ".join(
        f"{node.name} has {node.resources.get('CPU', 0):g} CPUs and {node.resources.get('GPU', 0):g} GPUs"
        for node in present
    )
    wait = ", or set `resources.concurrency` to wait for nodes that an autoscaler starts" if cluster else ""
    return (
        f"a run takes {resources.cpus} CPUs and {resources.gpus:g} GPUs on one node, but {have}; lower "
        f"`resources.cpus` or `resources.gpus` (of `assay train`: `--cpus`, `--gpus`){wait}"
    )


def refuse_unusable(folder: Path, resources: Resources) -> None:
    """Refuse a cluster of which a node cannot work in the study's folder, before anything starts.

    Args:
        folder: the study's folder; it exists.
        resources: what one run takes; nodes that hold no run are not asked.

    Raises:
        InputError: a node lacks the folder, may not write there, or cannot run this version of Assay.
    """
    token = uuid.uuid4().hex
    mark = folder / f".probe-{token}"
    mark.write_text(token)
    try:
        faults = _ask([node for node in nodes() if node.holds(resources)], folder, token)
    finally:
        mark.unlink(missing_ok=True)
    if faults:
        raise InputError("\n".join(faults))


def _ask(present: list[Node], folder: Path, token: str) -> list[str]:
    """Return what is wrong with nodes, a line each."""
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(num_cpus=0, max_retries=0)(probe)
    here = [NodeAffinitySchedulingStrategy(node.id, soft=False) for node in present]
    answers = [task.options(scheduling_strategy=place).remote(str(folder), token, version("assay")) for place in here]
    faults: list[str] = []
    for node, answer in zip(present, answers, strict=True):
        try:
            fault = str(ray.get(answer, timeout=PROBE_SECONDS))
        except GetTimeoutError:
            fault = f"did not answer within {PROBE_SECONDS:g} s"
        except RayError as error:
            fault = f"cannot run Assay: {str(error).strip().splitlines()[-1]}"
        if fault:
            faults.append(f"node {node.name}: {fault}")
    return faults


def probe(folder: str, token: str, assay: str) -> str:
    """Return what keeps this node from working in the folder, or an empty text. Runs on every node.

    Args:
        folder: the study's folder.
        token: what the driver has written there.
        assay: the driver's version.
    """
    if version("assay") != assay:
        return f"has Assay {version('assay')}, but the study is started with {assay}; install the same on every node"
    share = "checkpoints and logs are kept there: give `--output` a path that all nodes share"
    try:
        if (Path(folder) / f".probe-{token}").read_text() != token:
            return f"sees another {folder}; {share}"
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except FileNotFoundError:
        return f"does not see {folder}; {share}"
    except OSError as error:
        return f"cannot write to {folder} ({error}); {share}"
