"""Responses to hyperparameters: gain of a method against each searched dimension, and best values at range edges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from trainables.records import COMPLETED, SEARCH, SELECTION, ArmRecord, is_number

EDGE = 0.1
"""Share of a range, on its own scale, that counts as its edge."""
BEST = 3
"""Number of best runs of an arm that are checked for values at the edge of a range."""
TREND_FROM = 8
"""Minimum number of runs for a rank correlation."""


@dataclass(frozen=True)
class Response:
    """Response of an arm to one searched dimension, over its n full-length search runs.

    Args:
        arm: the arm.
        dimension: name of the dimension.
        own: whether the dimension belongs to the method, rather than being shared with the reference.
        trials: index of each run among the arm's trials.
        values: value of the dimension in each run.
        gains: float (n,), selection metric of each run minus that of the reference's run at the same shared settings,
            signed so that higher is better; for the reference itself, its selection metric.
        paired: whether the gains are such differences.
        trend: Spearman's rank correlation of value and gain, None for choices and for fewer than `TREND_FROM` runs.
    """

    arm: ArmRecord
    dimension: str
    own: bool
    trials: tuple[int, ...]
    values: tuple[Any, ...]
    gains: np.ndarray
    paired: bool
    trend: float | None


@dataclass(frozen=True)
class RangeEdge:
    """End of a range near which most of an arm's best runs lie, so that the range may be too narrow.

    Args:
        arm: the arm.
        dimension: name of the dimension.
        end: `low` or `high`.
        limit: value of that end.
        runs: number of best runs near it.
        best: number of best runs that were checked.
    """

    arm: ArmRecord
    dimension: str
    end: str
    limit: float
    runs: int
    best: int


def full_length_runs(study: StudyData, arm: ArmRecord) -> pd.DataFrame:
    """Return the search runs of an arm that were trained to the end.

    The additional column `value` contains the selection metric, signed so that higher is better. `searched` contains
    only the values that have an effect.
    """
    runs = study.runs_of(SEARCH, arm.condition, arm.method)
    runs = runs[(runs["outcome"] == COMPLETED) & runs[SELECTION].notna()]
    effective = pd.Series([arm.effective(values) for values in runs["searched"]], index=runs.index, dtype=object)
    return runs.assign(value=study.plan.as_maximized(runs[SELECTION].astype(float)), searched=effective)


def responses(study: StudyData, arm: ArmRecord) -> list[Response]:
    """Return the response of an arm to every searched dimension with more than one value."""
    runs = full_length_runs(study, arm)
    reference = study.plan.reference_arm(arm.condition)
    paired = reference is not None and reference.name != arm.name
    if paired and reference is not None:
        shared = full_length_runs(study, reference)
        other = shared[shared["index"] % study.plan.trials_per_arm < study.plan.designed].set_index("index")["value"]
        runs = runs.assign(value=runs["value"] - runs["index"].map(other)).dropna(subset="value")
    found = []
    for dimension in arm.spaces:
        known = runs[np.array([dimension in values for values in runs["searched"]], dtype=bool)]
        trials, gains = tuple(known["index"]), known["value"].to_numpy(float)
        values = tuple(searched[dimension] for searched in known["searched"])
        if len(set(map(str, values))) > 1:
            own = reference is None or dimension not in reference.spaces
            found.append(Response(arm, dimension, own, trials, values, gains, paired, _trend(values, gains)))
    return found


def _trend(values: tuple[Any, ...], gains: np.ndarray) -> float | None:
    if not all(map(is_number, values)) or len(values) < TREND_FROM or np.ptp(gains) == 0:
        return None
    return float(pd.Series(values).corr(pd.Series(gains), method="spearman"))


def range_edges(study: StudyData, arm: ArmRecord) -> list[RangeEdge]:
    """Return the ends of ranges near which at least two of an arm's `BEST` runs lie."""
    runs = full_length_runs(study, arm).nlargest(BEST, "value")
    found = []
    for dimension, space in arm.spaces.items():
        if isinstance(space, list) or len(runs) < BEST or space["low"] == space["high"]:
            continue
        positions = np.array([position_in_range(space, run[dimension]) for run in runs["searched"] if dimension in run])
        for end, near in (("low", positions <= EDGE), ("high", positions >= 1 - EDGE)):
            if near.sum() >= 2:
                found.append(RangeEdge(arm, dimension, end, space[end], int(near.sum()), len(runs)))
    return found


def position_in_range(space: Mapping[str, Any], value: float) -> float:
    """Return the position of a value in a range on the scale of the range: 0 at the lower end, 1 at the upper.

    >>> round(position_in_range({"low": 0.001, "high": 1.0, "log": True}, 0.01), 3)
    0.333
    """
    low, high = space["low"], space["high"]
    if space.get("log"):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
