"""Contrasts: paired differences of two arms, seed by seed, before any correction for multiple claims."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.data.frames import StudyData
from reports.inference.paired_cells import PairedCells, paired_cells
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
"""Searches needed for a claim about other searches like these."""


@dataclass(frozen=True)
class ContrastData:
    """Paired differences of a contrast; S may be 0.

    Args:
        contrast: the contrast.
        cells: the runs that are compared.
        chosen: the points that both arms chose in each search, int (2, R).
        by_search: tuned differences within each search, float (R, S).
        matched: matched differences, float (S,).
    """

    contrast: ContrastRecord
    cells: PairedCells
    chosen: np.ndarray
    by_search: np.ndarray
    matched: np.ndarray

    @property
    def tuned(self) -> np.ndarray:
        """Tuned differences, float (S,), averaged over searches."""
        return self.by_search.mean(axis=0) if self.seeds else np.empty(0)

    @property
    def seeds(self) -> int:
        """Number of complete pairs."""
        return len(self.cells.seeds)

    @property
    def levels(self) -> np.ndarray:
        """Test metric of both arms at their chosen points, signed so that higher is better: float (2, S)."""
        return at_points(self.cells.test, self.chosen).mean(axis=1)

    @property
    def over_seeds(self) -> Estimate | None:
        """Tuned effect on this test set, for the configurations found here; None without pairs."""
        return over_seeds(self.tuned) if self.seeds else None

    @property
    def matched_over_seeds(self) -> Estimate | None:
        """Matched effect, None without pairs."""
        return over_seeds(self.matched) if self.seeds else None

    @property
    def over_searches(self) -> Estimate | None:
        """Tuned effect over seeds and searches; None with fewer than three searches."""
        known = self.seeds > 0 and len(self.by_search) >= SEARCHES_TO_CLAIM
        return over_seeds_and(self.by_search.T) if known else None


def contrast_data(study: StudyData, contrast: ContrastRecord, limit: int | None = None) -> ContrastData:
    """Return the paired differences of a contrast.

    Args:
        study: the study.
        contrast: the two arms that are compared.
        limit: seeds from this index on are left out; None for no limit.
    """
    cells = paired_cells(study, contrast.condition, contrast.arms, limit)
    if cells.seeds.size == 0:
        return ContrastData(contrast, cells, np.empty((2, 0), dtype=int), np.empty((0, 0)), np.empty(0))
    chosen = own_best(cells.selection, cells.searches)
    method, reference = at_points(cells.test, chosen)
    return ContrastData(contrast, cells, chosen, method - reference, matched_differences(cells.test, cells.searches))


def over_images(study: StudyData, found: ContrastData) -> Estimate | None:
    """Return the tuned effect over seeds and images; None if single images are not recorded.

    Only accuracy is recorded image by image, so other metrics have no such estimate.
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
