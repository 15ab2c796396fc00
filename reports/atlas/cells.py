"""Cells of the atlas: the effect of one method under one condition, and what a baseline run reveals beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.data.frames import StudyData
from reports.inference.verdicts import Verdict, judge
from trainables import records
from trainables.records import COMPLETED, CONFIRM

DATA_NAMES = {"digits": "digits", "fashion": "Fashion-MNIST", "cifar": "CIFAR-10"}
MODEL_NAMES = {"cnn": "small CNN", "resnet8": "ResNet-8", "vgg11": "VGG-11"}
"""Displayed names of data sets and networks by the words of a study's name, `atlas_DATA_MODEL`."""


@dataclass(frozen=True)
class Baseline:
    """What runs of a condition's reference show, means over their seeds.

    Args:
        accuracy: validation accuracy after the last epoch, a fraction.
        gap: training accuracy minus validation accuracy after the last epoch, a fraction.
        images_per_class: training images per class.
        passes: epochs before the learning rate falls for the first time.
        label_noise: fraction of wrong labels.
        steps: training steps of a run.
    """

    accuracy: float
    gap: float
    images_per_class: float
    passes: float
    label_noise: float
    steps: float


@dataclass(frozen=True)
class Cell:
    """One claim of the atlas.

    Args:
        study: name of the study.
        data, model: displayed names.
        values: the factors of the condition.
        verdict: the claim's verdict in its study.
        baseline: what the condition's reference shows.
    """

    study: str
    data: str
    model: str
    values: Mapping[str, Any]
    verdict: Verdict
    baseline: Baseline

    @property
    def method(self) -> str:
        """Display name of the method."""
        return self.verdict.method

    @property
    def condition(self) -> str:
        """The factors in words: `400 images, long, 20 % wrong labels, strong augmentation`."""
        return ", ".join(_phrase(name, value) for name, value in self.values.items())

    @property
    def place(self) -> str:
        """Data set, network and condition in words."""
        return f"{self.data}, {self.model}, {self.condition}"

    @property
    def effect(self) -> float:
        """Estimated effect in points; NaN without pairs."""
        return 100 * self.verdict.tuned.mean if self.verdict.tuned else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the effect in points; NaN without one."""
        found = self.verdict.tuned.interval if self.verdict.tuned else None
        return (100 * found.low, 100 * found.high) if found else (float("nan"), float("nan"))


def cells_of(study: StudyData) -> list[Cell]:
    """Return the cells of a study, one per contrast of its plan."""
    _, data, model, *_ = study.plan.name.split("_")
    baselines = {condition.name: _baseline(study, condition.name) for condition in study.plan.conditions}
    return [
        Cell(
            study=study.plan.name,
            data=DATA_NAMES.get(data, data),
            model=MODEL_NAMES.get(model, model),
            values=study.plan.condition(verdict.condition).values,
            verdict=verdict,
            baseline=baselines[verdict.condition],
        )
        for verdict in judge(study)
    ]


def against_reference(cells: Iterable[Cell]) -> list[Cell]:
    """Return the cells that compare a method with plain training."""
    return [cell for cell in cells if cell.verdict.reference == "baseline"]


def _phrase(name: str, value: Any) -> str:
    if name == "images":
        return f"{value} images"
    if name == "label_noise":
        return f"{100 * value:g} % wrong labels" if value else "clean labels"
    return f"{value} augmentation" if name == "augmentation" else str(value)


def _baseline(study: StudyData, condition: str) -> Baseline:
    """Return what the reference of a condition shows, NaN where it has no run yet."""
    runs = study.runs_of(CONFIRM, condition, study.plan.reference(condition) or "")
    runs = runs[runs["outcome"] == COMPLETED]
    last = study.curves_of(runs["run"]).groupby("run", observed=True).last()
    if runs.empty or last.empty:
        return Baseline(*[float("nan")] * 6)
    settings = runs["parameters"].iloc[0]
    facts = study.data_of(condition)
    images = facts.images * (1 - settings["validation_fraction"]) * settings["train_fraction"] if facts else np.nan
    fall = settings["milestones"][0] / settings["milestones_of"]
    return Baseline(
        accuracy=float(last[records.VALIDATION_ACCURACY].mean()),
        gap=float((last[records.TRAIN_ACCURACY] - last[records.VALIDATION_ACCURACY]).mean()),
        images_per_class=images / max(1, len(facts.class_names) if facts else 1),
        passes=float(settings["epochs"] * fall),
        label_noise=float(settings["label_noise"]),
        steps=images * settings["epochs"] / settings["batch_size"],
    )
