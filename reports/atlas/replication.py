"""Replication of cells with fresh seeds: whether the verdicts are upheld, and the predictions of the new means hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from reports.atlas.cells import Cell
from reports.statistics.estimators import Interval, over_seeds, t_quantile
from trainables.records import EQUIVALENT, HELPS, HURTS
from trainables.records.atomic import atomic_file

FILE = Path(__file__).parent / "replication.csv"
SMALLEST = 1.0
"""Smallest effect of interest in the atlas, in points."""


@dataclass(frozen=True)
class Replication:
    """A cell trained again with fresh seeds. Effects are in points.

    Args:
        study, condition, method: the cell.
        verdict: its verdict in the atlas.
        effect: its effect in the atlas.
        predicted_low, predicted_high: 95 % prediction interval of the mean over the fresh seeds.
        seeds: number of fresh seeds.
        again: effect with the fresh seeds.
        low, high: its 95 % interval.
        within: whether the new mean is in the prediction interval.
        upheld: whether the new interval does not contradict the verdict.
    """

    study: str
    condition: str
    method: str
    verdict: str
    effect: float
    predicted_low: float
    predicted_high: float
    seeds: int
    again: float
    low: float
    high: float
    within: bool
    upheld: bool


def replicated(cell: Cell, old: np.ndarray, new: np.ndarray) -> Replication:
    """Compare a cell with its replication.

    Args:
        cell: the cell.
        old: paired differences in the atlas, fractions, float (n,).
        new: paired differences with fresh seeds, fractions, float (m,).
    """
    before, after = over_seeds(100 * old), over_seeds(100 * new)
    half = t_quantile(before.freedom) * before.error * np.sqrt(1 + len(old) / len(new))
    interval = after.interval or Interval(after.mean, after.mean)
    return Replication(
        study=cell.study,
        condition=cell.verdict.condition,
        method=cell.method,
        verdict=cell.verdict.verdict,
        effect=before.mean,
        predicted_low=before.mean - half,
        predicted_high=before.mean + half,
        seeds=len(new),
        again=after.mean,
        low=interval.low,
        high=interval.high,
        within=abs(after.mean - before.mean) <= half,
        upheld=is_upheld(cell.verdict.verdict, interval.low, interval.high),
    )


def is_upheld(verdict: str, low: float, high: float) -> bool:
    """Return whether an interval of a new effect, in points, does not contradict a verdict.

    >>> is_upheld("helps", -0.5, 2.0), is_upheld("helps", -2.0, -0.5), is_upheld("equivalent", 1.2, 3.0)
    (True, False, False)
    """
    if verdict == HELPS:
        return high > 0
    if verdict == HURTS:
        return low < 0
    return verdict != EQUIVALENT or (low < SMALLEST and high > -SMALLEST)


def read_replications(file: Path = FILE) -> list[Replication]:
    """Return the replications of a file, none if there is none."""
    if not file.exists():
        return []
    return [Replication(*row) for row in pd.read_csv(file).itertuples(index=False)]


def write_replications(found: Sequence[Replication], file: Path = FILE) -> None:
    """Write replications as CSV."""
    with atomic_file(file) as unfinished:
        pd.DataFrame([asdict(one) for one in found]).to_csv(unfinished, index=False, float_format="%.4f")
