"""The crossed confirmation of several arms: the same pooled points and the same seeds in all of them.

Axes of all arrays: arm (as they are named; of a contrast the method first), pooled point, seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from trainables.records import CONFIRM, SELECTION, as_maximized

KEPT_SHARE = 0.5
"""A point is left out where fewer than this share of the best covered point's seeds are paired."""


@dataclass(frozen=True)
class Crossed:
    """The cells that arms share: a seed counts only if all arms finished it at every kept point.

    Args:
        points: int (K,), the pooled points that are kept.
        searches: int (K,), the search that each of them comes from.
        left_out: pooled points with too few pairs.
        seeds: int (S,), the seeds that count.
        incomplete: seeds of which a part was finished, but not every kept point in all arms.
        selection: float (A, K, S), the validation metric on which points are chosen; higher is better.
        test: float (A, K, S), the test figure that belongs to the metric; higher is better.
        runs: str (A, K, S), names of the runs.
    """

    points: np.ndarray
    searches: np.ndarray
    left_out: tuple[int, ...]
    seeds: np.ndarray
    incomplete: tuple[int, ...]
    selection: np.ndarray
    test: np.ndarray
    runs: np.ndarray


def crossed(study: StudyData, condition: str, methods: Sequence[str], limit: int | None = None) -> Crossed:
    """Collect the confirmation runs of arms of one condition.

    A run without a finite selection metric and test figure is missing, whatever its outcome says. First,
    points at which fewer than half as many seeds are paired as at the best covered point are left out of all
    arms (one hopeless point must not cost all the others); then only the seeds are kept that are complete.

    Args:
        study: the study.
        condition: name of the condition.
        methods: display names of the arms.
        limit: seeds from this number on are left aside; None for no limit.
    """
    frames = [_before(study.runs_of(CONFIRM, condition, method), limit) for method in methods]
    points = np.unique(np.concatenate([frame["index"].to_numpy(dtype=int) for frame in frames]))
    seeds = np.unique(np.concatenate([frame["seed_index"].to_numpy(dtype=int) for frame in frames]))
    selection, test = (
        as_maximized(metric, 1.0) * np.stack([_grid(frame, column, points, seeds).astype(float) for frame in frames])
        for metric, column in ((study.plan.metric, SELECTION), (study.plan.unit.metric, study.plan.unit.metric))
    )
    names = np.stack([_grid(frame, "run", points, seeds) for frame in frames])

    finished = np.isfinite(selection) & np.isfinite(test)
    paired = finished.all(axis=0)  # (K, S)
    pairs = paired.sum(axis=1)
    kept = (pairs >= KEPT_SHARE * pairs.max(initial=0)) & (pairs > 0)
    complete = paired.any(axis=0) & (paired | ~kept[:, None]).all(axis=0)
    partly = finished.any(axis=(0, 1)) & ~complete
    cells = np.ix_(range(len(methods)), kept, complete)
    return Crossed(
        points=points[kept],
        searches=np.array([study.plan.search_of_point(int(point)) for point in points[kept]], dtype=int),
        left_out=tuple(int(point) for point in points[~kept]),
        seeds=seeds[complete],
        incomplete=tuple(int(seed) for seed in seeds[partly]),
        selection=selection[cells],
        test=test[cells],
        runs=names[cells],
    )


def _before(frame: pd.DataFrame, limit: int | None) -> pd.DataFrame:
    return frame if limit is None else frame[frame["seed_index"] < limit]


def _grid(frame: pd.DataFrame, column: str, points: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return one column as an object array (K, S), NaN where there is no run."""
    grid = np.full((len(points), len(seeds)), np.nan, dtype=object)
    rows, columns = np.searchsorted(points, frame["index"]), np.searchsorted(seeds, frame["seed_index"])
    if column in frame:
        grid[rows, columns] = frame[column].to_numpy(dtype=object)
    return grid
