"""Contrast data: the paired differences of one contrast, before any correction for multiple testing."""

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
from trainables.records import EXTENDED_TEST_IMAGES, ContrastRecord, unit_of

SEARCHES_TO_CLAIM = 3
"""Minimum number of searches from which a claim is generalised to other searches."""


@dataclass(frozen=True)
class ContrastData:
    """Paired differences of a contrast over S seeds (S may be 0) and R searches.

    Args:
        contrast: the contrast.
        cells: the confirmation runs that count.
        chosen: int (2, R), the points chosen by both arms in each search.
        by_search: float (R, S), tuned differences within each search.
        matched: float (S,), matched differences.
        anytime: whether its estimates hold at all numbers of seeds together.
    """

    contrast: ContrastRecord
    cells: PairedCells
    chosen: np.ndarray
    by_search: np.ndarray
    matched: np.ndarray
    anytime: bool = False

    @property
    def tuned(self) -> np.ndarray:
        """Tuned differences, float (S,), averaged over searches."""
        return self.by_search.mean(axis=0) if self.seeds else np.empty(0)

    @property
    def seeds(self) -> int:
        """Number of pairs that count."""
        return len(self.cells.seeds)

    @property
    def test_values(self) -> np.ndarray:
        """Test metric of both arms at their chosen points, float (2, S), signed so that higher is better."""
        return at_points(self.cells.test, self.chosen).mean(axis=1)

    @property
    def tuned_over_seeds(self) -> Estimate | None:
        """Tuned effect on this test set for the configurations found here, or None without pairs."""
        return over_seeds(self.tuned, self.anytime) if self.seeds else None

    @property
    def matched_over_seeds(self) -> Estimate | None:
        """Matched effect on this test set, or None without pairs."""
        return over_seeds(self.matched, self.anytime) if self.seeds else None

    def tuned_over_searches(self, over_seeds: Estimate | None = None) -> Estimate | None:
        """Return the tuned effect over seeds and searches, or None with fewer than `SEARCHES_TO_CLAIM` searches.

        Args:
            over_seeds: the estimate over seeds alone; by default `tuned_over_seeds`.
        """
        known = self.seeds > 0 and len(self.by_search) >= SEARCHES_TO_CLAIM
        return over_seeds_and(self.by_search.T, over_seeds or self.tuned_over_seeds) if known else None


def contrast_data(study: StudyData, contrast: ContrastRecord, limit: int | None = None) -> ContrastData:
    """Return the paired differences of a contrast.

    Args:
        study: the study.
        contrast: the contrast.
        limit: ignore seeds with this number or a higher one; None for no limit.
    """
    cells = paired_cells(study, contrast.condition, contrast.arms, limit)
    if cells.seeds.size == 0:
        return ContrastData(contrast, cells, np.empty((2, 0), dtype=int), np.empty((0, 0)), np.empty(0))
    chosen = own_best(cells.selection, cells.searches, study.plan.shrinks_choice)
    method, reference = at_points(cells.test, chosen)
    matched = matched_differences(cells.test, cells.searches)
    return ContrastData(contrast, cells, chosen, method - reference, matched, study.plan.open_ended)


def tuned_over_images(study: StudyData, data: ContrastData, over_seeds: Estimate | None = None) -> Estimate | None:
    """Estimate the tuned effect over seeds and test images.

    The journal records for each test image whether it was classified correctly. The estimate therefore exists only for
    test accuracy; for other metrics, or without these records, the result is None. Images of an extended test part that
    are not test images are assumed to vary as test images do.

    Args:
        study: the study.
        data: the contrast.
        over_seeds: the estimate over seeds alone; by default `data.tuned_over_seeds`.
    """
    if not data.seeds or not study.plan.judges_accuracy:
        return None
    names = at_points(data.cells.runs, data.chosen)  # (2, R, S)
    correct = study.correctness(list(dict.fromkeys(names.ravel())))
    if len(correct) < len(np.unique(names.astype(str))) or len({len(images) for images in correct.values()}) != 1:
        return None
    method, reference = (
        np.array([[correct[name] for name in search] for search in arm]).mean(axis=0) for arm in names
    )  # (S, N) each
    if study.plan.test == "official":
        return over_seeds_and(method - reference, over_seeds or data.tuned_over_seeds)
    images = study.runs_by_name.loc[names.ravel(), EXTENDED_TEST_IMAGES].mean()
    return over_seeds_and(method - reference, over_seeds or data.tuned_over_seeds, float(images))


def tuned_on_official(study: StudyData, data: ContrastData) -> Estimate | None:
    """Return the tuned effect on the official test images of a study that is judged on an extended test part.

    Both arms are at the points at which the verdict compares them. None without pairs, or if the official images
    decide.
    """
    plan = study.plan
    if not data.seeds or plan.test == "official":
        return None
    unit = unit_of(plan.metric)
    values = study.runs_by_name[unit.metric]
    method, reference = (
        unit.as_maximized(values.loc[arm.ravel()].to_numpy(dtype=float).reshape(arm.shape)).mean(axis=0)
        for arm in at_points(data.cells.runs, data.chosen)
    )
    return over_seeds(method - reference, plan.open_ended)
