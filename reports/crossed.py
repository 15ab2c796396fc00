"""The crossed confirmation of two arms: the same pooled points and the same seeds in both.

Axes of all arrays: arm (the method first, its reference second), pooled point, seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.frames import Study
from reports.plan import Contrast
from trainables.records import CONFIRM, SELECTION, TEST_ACCURACY

KEPT_SHARE = 0.5
"""A point is left out where fewer than this share of the best covered point's seeds are paired."""


@dataclass(frozen=True)
class Crossed:
    """The cells that two arms share: a seed counts only if both arms finished it at every kept point.

    Args:
        points: int (K,), the pooled points that are kept.
        left_out: pooled points with too few pairs.
        seeds: int (S,), the seeds that count.
        incomplete: seeds of which a part was finished, but not every kept point in both arms.
        selection: float (2, K, S), the validation metric on which points are chosen; higher is better.
        test: float (2, K, S), test accuracy, a fraction.
        runs: str (2, K, S), names of the runs.
    """

    points: np.ndarray
    left_out: tuple[int, ...]
    seeds: np.ndarray
    incomplete: tuple[int, ...]
    selection: np.ndarray
    test: np.ndarray
    runs: np.ndarray


def crossed(study: Study, contrast: Contrast) -> Crossed:
    """Collect the confirmation runs of a contrast's two arms.

    A run without a finite selection metric and test accuracy is missing, whatever its outcome says. First,
    points at which fewer than half as many seeds are paired as at the best covered point are left out of both
    arms (one hopeless point must not cost all the others); then only the seeds are kept that are complete.
    """
    arms = (contrast.method, contrast.reference)
    frames = [study.runs_of(CONFIRM, contrast.condition, method) for method in arms]
    points = np.unique(np.concatenate([frame["k"].to_numpy(dtype=int) for frame in frames]))
    seeds = np.unique(np.concatenate([frame["seed"].to_numpy(dtype=int) for frame in frames]))
    sign = 1.0 if study.plan.higher_is_better else -1.0
    selection = sign * np.stack([_grid(frame, SELECTION, points, seeds) for frame in frames]).astype(float)
    test = np.stack([_grid(frame, TEST_ACCURACY, points, seeds) for frame in frames]).astype(float)
    names = np.stack([_grid(frame, "run", points, seeds) for frame in frames])

    finished = np.isfinite(selection) & np.isfinite(test)
    paired = finished.all(axis=0)  # (K, S)
    pairs = paired.sum(axis=1)
    kept = (pairs >= KEPT_SHARE * pairs.max(initial=0)) & (pairs > 0)
    complete = paired.any(axis=0) & (paired | ~kept[:, None]).all(axis=0)
    partly = finished.any(axis=(0, 1)) & ~complete
    cells = np.ix_([0, 1], kept, complete)
    return Crossed(
        points=points[kept],
        left_out=tuple(int(point) for point in points[~kept]),
        seeds=seeds[complete],
        incomplete=tuple(int(seed) for seed in seeds[partly]),
        selection=selection[cells],
        test=test[cells],
        runs=names[cells],
    )


def _grid(frame: pd.DataFrame, column: str, points: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return one column as an object array (K, S), NaN where there is no run."""
    grid = np.full((len(points), len(seeds)), np.nan, dtype=object)
    rows, columns = np.searchsorted(points, frame["k"]), np.searchsorted(seeds, frame["seed"])
    grid[rows, columns] = frame[column].to_numpy(dtype=object)
    return grid
