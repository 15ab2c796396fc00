"""One contrast, measured: its differences seed by seed, before any family is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.data.frames import StudyData
from reports.inference.paired_cells import Crossed, crossed
from reports.statistics.estimators import (
    Estimate,
    at_points,
    matched_differences,
    over_seeds,
    over_seeds_and,
    own_best,
)
from trainables.records import TEST_ACCURACY, ContrastRecord

SEARCHES_TO_CLAIM = 3
"""Searches from which something is said about other searches like these."""


@dataclass(frozen=True)
class Measured:
    """The differences of a contrast; S may be 0.

    Args:
        contrast: the contrast.
        cells: the runs that count.
        chosen: the points that both arms chose in each search, int (2, R).
        by_search: tuned differences within each search, float (R, S).
        matched: matched differences, float (S,).
    """

    contrast: ContrastRecord
    cells: Crossed
    chosen: np.ndarray
    by_search: np.ndarray
    matched: np.ndarray

    @property
    def tuned(self) -> np.ndarray:
        """Tuned differences, float (S,): of several searches, their mean."""
        return self.by_search.mean(axis=0) if self.seeds else np.empty(0)

    @property
    def seeds(self) -> int:
        """Pairs that count."""
        return len(self.cells.seeds)

    @property
    def levels(self) -> np.ndarray:
        """The test figure of both arms at their chosen points, turned so that more is better: float (2, S)."""
        return at_points(self.cells.test, self.chosen).mean(axis=1)

    @property
    def over_seeds(self) -> Estimate | None:
        """The tuned effect on this test set, for the configurations found here; None without pairs."""
        return over_seeds(self.tuned) if self.seeds else None

    @property
    def matched_over_seeds(self) -> Estimate | None:
        """The matched effect, None without pairs."""
        return over_seeds(self.matched) if self.seeds else None

    @property
    def over_searches(self) -> Estimate | None:
        """The tuned effect over seeds and searches like these; None with too few searches to tell."""
        known = self.seeds > 0 and len(self.by_search) >= SEARCHES_TO_CLAIM
        return over_seeds_and(self.by_search.T) if known else None


def measure(study: StudyData, contrast: ContrastRecord, limit: int | None = None) -> Measured:
    """Measure a contrast.

    Args:
        study: the study.
        contrast: what is compared.
        limit: seeds from this number on are left aside; None for no limit.
    """
    cells = crossed(study, contrast.condition, contrast.arms, limit)
    if cells.seeds.size == 0:
        return Measured(contrast, cells, np.empty((2, 0), dtype=int), np.empty((0, 0)), np.empty(0))
    chosen = own_best(cells.selection, cells.searches)
    method, reference = at_points(cells.test, chosen)
    return Measured(contrast, cells, chosen, method - reference, matched_differences(cells.test, cells.searches))


def over_images(study: StudyData, found: Measured) -> Estimate | None:
    """Estimate the tuned effect over seeds and images; None where single images are not recorded.

    Single images have a correctness, so this is about accuracy and no other figure.
    """
    if not found.seeds or study.plan.unit.metric != TEST_ACCURACY:
        return None
    names = at_points(found.cells.runs, found.chosen)  # (2, R, S)
    correct = study.correctness(list(dict.fromkeys(names.ravel())))
    if len(correct) < len(np.unique(names.astype(str))) or len({len(images) for images in correct.values()}) != 1:
        return None
    method, reference = (
        np.array([[correct[name] for name in search] for search in arm]).mean(axis=0) for arm in names
    )  # (S, N) each
    return over_seeds_and(method - reference)
