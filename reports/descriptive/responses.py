"""Responses: how searched values change a method's gain at shared points, and best points at the edge of a range."""

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
"""Share of a range, on its own scale, that counts as its edge."""
BEST = 3
"""Number of an arm's best runs that are examined."""
TREND_FROM = 8
"""Runs needed for a rank correlation."""


@dataclass(frozen=True)
class Response:
    """Response to one searched dimension of an arm, over the arm's search runs of full length.

    Args:
        arm: the arm.
        dimension: its name.
        own: whether the dimension belongs to the method rather than being shared by all arms.
        values: the dimension's values, one per run.
        gains: float (n,): quality of the run minus that of the reference's run at the same shared point, higher is
            better; for the reference itself, the quality of the run.
        paired: whether the gains are such differences.
        trend: Spearman's rank correlation of value and gain, None for choices and with few runs.
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
    """A searched range that may be too narrow at one end.

    Args:
        arm: the arm.
        dimension: its name.
        end: `low` or `high`.
        limit: the end of the range.
        runs: number of the arm's best runs near that end.
        best: number of best runs examined.
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
    """Return the ranges in which most of an arm's best runs lie near one end."""
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
    """Return the position of a value in a range, from 0 to 1 on the range's own scale."""
    low, high = space["low"], space["high"]
    if space.get("log"):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
