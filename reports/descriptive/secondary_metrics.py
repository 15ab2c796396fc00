"""Is it better in other ways: log loss, calibration, balanced figures, accuracy per class. Descriptive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from reports.inference.verdicts import Verdict
from reports.statistics.estimators import Estimate, over_seeds
from trainables import records


@dataclass(frozen=True)
class OtherEffect:
    """A paired difference of another figure of the test images, each side at its own best setting.

    Args:
        verdict: the claim that it stands beside.
        metric: a key of `records.TEST_METRICS`.
        effect: method minus reference, in the metric's own unit.
        value, reference: means over seeds.
    """

    verdict: Verdict
    metric: str
    effect: Estimate
    value: float
    reference: float

    @property
    def better(self) -> bool:
        """Whether the method is the better side, by its mean."""
        return records.as_maximized(self.metric, self.effect.mean) > 0


@dataclass(frozen=True)
class ClassEffect:
    """Differences of the accuracy on the test images of each class, method minus reference.

    Args:
        verdict: the claim that they stand beside.
        accuracy, reference: float (C,), fractions, means over seeds.
    """

    verdict: Verdict
    accuracy: np.ndarray
    reference: np.ndarray


def other_effects(study: StudyData, verdicts: Sequence[Verdict]) -> list[OtherEffect]:
    """Return every other metric of every claim that has pairs with it."""
    return [found for verdict in verdicts for found in _of_claim(study, verdict)]


def _of_claim(study: StudyData, verdict: Verdict) -> list[OtherEffect]:
    pair = chosen_runs(study, verdict)
    if pair is None:
        return []
    own, other = (runs.groupby("seed_index")[_present(runs)].mean() for runs in pair)
    found = []
    for metric in own.columns.intersection(other.columns).drop(verdict.metric, errors="ignore"):
        differences = (own[metric] - other[metric]).dropna()
        if len(differences):
            kept = differences.index
            means = (float(side.loc[kept, metric].mean()) for side in (own, other))
            found.append(OtherEffect(verdict, metric, over_seeds(differences.to_numpy()), *means))
    return found


def chosen_runs(study: StudyData, verdict: Verdict) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the runs that a claim rests on, of the method and of its reference: the seeds that both have.

    Of several searches, the runs at the chosen points of all.
    """
    if not verdict.points:
        return None
    sides = []
    for method, chosen in zip((verdict.method, verdict.reference), zip(*verdict.points, strict=True), strict=True):
        runs = study.runs_of(records.CONFIRM, verdict.condition, method)
        sides.append(runs[runs["index"].isin(chosen) & runs[verdict.metric].notna()])
    own, other = sides
    seeds = set(own["seed_index"]) & set(other["seed_index"])
    return own[own["seed_index"].isin(seeds)], other[other["seed_index"].isin(seeds)]


def _present(runs: pd.DataFrame) -> list[str]:
    return [metric for metric in records.TEST_METRICS if metric in runs and runs[metric].notna().any()]


def class_effects(study: StudyData, verdicts: Sequence[Verdict]) -> list[ClassEffect]:
    """Return the accuracies per class of every claim whose runs kept single test images."""
    found = []
    for verdict in verdicts:
        pair = chosen_runs(study, verdict)
        sides = [] if pair is None else [_per_class(study, runs) for runs in pair]
        if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
            found.append(ClassEffect(verdict, sides[0], sides[1]))
    return found


def _per_class(study: StudyData, runs: pd.DataFrame) -> np.ndarray | None:
    """Return the accuracy on each class, (C,), or None where labels or single images are not known."""
    correct = study.correctness(runs["run"].tolist())
    if study.test_labels is None or not correct or len(correct) < len(runs):
        return None
    classes = runs["parameters"].iloc[0].get("classes")
    labels = study.test_labels[study.test_labels < classes] if classes else study.test_labels
    if any(len(found) != len(labels) for found in correct.values()):
        return None
    mean = np.mean(list(correct.values()), axis=0)
    count = np.bincount(labels)
    return np.bincount(labels, weights=mean) / np.where(count, count, np.nan)


def class_names(study: StudyData, count: int) -> list[str]:
    """Return the names of the first classes; numbers where the study noted none."""
    names = study.facts.data.class_names if study.facts.data else ()
    return [*names, *(str(number) for number in range(len(names), count))][:count]
