"""Cost estimate of a study: wall time and disk space, from timed steps of each network or from a given throughput."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.plan.model import Arm, Plan
from trainables import records
from trainables.records import PlanRecord

if TYPE_CHECKING:
    from trainables.config import RunConfig
    from trainables.data import Dataset
    from trainables.engine.feeding import Placement

TIMED_STEPS = 12
"""Steps of an epoch that is timed."""
RUN_SECONDS = 1.0
"""Overhead of a run in addition to its epochs: start on a running worker, records and checkpoints."""
START_SECONDS = 30.0
"""Overhead of a study before its first run: Ray, and TensorFlow on every worker."""
EVALUATION_COST = 1 / 3
"""Cost of evaluating an image relative to training on it: a forward pass costs 1, a backward pass 2."""
REPORT_BYTES = 1500
"""Disk space of an epoch, in the journal and in MLflow's store together."""
RUN_BYTES = 12_000
"""Disk space of a run, in the journal and in MLflow's store together."""
EXAMPLE_BYTES = 1.5
"""Disk space of a test example of a confirmation run: correctness and loss, compressed."""


@dataclass(frozen=True)
class TrainingSpeed:
    """Training speed of a network on this machine.

    Args:
        step_seconds: time of one step of plain training.
        image_seconds: time of evaluating one image.
        build_seconds: time of building and compiling, once per worker.
        state_bytes: size of a checkpoint.
    """

    step_seconds: float
    image_seconds: float
    build_seconds: float
    state_bytes: int


@dataclass(frozen=True)
class ArmCost:
    """Cost of one run of an arm.

    Args:
        seconds: duration of a full run.
        reports: number of epochs that it reports.
        state_bytes: size of its checkpoint.
        test_images: size of its test set.
    """

    seconds: float
    reports: int
    state_bytes: int
    test_images: int


@dataclass(frozen=True)
class StudyCosts:
    """Costs of a study.

    Args:
        arms: cost of a run, by name of the arm.
        build_seconds: time of building all distinct networks, once per worker.
        slots: number of concurrent runs.
    """

    arms: Mapping[str, ArmCost]
    build_seconds: float
    slots: int

    def hours(self, plan: PlanRecord) -> float:
        """Return the wall time of a study without early stopping."""
        work = sum(
            self.arms[arm.name].seconds * plan.full_runs_of(arm)
            + RUN_SECONDS * (plan.trials_of(arm) + plan.most_confirmations)
            for arm in plan.arms
        )
        return (START_SECONDS + self.build_seconds + work / self.slots) / 3600

    def disk_bytes(self, plan: PlanRecord) -> float:
        """Return the final size of the study folder, including two checkpoints per concurrent run."""
        total = 2.0 * self.slots * max(cost.state_bytes for cost in self.arms.values())
        for arm in plan.arms:
            runs = plan.trials_of(arm) + plan.most_confirmations
            total += runs * (RUN_BYTES + self.arms[arm.name].reports * REPORT_BYTES)
            total += plan.most_confirmations * self.arms[arm.name].test_images * EXAMPLE_BYTES
        return total


def measure_costs(plan: Plan, data: Mapping[str, Dataset]) -> StudyCosts:
    """Return the costs of a study from a few timed steps of each network, on this machine and in this process.

    Args:
        plan: the plan.
        data: its data sets by label.

    Raises:
        InputError: a network does not fit the images.
    """
    from trainables.backends.selection import backend
    from trainables.engine.feeding import Placement

    resources = plan.study.resources
    backend.configure(threads=resources.cpus, deterministic=True)
    placement = Placement(resources.data, resources.gpus)
    log = logging.getLogger("trainables")
    before = log.level
    log.setLevel(logging.ERROR)  # after a dozen steps, warnings about the accuracy are meaningless
    try:
        return _costs(plan, data, lambda config, own: _measure(config, own, placement))
    finally:
        log.setLevel(before)


def costs_at_throughput(plan: Plan, data: Mapping[str, Dataset], images_per_second: float) -> StudyCosts:
    """Return the costs of a study from the throughput of plain training, the same for every network."""

    def speed(config: RunConfig, data: Dataset) -> TrainingSpeed:
        return TrainingSpeed(config.batch_size / images_per_second, EVALUATION_COST / images_per_second, 0.0, 0)

    return _costs(plan, data, speed)


def _costs(plan: Plan, data: Mapping[str, Dataset], speed: Callable[[RunConfig, Dataset], TrainingSpeed]) -> StudyCosts:
    from trainables.data.selection import select
    from trainables.engine.evaluated import measured_images

    speeds: dict[str, TrainingSpeed] = {}
    arms: dict[str, ArmCost] = {}
    for arm in plan.arms:
        config, own = _plain_config(plan, arm), data[arm.condition.data]
        kind = (config.model, config.batch_size, config.augmentation, config.precision, config.classes)
        key = repr((arm.condition.data, *kind, config.optimizer.structure()))
        if key not in speeds:
            speeds[key] = speed(config, own)
        chosen = select(own.arrays(), config, len(own.class_names))
        steps = config.steps or config.epochs * max(len(chosen.train) // config.batch_size, 1)
        validated = len(chosen.validation)
        evaluated = validated + measured_images(min(len(chosen.train), validated), validated)
        seconds = steps * arm.cost * speeds[key].step_seconds + config.epochs * evaluated * speeds[key].image_seconds
        arms[arm.name] = ArmCost(seconds, config.epochs, speeds[key].state_bytes, len(own.test_images))
    built = sum(one.build_seconds for one in speeds.values())
    return StudyCosts(arms, built, _slots(plan))


def _plain_config(plan: Plan, arm: Arm) -> RunConfig:
    """Return the configuration of an arm without its method, at the center of the search space."""
    from spaces.design import from_unit
    from trainables.methods.baseline import Baseline

    center: dict[str, Any] = {name: from_unit(dist, 0.5) for name, dist in {**plan.nuisance, **arm.space}.items()}
    return plan.run_config(arm, center, *plan.search_seeds(0)).model_copy(update={"method": Baseline()})


def _measure(config: RunConfig, data: Dataset, placement: Placement) -> TrainingSpeed:
    """Train two short epochs: the first one includes building the network, the second one is timed."""
    from trainables.engine.classifier import Classifier

    short = config.model_copy(update={"epochs": 2, "steps": 2 * TIMED_STEPS, "warm_up": 0.0})
    engine = Classifier(short, data.arrays(), len(data.class_names), placement)
    first, second = engine.train_epoch(), engine.train_epoch()
    batch = min(config.batch_size, engine.images)
    step = batch / second[records.IMAGES_PER_SECOND]
    evaluation = second[records.SECONDS] - TIMED_STEPS * step
    return TrainingSpeed(
        step_seconds=step,
        image_seconds=evaluation / engine.evaluated,
        build_seconds=max(first[records.SECONDS] - second[records.SECONDS], 0.0),
        state_bytes=engine.state_bytes,
    )


def _slots(plan: Plan) -> int:
    """Return the number of runs that fit on this machine at once."""
    resources = plan.study.resources
    fit = max((os.cpu_count() or 1) // resources.cpus, 1)
    return min(fit, resources.concurrency or fit)
