"""How long a study takes and how much disk it fills: a timed step of each network, or a given throughput."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.plan.model import Arm, Plan
from trainables import records

if TYPE_CHECKING:
    from trainables.config import RunConfig
    from trainables.data import Dataset

TIMED_STEPS = 12
RUN_SECONDS = 1.0
"""What a run costs beside its epochs: its start on a worker that is up, its records, its checkpoint."""
START_SECONDS = 30.0
"""What a study costs before its first run: Ray, and TensorFlow on every worker."""
EVALUATION = 1 / 3
"""Cost of an image in evaluation, of one in plain training: forward 1, backward 2."""
REPORT_BYTES = 1500
RUN_BYTES = 12_000
"""On disk, of an epoch and of a run: in the journal and in MLflow's store together."""
EXAMPLE_BYTES = 1.5
"""Of a test example of a confirmation run: its correctness and its loss, compressed."""


@dataclass(frozen=True)
class Speed:
    """How fast a network trains here.

    Args:
        step_seconds: of one step of plain training.
        image_seconds: of one image in evaluation.
        build_seconds: once in each worker, of building and compiling.
        state_bytes: of a checkpoint.
    """

    step_seconds: float
    image_seconds: float
    build_seconds: float
    state_bytes: int


@dataclass(frozen=True)
class ArmCost:
    """What one run of an arm takes.

    Args:
        seconds: a full run.
        reports: epochs that it reports.
        state_bytes: of its checkpoint.
    """

    seconds: float
    reports: int
    state_bytes: int


@dataclass(frozen=True)
class Costs:
    """What a study takes.

    Args:
        arms: by arm.
        build_seconds: of all distinct networks, once in each worker.
        test_images: size of the test set.
        slots: runs at once.
    """

    arms: Mapping[str, ArmCost]
    build_seconds: float
    test_images: int
    slots: int

    def hours(self, plan: Plan, trials: int, seeds: int) -> float:
        """Return the wall time with so many trials of each arm and seeds of each point, if nothing stops early."""
        points = plan.points * plan.searches
        work = sum(
            (self.arms[arm.name].seconds + RUN_SECONDS) * (trials * plan.searches * arm.searched + points * seeds)
            for arm in plan.arms
        )
        return (START_SECONDS + self.build_seconds + work / self.slots) / 3600

    def disk_bytes(self, plan: Plan) -> float:
        """Return what the study's folder will hold at its end, and two checkpoints of every run at once."""
        points = plan.points * plan.searches * plan.study.confirm.seeds
        total = 2.0 * self.slots * max(cost.state_bytes for cost in self.arms.values())
        for arm in plan.arms:
            runs = plan.trials * plan.searches * arm.searched + points
            total += runs * (RUN_BYTES + self.arms[arm.name].reports * REPORT_BYTES)
            total += points * self.test_images * EXAMPLE_BYTES
        return total


def timed(plan: Plan, data: Dataset) -> Costs:
    """Time a few steps of every network of a study, on this machine and in this process.

    Raises:
        InputError: a network does not fit the images.
    """
    from trainables.backends.selection import backend

    resources = plan.study.resources
    backend.configure(threads=resources.cpus, deterministic=True)
    arrays, log = data.arrays(), logging.getLogger("trainables")
    before = log.level
    log.setLevel(logging.ERROR)  # a dozen steps may well end far above chance, which says nothing
    try:
        return _costs(plan, data, lambda config: _measure(config, arrays, len(data.class_names)))
    finally:
        log.setLevel(before)


def at_throughput(plan: Plan, data: Dataset, images_per_second: float) -> Costs:
    """Return what a study takes where plain training does so many images a second, whatever the network."""

    def speed(config: RunConfig) -> Speed:
        return Speed(config.batch_size / images_per_second, EVALUATION / images_per_second, 0.0, 0)

    return _costs(plan, data, speed)


def _costs(plan: Plan, data: Dataset, speed: Callable[[RunConfig], Speed]) -> Costs:
    from trainables.data.selection import select

    arrays = data.arrays()
    speeds: dict[str, Speed] = {}
    arms: dict[str, ArmCost] = {}
    for arm in plan.arms:
        config = _plain(plan, arm)
        kind = (config.model, config.batch_size, config.augmentation, config.precision, config.classes)
        key = repr((*kind, config.optimizer.structure()))
        if key not in speeds:
            speeds[key] = speed(config)
        chosen = select(arrays, config, len(data.class_names))
        steps = config.steps or config.epochs * max(len(chosen.train) // config.batch_size, 1)
        evaluated = len(chosen.validation) + min(len(chosen.train), len(chosen.validation))
        seconds = steps * arm.cost * speeds[key].step_seconds + config.epochs * evaluated * speeds[key].image_seconds
        arms[arm.name] = ArmCost(seconds, config.epochs, speeds[key].state_bytes)
    built = sum(one.build_seconds for one in speeds.values())
    return Costs(arms, built, len(data.test_images), _slots(plan))


def _plain(plan: Plan, arm: Arm) -> RunConfig:
    """Return an arm's configuration without its method, at the middle of what is searched."""
    from spaces.design import from_unit
    from trainables.methods.baseline import Baseline

    middle: dict[str, Any] = {name: from_unit(dist, 0.5) for name, dist in {**plan.nuisance, **arm.space}.items()}
    return plan.run_config(arm, middle, *plan.search_seeds(0)).model_copy(update={"method": Baseline()})


def _measure(config: RunConfig, arrays: Mapping[str, Any], classes: int) -> Speed:
    """Train an epoch of a few steps twice: the first one builds, the second one is timed."""
    from trainables.engine.classifier import Classifier

    short = config.model_copy(update={"epochs": 2, "steps": 2 * TIMED_STEPS, "warm_up": 0.0})
    engine = Classifier(short, arrays, classes)
    first, second = engine.train_epoch(), engine.train_epoch()
    batch = min(config.batch_size, engine.images)
    step = batch / second[records.IMAGES_PER_SECOND]
    evaluation = second[records.SECONDS] - TIMED_STEPS * step
    return Speed(
        step_seconds=step,
        image_seconds=evaluation / engine.evaluated,
        build_seconds=max(first[records.SECONDS] - second[records.SECONDS], 0.0),
        state_bytes=engine.state_bytes,
    )


def _slots(plan: Plan) -> int:
    """Return how many runs fit on this machine at once."""
    resources = plan.study.resources
    fit = max((os.cpu_count() or 1) // resources.cpus, 1)
    return min(fit, resources.concurrency or fit)
