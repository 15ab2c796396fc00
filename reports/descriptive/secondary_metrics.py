"""Secondary metrics: log loss, calibration error, class-balanced metrics, and accuracy per class."""

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
class SecondaryEffect:
    """Paired difference of another test metric, with each side at its own best setting.

    Args:
        verdict: the claim that it accompanies.
        metric: one of `records.TEST_METRICS`.
        effect: method minus reference, in the unit of the metric; the sign is not changed.
        value, reference: means over seeds.
    """

    verdict: Verdict
    metric: str
    effect: Estimate
    value: float
    reference: float

    @property
    def better(self) -> bool:
        """Whether the mean favours the method."""
        return records.as_maximized(self.metric, self.effect.mean) > 0


@dataclass(frozen=True)
class ClassAccuracies:
    """Accuracy on the test images of each of C classes.

    Args:
        verdict: the claim that they accompany.
        accuracy, reference: float (C,), fractions, means over seeds.
    """

    verdict: Verdict
    accuracy: np.ndarray
    reference: np.ndarray


def secondary_effects(study: StudyData, verdicts: Sequence[Verdict]) -> list[SecondaryEffect]:
    """Return the differences of all other test metrics for every claim with pairs."""
    return [found for verdict in verdicts for found in _of_claim(study, verdict)]


def _of_claim(study: StudyData, verdict: Verdict) -> list[SecondaryEffect]:
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
            effect = over_seeds(differences.to_numpy(), study.plan.open_ended)
            found.append(SecondaryEffect(verdict, metric, effect, *means))
    return found


def chosen_runs(study: StudyData, verdict: Verdict) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return the runs of method and reference at their chosen points, with the seeds that both share.

    With several searches, the runs at the chosen points of all searches are included. None without pairs.
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


def class_accuracies(study: StudyData, verdicts: Sequence[Verdict]) -> list[ClassAccuracies]:
    """Return the accuracies per class for every claim whose runs recorded predictions of single test images."""
    found = []
    for verdict in verdicts:
        pair = chosen_runs(study, verdict)
        sides = [] if pair is None else [_per_class(study, runs) for runs in pair]
        if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
            found.append(ClassAccuracies(verdict, sides[0], sides[1]))
    return found


def _per_class(study: StudyData, runs: pd.DataFrame) -> np.ndarray | None:
    """Return the accuracy on each class, float (C,), or None if labels or predictions of single images are unknown."""
    correct = study.correctness(runs["run"].tolist())
    data = study.data_of(runs["condition"].iloc[0]) if len(runs) else None
    every = data.unpacked_test_labels() if data else None
    if every is None or not correct or len(correct) < len(runs):
        return None
    classes = runs["parameters"].iloc[0].get("classes")
    labels = every[every < classes] if classes else every
    if any(len(found) != len(labels) for found in correct.values()):
        return None
    mean = np.mean(list(correct.values()), axis=0)
    count = np.bincount(labels)
    return np.bincount(labels, weights=mean) / np.where(count, count, np.nan)


def class_names(study: StudyData, condition: str, count: int) -> list[str]:
    """Return the names of the first `count` classes of a condition, with numbers for unnamed classes."""
    data = study.data_of(condition)
    names = data.class_names if data else ()
    return [*names, *(str(number) for number in range(len(names), count))][:count]
