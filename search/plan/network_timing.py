"""Timing of networks: which ones a study trains, how much, and how fast they are, in one precision or in both.

Timed are plain training steps of each distinct network and batch size, in one process; of both precisions in turns.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from search.plan.cost_estimate import RunWork, StudyCosts, TrainingSpeed, costs, is_batch_size, run_work
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

TIMED_STEPS = 12
"""Steps of an epoch that is timed."""
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


def measure_costs(plan: Plan, data: Mapping[str, Dataset]) -> StudyCosts:
    """Return the costs of a study from a few timed steps of each network, on this machine and in this process.

    Args:
        plan: the plan.
        data: its data sets by label.

    Raises:
        InputError: a network does not fit the images.
        DivergedError: the loss is not finite.
    """

    def speed(work: RunWork, own: Dataset) -> TrainingSpeed:
        timing = _Timing(work.config, own.arrays(), len(own.class_names), plan.study.resources)
        timing.train()
        timing.train()
        return timing.speed()

    with _quiet():
        return costs(plan, data, speed)


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
    with _quiet():
        return {work.key: _timed(work, arrays[work.data], resources) for work in works}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings about the accuracy, which mean nothing after a dozen steps."""
    log = logging.getLogger("trainables")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _timed(work: NetworkWork, arrays: Mapping[str, np.ndarray], resources: Resources) -> TimedNetwork:
    """Train a network in both precisions in turns, so that other work on the machine slows down both."""
    config = RunConfig.model_validate(work.config)
    float32, mixed = (config.model_copy(update={"precision": precision}) for precision in (FLOAT32, MIXED))
    one = _Timing(float32, arrays, work.classes, resources)
    one.train()
    try:
        other = _Timing(mixed, arrays, work.classes, resources)
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
    """Short epochs of a network; the first one includes building the network.

    Validation images are trained on as well, so that few images are evaluated after each epoch.
    """

    def __init__(self, config: RunConfig, arrays: Mapping[str, np.ndarray], classes: int, resources: Resources) -> None:
        from trainables.backends.selection import backend
        from trainables.engine.classifier import Classifier
        from trainables.engine.feeding import Placement

        backend.configure(threads=resources.cpus, deterministic=config.deterministic)
        epochs = 1 + MOST_ROUNDS
        length = {"epochs": epochs, "steps": epochs * TIMED_STEPS, "warm_up": 0.0}
        short = config.model_copy(update={**length, "full_data": True})
        self._engine = Classifier(short, arrays, classes, Placement(resources.data, resources.gpus))
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
        batch = min(self._engine.config.batch_size, self._engine.images)
        steps = [batch / epoch[records.IMAGES_PER_SECOND] for epoch in others or [first]]
        totals = [epoch[records.SECONDS] for epoch in others or [first]]
        evaluations = [total - TIMED_STEPS * step for total, step in zip(totals, steps, strict=True)]
        return TrainingSpeed(
            step_seconds=median(steps),
            image_seconds=median(evaluations) / self._engine.evaluated,
            build_seconds=max(first[records.SECONDS] - median(totals), 0.0),
            state_bytes=self._engine.state_bytes,
        )
