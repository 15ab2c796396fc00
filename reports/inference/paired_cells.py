"""Paired cells: confirmation runs of several arms at the same pooled points and with the same seeds.

All arrays have the axes arm (in the given order; in a contrast the method comes first), pooled point, seed: (A, K, S).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reports.data.frames import StudyData
from trainables.records import CONFIRM, SELECTION

KEPT_SHARE = 0.5
"""A point is left out if it has fewer pairs than this share of the pairs of the point with the most."""


@dataclass(frozen=True)
class PairedCells:
    """The runs that count: a seed counts if all arms finished it at every kept point.

    Args:
        points: int (K,), numbers of the kept pooled points.
        searches: int (K,), the search that found each of them.
        left_out: numbers of the pooled points with too few pairs.
        seeds: int (S,), the seeds that count.
        incomplete: seeds that were finished in part, but not by all arms at every kept point.
        selection: float (A, K, S), the validation metric that selects points; higher is better.
        test: float (A, K, S), the test metric; higher is better.
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


@dataclass(frozen=True)
class _Grids:
    """All confirmation runs of several arms, NaN where there is none; see `PairedCells`."""

    points: np.ndarray
    seeds: np.ndarray
    selection: np.ndarray
    test: np.ndarray
    runs: np.ndarray


def paired_cells(study: StudyData, condition: str, methods: Sequence[str], limit: int | None = None) -> PairedCells:
    """Collect the confirmation runs of several arms of a condition.

    A run without a finite selection metric and test metric is treated as missing, regardless of its outcome. Points
    with fewer than half the pairs of the best covered point are left out of all arms first, so that a single failing
    point does not invalidate the seeds of all others. Then only complete seeds are kept.

    Args:
        study: the study.
        condition: name of the condition.
        methods: display names of the arms.
        limit: ignore seeds with this number or a higher one; None for no limit.
    """
    key = ("paired cells", condition, *methods)
    grids = _first_seeds(study.remembered(key, lambda: _grids(study, condition, methods)), limit)
    points, seeds, selection, test = grids.points, grids.seeds, grids.selection, grids.test
    finished = np.isfinite(selection) & np.isfinite(test)
    paired = finished.all(axis=0)  # (K, S)
    pairs = paired.sum(axis=1)
    kept = (pairs >= KEPT_SHARE * pairs.max(initial=0)) & (pairs > 0)
    complete = paired.any(axis=0) & (paired | ~kept[:, None]).all(axis=0)
    partly = finished.any(axis=(0, 1)) & ~complete
    cells = np.ix_(range(len(methods)), kept, complete)
    return PairedCells(
        points=points[kept],
        searches=np.array([study.plan.search_of_point(int(point)) for point in points[kept]], dtype=int),
        left_out=tuple(int(point) for point in points[~kept]),
        seeds=seeds[complete],
        incomplete=tuple(int(seed) for seed in seeds[partly]),
        selection=selection[cells],
        test=test[cells],
        runs=grids.runs[cells],
    )


def _grids(study: StudyData, condition: str, methods: Sequence[str]) -> _Grids:
    frames = [study.runs_of(CONFIRM, condition, method) for method in methods]
    points = np.unique(np.concatenate([frame["index"].to_numpy(dtype=int) for frame in frames]))
    seeds = np.unique(np.concatenate([frame["seed_index"].to_numpy(dtype=int) for frame in frames]))
    selection, test = (
        oriented(np.stack([_grid(frame, column, points, seeds).astype(float) for frame in frames]))
        for oriented, column in (
            (study.plan.as_maximized, SELECTION),
            (study.plan.unit.as_maximized, study.plan.unit.metric),
        )
    )
    names = np.stack([_grid(frame, "run", points, seeds) for frame in frames])
    return _Grids(points, seeds, selection, test, names)


def _first_seeds(grids: _Grids, limit: int | None) -> _Grids:
    """Return the seeds below a limit, and the points that have a run with one of them."""
    if limit is None:
        return grids
    early = grids.seeds < limit
    present = (~pd.isna(grids.runs[:, :, early])).any(axis=(0, 2))
    cells = np.ix_(np.arange(len(grids.runs)), np.flatnonzero(present), np.flatnonzero(early))
    return _Grids(
        grids.points[present], grids.seeds[early], grids.selection[cells], grids.test[cells], grids.runs[cells]
    )


def _grid(frame: pd.DataFrame, column: str, points: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Return one column as an object array (K, S), with NaN for missing runs."""
    grid = np.full((len(points), len(seeds)), np.nan, dtype=object)
    rows, columns = np.searchsorted(points, frame["index"]), np.searchsorted(seeds, frame["seed_index"])
    if column in frame:
        grid[rows, columns] = frame[column].to_numpy(dtype=object)
    return grid
