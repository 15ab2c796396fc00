"""Contrasts: their paired differences and estimates, before any correction for multiple testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from reports.data.completeness import Arm, Look, gets_seeds
from reports.data.frames import StudyData
from reports.inference.paired_cells import PairedCells, paired_cells
from reports.statistics.estimators import (
    Estimate,
    at_points,
    matched_differences,
    over_seeds,
    over_seeds_and,
    tuned_differences,
)
from reports.statistics.variance_pooling import pool_variances
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
    by_search, chosen = tuned_differences(cells.selection, cells.test, cells.searches, study.plan.shrinks_choice)
    matched = matched_differences(cells.test, cells.searches)
    return ContrastData(contrast, cells, chosen, by_search, matched, study.plan.open_ended)


@dataclass(frozen=True)
class ContrastEstimates:
    """Estimates of a contrast at one look, whose variances are those of all claims of its family.

    Args:
        study: the study.
        data: the paired differences.
        tuned: the tuned effect over seeds; None without pairs, or if an arm gets no more seeds before the look.
        matched: the matched effect over seeds, None without pairs.
    """

    study: StudyData
    data: ContrastData
    tuned: Estimate | None
    matched: Estimate | None

    @property
    def _over_seeds(self) -> Estimate | None:
        return self.tuned or self.data.tuned_over_seeds

    @cached_property
    def over_searches(self) -> Estimate | None:
        """The tuned effect over seeds and searches, or None with fewer than `SEARCHES_TO_CLAIM` searches."""
        known = self.data.seeds > 0 and len(self.data.by_search) >= SEARCHES_TO_CLAIM
        return over_seeds_and(self.data.by_search.T, self._over_seeds) if known else None

    @cached_property
    def over_images(self) -> Estimate | None:
        """The tuned effect over seeds and test images.

        The journal records for each test image whether it was classified correctly. The estimate therefore exists only
        for test accuracy; for other metrics, or without these records, the result is None. Images of an extended test
        part that are not test images are assumed to vary as test images do.
        """
        study, data = self.study, self.data
        if not data.seeds or not study.plan.judges_accuracy:
            return None
        names = at_points(data.cells.runs, data.chosen)  # (2, R, S)
        correct = study.correctness(list(dict.fromkeys(names.ravel())))
        if len(correct) < len(np.unique(names.astype(str))) or len({len(images) for images in correct.values()}) != 1:
            return None
        method, reference = (
            np.array([[correct[name] for name in search] for search in arm]).mean(axis=0) for arm in names
        )  # (S, N) each
        extended = study.plan.test != "official"
        images = float(study.runs_by_name.loc[names.ravel(), EXTENDED_TEST_IMAGES].mean()) if extended else None
        return over_seeds_and(method - reference, self._over_seeds, images)

    @property
    def official(self) -> Estimate | None:
        """The tuned effect on the official test images of a study that is judged on an extended test part.

        Both arms are at the points at which the verdict compares them. None without pairs, or if the official images
        decide.
        """
        plan = self.study.plan
        if not self.data.seeds or plan.test == "official":
            return None
        unit = unit_of(plan.metric)
        values = self.study.runs_by_name[unit.metric]
        method, reference = (
            unit.as_maximized(values.loc[arm.ravel()].to_numpy(dtype=float).reshape(arm.shape)).mean(axis=0)
            for arm in at_points(self.data.cells.runs, self.data.chosen)
        )
        return over_seeds(method - reference, plan.open_ended)


def estimate_contrasts(study: StudyData, contrasts: Sequence[ContrastRecord], look: Look) -> list[ContrastEstimates]:
    """Return the estimates of all contrasts of a family at a look."""
    data = [contrast_data(study, contrast, look.limit) for contrast in contrasts]
    tuned = [one.tuned_over_seeds if gets_seeds(study, arms_of(one.contrast), look.seeds) else None for one in data]
    matched = [one.matched_over_seeds for one in data]
    if study.plan.variances == "pooled":
        conditions = [contrast.condition for contrast in contrasts]
        tuned, matched = pool_variances(tuned, conditions), pool_variances(matched, conditions)
    return [ContrastEstimates(study, *one) for one in zip(data, tuned, matched, strict=True)]


def arms_of(contrast: ContrastRecord) -> tuple[Arm, ...]:
    """Return both arms of a contrast, the method first."""
    return tuple((contrast.condition, method) for method in contrast.arms)
