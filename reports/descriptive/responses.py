"""Which values: what searched dimensions do to a method's gain at shared points, and best points at the edge."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from trainables.records import COMPLETED, SEARCH, SELECTION, ArmRecord

EDGE = 0.1
"""The outer part of a range that counts as its edge, as a share of its length on its own scale."""
BEST = 3
"""How many of an arm's best runs are looked at."""
TREND_FROM = 8
"""Runs from which a rank correlation is given."""


@dataclass(frozen=True)
class Response:
    """What one searched dimension of an arm does, over the arm's search runs of full length.

    Args:
        arm: the arm.
        dimension: its name.
        own: whether it is the method's own, rather than one that all arms share.
        values: the dimension's values, one a run.
        gains: float (n,): what the run is worth minus what the reference's run at the same shared point is, higher is
            better; of the reference itself, and of dimensions that only adaptive trials share, what the run is worth.
        paired: whether the gains are such differences.
        trend: Spearman's rank correlation of value and gain, None for choices and for few runs.
    """

    arm: ArmRecord
    dimension: str
    own: bool
    values: tuple[Any, ...]
    gains: np.ndarray
    paired: bool
    trend: float | None


@dataclass(frozen=True)
class Edge:
    """A range whose end may be too near.

    Args:
        arm: the arm.
        dimension: its name.
        end: `low` or `high`.
        limit: the end of the range.
        runs: how many of the arm's best runs lie near it.
        best: of how many.
    """

    arm: ArmRecord
    dimension: str
    end: str
    limit: float
    runs: int
    best: int


def full_length(study: StudyData, arm: ArmRecord) -> pd.DataFrame:
    """Return an arm's search runs that were trained to the end, with a column `quality`, higher is better."""
    runs = study.runs_of(SEARCH, arm.condition, arm.method)
    runs = runs[(runs["outcome"] == COMPLETED) & runs[SELECTION].notna()]
    sign = 1.0 if study.plan.higher_is_better else -1.0
    return runs.assign(quality=sign * runs[SELECTION].astype(float))


def responses(study: StudyData, arm: ArmRecord) -> list[Response]:
    """Return the response to every searched dimension of an arm that took more than one value."""
    runs = full_length(study, arm)
    reference = study.plan.arm(arm.condition, study.plan.reference(arm.condition) or "")
    paired = reference is not None and reference.name != arm.name
    if paired and reference is not None:
        shared = full_length(study, reference)
        other = shared[shared["index"] % study.plan.trials_per_arm < study.plan.designed].set_index("index")["quality"]
        runs = runs.assign(quality=runs["quality"] - runs["index"].map(other)).dropna(subset="quality")
    found = []
    for dimension in arm.spaces:
        known = [(run[dimension], gain) for run, gain in zip(runs["searched"], runs["quality"], strict=True)
                 if dimension in run]  # fmt: skip
        values = tuple(value for value, _ in known)
        gains = np.array([gain for _, gain in known], dtype=float)
        if len(set(map(str, values))) > 1:
            own = reference is None or dimension not in reference.spaces
            found.append(Response(arm, dimension, own, values, gains, paired, _trend(values, gains)))
    return found


def _trend(values: tuple[Any, ...], gains: np.ndarray) -> float | None:
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numeric or len(values) < TREND_FROM or np.ptp(gains) == 0:
        return None
    return float(pd.Series(values).corr(pd.Series(gains), method="spearman"))


def edges(study: StudyData, arm: ArmRecord) -> list[Edge]:
    """Return the ranges near one end of which most of an arm's best runs lie."""
    runs = full_length(study, arm).nlargest(BEST, "quality")
    found = []
    for dimension, space in arm.spaces.items():
        if isinstance(space, list) or len(runs) < BEST or space["low"] == space["high"]:
            continue
        places = np.array([place(space, run[dimension]) for run in runs["searched"] if dimension in run])
        for end, near in (("low", places <= EDGE), ("high", places >= 1 - EDGE)):
            if near.sum() >= 2:
                found.append(Edge(arm, dimension, end, space[end], int(near.sum()), len(runs)))
    return found


def place(space: Mapping[str, Any], value: float) -> float:
    """Return where a value lies in a range, from 0 to 1 on the range's own scale."""
    low, high = space["low"], space["high"]
    if space.get("log"):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
