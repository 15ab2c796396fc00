"""Cost estimate of a study: wall time and disk space, from timed steps of each network or from a given throughput."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.plan.model import Arm, Plan
from trainables.devices.framework import visible_gpus
from trainables.records import PlanRecord

if TYPE_CHECKING:
    from trainables.config import RunConfig
    from trainables.data import Dataset

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

    def seconds(self, steps: float, images: float) -> float:
        """Return how long training steps and evaluated images take."""
        return steps * self.step_seconds + images * self.image_seconds


@dataclass(frozen=True)
class RunWork:
    """Work of one full run of an arm.

    Args:
        config: its configuration without the method, with the batch size that it has.
        steps: training, in steps of plain training.
        images: evaluated images.
    """

    config: RunConfig
    steps: float
    images: float

    @property
    def network(self) -> str:
        """What runs of the same speed have in common: network, images, batch size, augmentation, compilation, ..."""
        config = self.config
        kind = (config.model, config.batch_size, config.augmentation, config.precision, config.classes)
        return repr((config.data, *kind, config.optimizer.structure(), config.compile, config.deterministic))


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


def costs_at_throughput(plan: Plan, data: Mapping[str, Dataset], images_per_second: float) -> StudyCosts:
    """Return the costs of a study from the throughput of plain training, the same for every network."""

    def speed(work: RunWork, data: Dataset) -> TrainingSpeed:
        return TrainingSpeed(work.config.batch_size / images_per_second, EVALUATION_COST / images_per_second, 0.0, 0)

    return costs(plan, data, speed)


def costs(plan: Plan, data: Mapping[str, Dataset], speed: Callable[[RunWork, Dataset], TrainingSpeed]) -> StudyCosts:
    """Return the costs of a study from the speed of each network.

    Args:
        plan: the plan.
        data: its data sets by label.
        speed: returns the speed of a network, of which it gets a run; called once for each.
    """
    speeds: dict[str, TrainingSpeed] = {}
    arms: dict[str, ArmCost] = {}
    for arm in plan.arms:
        work, own = run_work(plan, arm, data), data[arm.condition.data]
        if work.network not in speeds:
            speeds[work.network] = speed(work, own)
        found = speeds[work.network]
        arms[arm.name] = ArmCost(
            found.seconds(work.steps, work.images), work.config.epochs, found.state_bytes, len(own.test_images)
        )
    built = sum(one.build_seconds for one in speeds.values())
    return StudyCosts(arms, built, _slots(plan))


def run_work(plan: Plan, arm: Arm, data: Mapping[str, Dataset], batch_position: float = 0.5) -> RunWork:
    """Return the work of a full run of an arm, without its method, at the center of the search space.

    Args:
        plan: the plan.
        arm: the arm.
        data: the data sets of the study by label.
        batch_position: where a searched batch size is taken from its range, from 0 to 1.
    """
    from spaces.design import from_unit
    from trainables.data.selection import select
    from trainables.engine.evaluated import measured_images
    from trainables.methods.baseline import Baseline

    values: dict[str, Any] = {
        name: from_unit(dist, batch_position if is_batch_size(name) else 0.5)
        for name, dist in {**plan.nuisance, **arm.space}.items()
    }
    config = plan.run_config(arm, values, *plan.search_seeds(0))
    own = data[arm.condition.data]
    chosen = select(own.arrays(), config, len(own.class_names))
    batch = min(config.batch_size, len(chosen.train))
    validated = len(chosen.validation)
    evaluated = validated + measured_images(min(len(chosen.train), validated), validated)
    return RunWork(
        config=config.model_copy(update={"method": Baseline(), "batch_size": batch}),
        steps=arm.cost * (config.steps or config.epochs * (len(chosen.train) // batch)),
        images=config.epochs * evaluated,
    )


def is_batch_size(name: str) -> bool:
    """Return whether a searched dimension is the batch size, of all runs or of those with one model."""
    return name.rpartition(".")[2] == "batch_size"


def _slots(plan: Plan) -> int:
    """Return the number of runs that fit on this machine at once; at least one, which another machine may train."""
    resources = plan.study.resources
    gpus = visible_gpus() if resources.gpus else 0
    fit = max(resources.fitting(os.cpu_count() or 1, gpus), 1)
    return min(fit, resources.concurrency or fit)
