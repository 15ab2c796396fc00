"""Newcomer check: a worker on a node that joined later checks that node before it gets a run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.ray_tune.capacity import marked, prepare, probe
from trainables.devices.diagnosis import missing_gpus
from trainables.errors import AssayError

if TYPE_CHECKING:
    from ray.tune import PlacementGroupFactory

    from search.study.resources import Resources
    from trainables.data.sharing import SharedData

NODE_LABEL = "ray.io/node-id"
"""Label of a node that contains its id; Ray sets it."""


class UnfitNodeError(AssayError):
    """A node cannot execute runs. The text of Ray's report of a worker's death contains it (see `unfit_node`).

    Args:
        node: Ray's id of the node.
        fault: what is wrong with it.
    """

    def __init__(self, node: str, fault: str) -> None:
        super().__init__(f"{node}: {fault}")


def unfit_node(text: str) -> tuple[str, str] | None:
    """Return (id, fault) of the node that Ray's report of a worker's death names as unfit, or None.

    Examples:
        >>> unfit_node("search.ray_tune.newcomers.UnfitNodeError: 1fa0: has no /shared/s1; give a path")
        ('1fa0', 'has no /shared/s1; give a path')
    """
    found = re.search(rf"{UnfitNodeError.__name__}: (\w+): (.+)", text)
    return (found[1], found[2].strip()) if found else None


@dataclass(frozen=True)
class NewcomerCheck:
    """What a worker asks its node before its first run, if the driver has not asked it.

    Args:
        folder: the study's folder.
        token: content of the mark in it (see `marked`).
        assay: the driver's version of Assay.
        gpus: GPUs per run.
        known: ids of the nodes that the driver has checked.
    """

    folder: str
    token: str
    assay: str
    gpus: float
    known: frozenset[str]

    def __call__(self, data: Mapping[str, SharedData], code: tuple[str, ...]) -> None:
        """Check the node of this process.

        Args:
            data: the data sets by label, as they are sent to workers.
            code: what the user allowed to run.

        Raises:
            UnfitNodeError: it cannot use the folder, the images or its GPUs, or has another version of Assay.
        """
        import ray

        node = ray.get_runtime_context().get_node_id()
        if node in self.known:
            return
        fault = probe(self.folder, self.token, self.assay)
        for each in data.values():
            fault = fault or (prepare(each, code) if each.files else "")
        fault = fault or missing_gpus(self.gpus)
        if fault:
            raise UnfitNodeError(node, " ".join(fault.split()))


@contextmanager
def newcomer_check(folder: Path, gpus: float, known: frozenset[str]) -> Iterator[NewcomerCheck]:
    """Keep a mark in the study's folder for the duration of the block, and return a check that looks for it.

    Args:
        folder: the study's folder, which only this driver uses.
        gpus: GPUs per run.
        known: ids of the nodes that the driver has checked.
    """
    with marked(folder) as token:
        yield NewcomerCheck(str(folder), token, version("assay"), gpus, known)


def placement(resources: Resources, avoided: tuple[str, ...]) -> PlacementGroupFactory:
    """Return the resources of a run for Ray Tune, on any node but some.

    Args:
        resources: resources per run.
        avoided: ids of nodes.
    """
    from ray.tune import PlacementGroupFactory

    bundle = {"CPU": float(resources.cpus), "GPU": float(resources.gpus)}
    selector: dict[str, Any] = {}
    if avoided:
        selector["bundle_label_selector"] = [{NODE_LABEL: f"!in({','.join(avoided)})"}]
    return PlacementGroupFactory([bundle], **selector)
