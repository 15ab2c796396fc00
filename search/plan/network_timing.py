"""Timing of networks: which ones a study trains, how much, and how fast they are in both precisions.

Timed are plain training steps of each distinct network and batch size, in turns, in one process.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from search.plan.cost_estimate import (
    TIMED_STEPS,
    RunWork,
    TrainingSpeed,
    is_batch_size,
    quiet,
    run_work,
    training_speed,
)
from search.plan.model import Plan
from search.plan.record import study_record
from trainables import records
from trainables.config import RunConfig
from trainables.errors import DivergedError
from trainables.records import FLOAT32, MIXED, Precision
from trainables.registration.plugins import allow_code

if TYPE_CHECKING:
    import numpy as np

    from search.study.resources import Resources
    from trainables.data import Dataset
    from trainables.data.sharing import SharedData
    from trainables.engine.feeding import Placement

MOST_NETWORKS = 12
"""Networks that are timed: those with the largest share of the steps."""
LEAST_ROUNDS, MOST_ROUNDS, ROUND_SECONDS = 3, 19, 2.0
"""Timed epochs of each precision, and the time after which no further one begins."""


@dataclass(frozen=True)
class NetworkWork:
    """A network of a study, and how much it is trained.

    Args:
        key: what identifies it (see `RunWork.network`).
        title: the network in words.
        data: label of its data set.
        classes: number of classes of the data set.
        config: a run, as plain values that can be sent to a worker.
        steps: training in the whole study, in steps of plain training.
        images: evaluated images in the whole study.
    """

    key: str
    title: str
    data: str
    classes: int
    config: dict[str, Any]
    steps: float
    images: float


@dataclass(frozen=True)
class TimedNetwork:
    """Speed of a network in both precisions.

    Args:
        float32: its speed in float32.
        mixed: its speed in mixed precision, or None if it cannot be trained so.
        fault: why not, in words.
    """

    float32: TrainingSpeed
    mixed: TrainingSpeed | None
    fault: str = ""

    def speed(self, precision: Precision) -> TrainingSpeed:
        """Return the speed in a precision; in float32 if the network has no other."""
        return self.mixed if precision == MIXED and self.mixed else self.float32


def network_works(plan: Plan, data: Mapping[str, Dataset]) -> list[NetworkWork]:
    """Return the networks that a study trains, the most trained first.

    A searched batch size is timed at both ends and in the middle of its range.

    Args:
        plan: the plan.
        data: its data sets by label.

    >>> from search.plan.builder import make_plan
    >>> from search.study.loading import load_study
    >>> plan = make_plan(load_study("quickstart"))
    >>> [work.title for work in network_works(plan, {"": plan.sources[""].load()})]
    ['resnet8, batch 32']
    """
    record = study_record(plan)
    positions = (0.5, 0.0, 1.0) if any(map(is_batch_size, plan.nuisance)) else (0.5,)
    found: dict[str, NetworkWork] = {}
    for arm, planned in zip(plan.arms, record.arms, strict=True):
        runs, label = record.full_runs_of(planned) / len(positions), arm.condition.data
        for position in positions:
            added = _network_work(run_work(plan, arm, data, position), label, len(data[label].class_names), runs)
            if before := found.get(added.key):
                added = replace(added, steps=before.steps + added.steps, images=before.images + added.images)
            found[added.key] = added
    return sorted(found.values(), key=lambda work: -work.steps)


def _network_work(work: RunWork, label: str, classes: int, runs: float) -> NetworkWork:
    """Return the network of a run, with the work of that many such runs."""
    config = work.config
    on = f" on {label}" if label else ""
    return NetworkWork(
        key=work.network,
        title=f"{config.model.name}, batch {config.batch_size}{on}",
        data=label,
        classes=classes,
        config=config.model_dump(mode="json"),
        steps=runs * work.steps,
        images=runs * work.images,
    )


def time_shared(
    works: Sequence[NetworkWork], shared: Mapping[str, SharedData], resources: Resources, code: tuple[str, ...]
) -> dict[str, TimedNetwork]:
    """Time networks in a worker.

    Args:
        works: the networks.
        shared: the data sets by label, as they are sent to workers.
        resources: resources of a run.
        code: what the user allowed to run.
    """
    allow_code(*code)
    return time_networks(works, {work.data: shared[work.data].open() for work in works}, resources)


def time_networks(
    works: Sequence[NetworkWork], arrays: Mapping[str, Mapping[str, np.ndarray]], resources: Resources
) -> dict[str, TimedNetwork]:
    """Time networks in both precisions in this process; return their speeds by `NetworkWork.key`.

    Args:
        works: the networks.
        arrays: the data sets by label, as returned by `Dataset.arrays`.
        resources: resources of a run.

    Raises:
        InputError: a network does not fit the images.
        DivergedError: the loss is not finite even in float32.
    """
    from trainables.engine.feeding import Placement

    placement = Placement(resources.data, resources.gpus)
    with quiet():
        return {work.key: _timed(work, arrays[work.data], placement, resources.cpus) for work in works}


def _timed(work: NetworkWork, arrays: Mapping[str, np.ndarray], placement: Placement, threads: int) -> TimedNetwork:
    """Train a network in both precisions in turns, so that other work on the machine slows down both."""
    one = _Timing(work, FLOAT32, arrays, placement, threads)
    one.train()
    try:
        other = _Timing(work, MIXED, arrays, placement, threads)
        other.train()
    except Exception as error:  # any failure means that mixed precision cannot be used
        one.train()
        return TimedNetwork(one.speed(), None, _fault(error))
    started = time.perf_counter()
    for number in range(MOST_ROUNDS):
        if number >= LEAST_ROUNDS and time.perf_counter() - started > ROUND_SECONDS:
            break
        one.train()
        try:
            other.train()
        except DivergedError as error:
            return TimedNetwork(one.speed(), None, _fault(error))
    return TimedNetwork(one.speed(), other.speed())


def _fault(error: Exception) -> str:
    if isinstance(error, DivergedError):
        return "its loss was not finite in the first steps"
    return f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]


class _Timing:
    """Short epochs of a network in one precision; the first one includes building the network.

    Validation images are trained on as well, so that few images are evaluated after each epoch.
    """

    def __init__(
        self,
        work: NetworkWork,
        precision: Precision,
        arrays: Mapping[str, np.ndarray],
        placement: Placement,
        threads: int,
    ) -> None:
        from trainables.backends.selection import backend
        from trainables.engine.classifier import Classifier

        config = RunConfig.model_validate(work.config)
        backend.configure(threads=threads, deterministic=config.deterministic)
        epochs = 1 + MOST_ROUNDS
        length = {"epochs": epochs, "steps": epochs * TIMED_STEPS, "warm_up": 0.0}
        short = config.model_copy(update={**length, "full_data": True, "precision": precision})
        self._engine = Classifier(short, arrays, work.classes, placement)
        self._epochs: list[dict[str, float]] = []

    def train(self) -> None:
        """Train an epoch.

        Raises:
            DivergedError: the loss is not finite.
        """
        self._epochs.append(self._engine.train_epoch())

    def speed(self) -> TrainingSpeed:
        """Return the median speed of all epochs but the first one, or its own if there is no other."""
        first, *others = self._epochs
        speeds = [training_speed(self._engine, first[records.SECONDS], metrics) for metrics in others or [first]]
        return TrainingSpeed(
            step_seconds=median(speed.step_seconds for speed in speeds),
            image_seconds=median(speed.image_seconds for speed in speeds),
            build_seconds=median(speed.build_seconds for speed in speeds),
            state_bytes=self._engine.state_bytes,
        )
