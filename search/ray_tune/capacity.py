"""Capacity of a Ray cluster: how many runs its nodes hold, and whether they can access the study's folder."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError
from trainables.registration.plugins import allow_code, allowed_code

if TYPE_CHECKING:
    from search.study.resources import Resources
    from trainables.data.sharing import SharedData

REFRESH_SECONDS = 5.0
PROBE_SECONDS = 180.0
PREPARE_SECONDS = 86_400.0
"""How long a node may take to decode the images."""


@dataclass(frozen=True)
class Node:
    """A live node of the cluster.

    Args:
        id: Ray's node id.
        name: host name and address, for messages.
        resources: total resources by Ray's names.
    """

    id: str
    name: str
    resources: Mapping[str, float]

    def holds(self, resources: Resources) -> int:
        """Return how many concurrent runs fit on the node."""
        return resources.fitting(self.resources.get("CPU", 0), self.resources.get("GPU", 0))


def nodes() -> list[Node]:
    """Return the live nodes."""
    import ray

    return [
        Node(node["NodeID"], f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})", node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    ]


class Capacity:
    """The number of runs that may be active at once, refreshed periodically because nodes join and leave.

    `known` contains Ray's ids of the nodes that are there at the beginning.

    Args:
        resources: resources per run.
        cluster: whether the cluster may grow. Then `resources.concurrency` runs are requested whether or not they
            fit now, which makes an autoscaler start nodes.

    Raises:
        InputError: no run fits and `resources.concurrency` does not ask to wait for nodes.
    """

    def __init__(self, resources: Resources, cluster: bool) -> None:
        self._resources = resources
        self._cluster = cluster
        self._refreshed = time.monotonic()
        self._excluded: set[str] = set()
        present = nodes()
        self.known = frozenset(node.id for node in present)
        self._fit = self._slots(present)
        if self.runs() < 1:
            raise InputError(_nothing_fits(resources, present, cluster))

    def exclude(self, node: str) -> str:
        """Count a node no longer, given by Ray's id; return its name."""
        self._excluded.add(node)
        present = nodes()
        self._fit = self._slots(present)
        return next((each.name for each in present if each.id == node), node)

    def runs(self) -> int:
        """Return the number of runs that may be active at once."""
        requested = self._resources.concurrency
        if requested and self._cluster:
            return requested
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self._fit = self._slots(nodes())
        return min(self._fit, requested or self._fit)

    def _slots(self, present: Sequence[Node]) -> int:
        return sum(node.holds(self._resources) for node in present if node.id not in self._excluded)


def _nothing_fits(resources: Resources, present: list[Node], cluster: bool) -> str:
    have = "; ".join(
        f"{node.name} has {node.resources.get('CPU', 0):g} CPUs and {node.resources.get('GPU', 0):g} GPUs"
        for node in present
    )
    wait = ", or set `resources.concurrency` to wait for nodes that an autoscaler starts" if cluster else ""
    return (
        f"a run needs {resources.cpus} CPUs and {resources.gpus:g} GPUs on one node, but {have}; lower "
        f"`resources.cpus` or `resources.gpus` (with `assay train`: `--cpus`, `--gpus`){wait}"
    )


def check_nodes(folder: Path, resources: Resources, data: Iterable[SharedData] = ()) -> None:
    """Check that every node can access the study's folder and its images, and runs this version of Assay.

    A node that lacks the decoded images makes them from the source.

    Args:
        folder: the study's folder, which exists.
        resources: resources per run; nodes on which no run fits are not checked.
        data: the data sets as they are sent to workers.

    Raises:
        InputError: the folder is missing or read-only on a node, the node runs another version of Assay, or it has
            neither the images nor their source.
    """
    with marked(folder) as token:
        able = [node for node in nodes() if node.holds(resources)]
        faults = _faults(ask_nodes(probe, (str(folder), token, version("assay")), able))
    for each in data:
        if not faults and each.files:
            faults = _faults(ask_nodes(prepare, (each, allowed_code()), able, seconds=PREPARE_SECONDS))
    if faults:
        raise InputError("\n".join(faults))


@dataclass(frozen=True)
class NodeAnswer:
    """What a node answered.

    Args:
        node: the node.
        fault: what is wrong with it, or empty.
        late: whether it did not answer in time.
    """

    node: Node
    fault: str
    late: bool = False


def _faults(answers: Sequence[NodeAnswer]) -> list[str]:
    return [f"node {answer.node.name}: {answer.fault}" for answer in answers if answer.fault]


def ask_nodes(
    question: Callable[..., str],
    arguments: Sequence[Any],
    present: Sequence[Node],
    num_gpus: float = 0,
    seconds: float = PROBE_SECONDS,
) -> list[NodeAnswer]:
    """Call a function on nodes of the cluster, on all at once, and return what they answer.

    Args:
        question: an importable function that returns what is wrong, or an empty string.
        arguments: its arguments.
        present: the nodes.
        num_gpus: GPUs that the call is given.
        seconds: how long the nodes may take.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(num_cpus=0, num_gpus=num_gpus, max_retries=0)(question)
    strategies = [NodeAffinitySchedulingStrategy(node.id, soft=False) for node in present]
    pending = [task.options(scheduling_strategy=strategy).remote(*arguments) for strategy in strategies]
    until, answers = time.monotonic() + seconds, []
    for node, answer in zip(present, pending, strict=True):
        try:
            answers.append(NodeAnswer(node, str(ray.get(answer, timeout=max(0.0, until - time.monotonic())))))
        except GetTimeoutError:
            answers.append(NodeAnswer(node, f"did not answer within {seconds:g} s", late=True))
            ray.cancel(answer)
        except RayError as error:
            answers.append(NodeAnswer(node, f"cannot run Assay: {str(error).strip().splitlines()[-1]}"))
    return answers


@contextmanager
def marked(folder: Path) -> Iterator[str]:
    """Keep a mark in the study's folder, which nodes look for, for the duration of the block; return its token.

    Args:
        folder: the study's folder, which only this driver uses.
    """
    for left in folder.glob(_mark(folder, "*").name):
        left.unlink(missing_ok=True)  # by a driver that was killed
    token = uuid.uuid4().hex
    mark = _mark(folder, token)
    mark.write_text(token)
    try:
        yield token
    finally:
        mark.unlink(missing_ok=True)


def _mark(folder: Path, token: str) -> Path:
    return folder / f".probe-{token}"


def prepare(data: SharedData, code: tuple[str, ...]) -> str:
    """Return why this node cannot use the images, or an empty string. Runs on every node.

    Args:
        data: the data set as it is sent to workers.
        code: what the user allowed to run.
    """
    allow_code(*code)
    try:
        data.open()
    except InputError as error:
        return str(error)
    return ""


def probe(folder: str, token: str, assay: str) -> str:
    """Return why this node cannot use the folder, or an empty string. Runs on every node.

    Args:
        folder: the study's folder.
        token: content of the file that the driver has written there.
        assay: the driver's version of Assay.
    """
    if version("assay") != assay:
        return f"has Assay {version('assay')}, but the driver has {assay}; install the same version on every node"
    remedy = "checkpoints and logs are stored there: give `--output` a path that all nodes share"
    try:
        if _mark(Path(folder), token).read_text() != token:
            return f"has a different {folder}; {remedy}"
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except FileNotFoundError:
        return f"has no {folder}; {remedy}"
    except OSError as error:
        return f"cannot write to {folder} ({error}); {remedy}"
