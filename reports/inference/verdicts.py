"""Verdicts: whether a method helps, hurts, is equivalent or is undecided, with the evidence for each contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.data.completeness import Look, is_final, looks_so_far, seeds_of
from reports.data.frames import StudyData
from reports.inference.caveats import JudgedContrast, caveats
from reports.inference.contrasts import ContrastData, contrast_data, tuned_on_official, tuned_over_images
from reports.statistics.estimators import (
    Estimate,
    Interval,
    Proportion,
    bca_interval,
    correlation,
    improvement,
)
from reports.statistics.group_sequential import Decision, decide
from reports.statistics.significance import SeedsNeeded, seeds_needed, sign_flip_p
from reports.statistics.variance_pooling import pool_variances
from trainables.records import ContrastRecord, Unit


@dataclass(frozen=True)
class Effect:
    """Mean difference of the test metric, method minus reference, with the sign chosen so that positive is better.

    Args:
        mean: the difference, a fraction (for a loss: nats).
        spread: standard deviation over seeds, None for a single seed.
        interval: 95 % interval over seeds on this test set, None without spread; its standard error uses the variances
            of all claims of the family (`reports.statistics.variance_pooling`). In a study with open seeds, it is a
            confidence sequence of the contrast's own differences (`reports.statistics.anytime`).
        p: two-sided p-value of the paired t-test with that standard error, or of its anytime-valid form (open seeds);
            1 if it is undefined.
        p_adjusted: p-value corrected for the claims of the family and for the looks.
        bca: BCa bootstrap interval, None for fewer than 20 seeds or open seeds.
    """

    mean: float
    spread: float | None
    interval: Interval | None
    p: float
    p_adjusted: float
    bca: Interval | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Verdict of one contrast. Accuracies and effects are fractions; those of a loss are in nats.

    What has a default does not exist for runs that are not paired.

    Args:
        condition: name of the condition.
        method: display name of the method.
        reference: display name of the arm that it is compared with.
        metric: the test metric that is judged.
        unit: unit of the effects.
        verdict: one of `records.VERDICTS`.
        on_this_test_set: whether the verdict holds for this test set only, because it changes if the sampling of test
            images is taken into account. Also True if single images are not recorded.
        for_these_searches: whether the verdict holds for the configurations found here only, because it changes if the
            variation between searches is taken into account. Also False if there are too few searches to tell.
        provisional: whether outstanding runs may change the verdict.
        look: number of seeds at which it was decided and became final, None otherwise.
        family: number of its family; the claims of a family are corrected together.
        seeds: number of pairs that count.
        planned_seeds: number of pairs that the look requires.
        searches: number of searches that count.
        points: the pooled points chosen by method and reference, one pair per search; empty without pairs.
        value: mean test metric of the method at its points.
        reference_value: mean test metric of the reference at its points.
        tuned: effect with each arm at its own best point; it determines the verdict. None without pairs.
        matched: effect with both arms at the same points, for comparison.
        official: the tuned effect on the official test images, if the verdict is based on an extended test part.
        images: 95 % interval of the tuned effect over seeds and test images, None if single images are not recorded.
        other_searches: 95 % interval of the tuned effect over seeds and searches, None for fewer than three searches.
        sign_flip_p: p-value of the sign-flip test, which repeats the selection of points.
        correlation: correlation of both arms over seeds, None if unknown.
        improvement: probability that the method is better than the reference with the same seed.
        equivalence_p: p-value of the two one-sided tests at the smallest effect of interest.
        equivalence_p_adjusted: `equivalence_p` corrected for the claims of the family and for the looks.
        seeds_needed: if undecided, the number of seeds needed to detect the smallest effect of interest.
        notes: caveats, as sentences.
    """

    condition: str
    method: str
    reference: str
    metric: str
    unit: Unit
    verdict: str
    on_this_test_set: bool
    for_these_searches: bool = False
    provisional: bool = False
    look: int | None = None
    family: int
    seeds: int
    planned_seeds: int
    searches: int = 1
    points: tuple[tuple[int, int], ...] = ()
    value: float | None
    reference_value: float | None
    tuned: Effect | None
    matched: Effect | None = None
    official: Estimate | None = None
    images: Interval | None = None
    other_searches: Interval | None = None
    sign_flip_p: float = 1.0
    correlation: float | None = None
    improvement: Proportion | None = None
    equivalence_p: float
    equivalence_p_adjusted: float
    seeds_needed: SeedsNeeded | None
    notes: tuple[str, ...]


def judge(study: StudyData) -> list[Verdict]:
    """Judge all contrasts of the plan, once for the same data.

    Families are defined by the plan, not by the runs that have finished: a contrast without data takes part in the
    correction for multiple testing with p = 1.

    Returns:
        One verdict per contrast, in the order of the plan.

    >>> import pandas as pd
    >>> from reports.data.frames import study_from_frames
    >>> from trainables.records import Facts, PlanRecord
    >>> contrast = ContrastRecord(condition="all", method="mixup", reference="baseline")
    >>> plan = PlanRecord(
    ...     name="small", metric="validation_accuracy", smallest_effect=0.01, alpha=0.05, seeds=4, points=1,
    ...     trials_per_arm=0, conditions=(), arms=(), contrasts=(contrast,),
    ... )
    >>> accuracies = {"baseline": [0.80, 0.81, 0.80, 0.82], "mixup": [0.84, 0.86, 0.84, 0.87]}
    >>> runs = pd.DataFrame([
    ...     {"run": f"{method} {seed}", "phase": "confirm", "condition": "all", "arm": method, "method": method,
    ...      "index": 0, "seed_index": seed, "audit": False, "parameters": {}, "searched": {}, "outcome": "completed",
    ...      "epoch": 10, "reason": "", "metrics": {"selection": accuracy, "test_accuracy": accuracy}}
    ...     for method, values in accuracies.items() for seed, accuracy in enumerate(values)
    ... ])
    >>> [verdict] = judge(study_from_frames(plan, Facts(), runs, [], [], {}, {}))
    >>> verdict.verdict, round(verdict.tuned.mean, 3), verdict.tuned.interval
    ('helps', 0.045, Interval(low=0.035..., high=0.054...))
    """
    return [*study.remembered("verdicts", lambda: _judge(study))]


def _judge(study: StudyData) -> list[Verdict]:
    plan, found = study.plan, dict[int, Verdict]()
    for family in plan.families:
        verdicts = _judge_family(study, [plan.contrasts[index] for index in family])
        found.update(zip(family, verdicts, strict=True))
    return [found[index] for index in range(len(plan.contrasts))]


def decided_arms(study: StudyData, seeds: int) -> set[tuple[str, str]]:
    """Return the arms that need no more seeds, as (condition, method).

    These are the arms whose contrasts were all finally decided at a look of at most `seeds` seeds, and all arms of a
    condition whose contrasts were. An arm without contrasts goes on as long as its condition does.
    """
    open_claims: dict[tuple[str, str], int] = {}
    for family in study.plan.families:
        contrasts = [study.plan.contrasts[index] for index in family]
        decided = _decide_family(study, contrasts)
        for contrast, decision in zip(contrasts, decided.seeds_only[-1], strict=True):
            look = decided.looks[decision.look]
            undecided = not (decision.decided and look.complete and look.seeds <= seeds)
            for method in contrast.arms:
                key = (contrast.condition, method)
                open_claims[key] = open_claims.get(key, 0) + undecided
    claimed = {condition for condition, _ in open_claims}
    going_on = {condition for (condition, _), count in open_claims.items() if count}
    settled = {(arm.condition, arm.method) for arm in study.plan.arms if arm.condition in claimed - going_on}
    return settled | {arm for arm, count in open_claims.items() if not count}


@dataclass(frozen=True)
class _DecidedFamily:
    """Data and decisions of a family, by look and claim.

    Args:
        looks: the looks that are judged.
        shared: number of seeds that the arms of each claim get.
        data: paired differences.
        tuned: estimates over seeds.
        seeds_only: decisions after each look, based on these estimates.
    """

    looks: tuple[Look, ...]
    shared: list[int]
    data: list[list[ContrastData]]
    tuned: list[list[Estimate | None]]
    seeds_only: list[list[Decision]]


@dataclass(frozen=True)
class _JudgedFamily:
    """A family with the checks of its robustness, by look and claim.

    Args:
        looks, data, seeds_only: as in `_DecidedFamily`.
        images: estimates over seeds and test images.
        with_images, with_searches, matched: decisions after each look, based on the estimates over seeds and images,
            over seeds and searches, and on the matched effects.
    """

    looks: tuple[Look, ...]
    data: list[list[ContrastData]]
    images: list[list[Estimate | None]]
    seeds_only: list[list[Decision]]
    with_images: list[list[Decision]]
    with_searches: list[list[Decision]]
    matched: list[list[Decision]]

    @property
    def size(self) -> int:
        """Number of claims."""
        return len(self.data[0])


def _decide_family(study: StudyData, contrasts: Sequence[ContrastRecord]) -> _DecidedFamily:
    shared = [seeds_of(study, contrast.condition, contrast.arms) for contrast in contrasts]
    looks = looks_so_far(study, [(contrast.condition, method) for contrast in contrasts for method in contrast.arms])
    data = [[contrast_data(study, contrast, look.limit) for contrast in contrasts] for look in looks]
    tuned = [
        _shared_variances(
            study,
            contrasts,
            [one.tuned_over_seeds if seeds >= look.seeds else None for seeds, one in zip(shared, row, strict=True)],
        )
        for look, row in zip(looks, data, strict=True)
    ]
    decisions = _decisions(study, looks, shared, tuned, study.plan.smallest_effect)
    return _DecidedFamily(looks, shared, data, tuned, decisions)


def _shared_variances(
    study: StudyData, contrasts: Sequence[ContrastRecord], estimates: list[Estimate | None]
) -> list[Estimate | None]:
    if study.plan.variances != "pooled":
        return estimates
    return pool_variances(estimates, [contrast.condition for contrast in contrasts])


def _decisions(
    study: StudyData,
    looks: Sequence[Look],
    shared: Sequence[int],
    estimates: Sequence[Sequence[Estimate | None]],
    margin: float,
) -> list[list[Decision]]:
    """Apply the decision rule; a contrast whose arms get no more seeds has no data for later looks."""
    current = [
        [estimate if seeds >= look.seeds else None for seeds, estimate in zip(shared, row, strict=True)]
        for look, row in zip(looks, estimates, strict=True)
    ]
    return decide(current, study.plan.look_alphas, study.plan.alpha, margin)


def _judge_family(study: StudyData, contrasts: Sequence[ContrastRecord]) -> list[Verdict]:
    found = _decide_family(study, contrasts)

    def decisions(
        estimates: Sequence[Sequence[Estimate | None]], margin: float = study.plan.smallest_effect
    ) -> list[list[Decision]]:
        return _decisions(study, found.looks, found.shared, estimates, margin)

    both = [list(zip(row, estimates, strict=True)) for row, estimates in zip(found.data, found.tuned, strict=True)]
    images = [[tuned_over_images(study, one, estimate) for one, estimate in row] for row in both]
    matched = [_shared_variances(study, contrasts, [one.matched_over_seeds for one in row]) for row in found.data]
    family = _JudgedFamily(
        looks=found.looks,
        data=found.data,
        images=images,
        seeds_only=found.seeds_only,
        with_images=decisions(images),
        with_searches=decisions([[one.tuned_over_searches(estimate) for one, estimate in row] for row in both]),
        matched=decisions(matched, margin=0),
    )
    return [_verdict(study, family, claim) for claim in range(len(contrasts))]


def _verdict(study: StudyData, family: _JudgedFamily, claim: int) -> Verdict:
    decision = family.seeds_only[-1][claim]
    look, data = family.looks[decision.look], family.data[decision.look][claim]
    images, matched = family.images[decision.look][claim], family.matched[decision.look][claim]
    same_with_images, same_with_searches = (
        decisions[decision.look][claim].verdict == decision.verdict
        for decisions in (family.with_images, family.with_searches)
    )
    over_searches = data.tuned_over_searches(decision.estimate)
    cells, shrunken = data.cells, study.plan.shrinks_choice
    judged = JudgedContrast(
        data=data,
        decision=decision,
        look=look,
        family=family.size,
        provisional=not is_final(family.looks, decision.look, decision.decided),
        sign_flip_p=sign_flip_p(cells.selection, cells.test, cells.searches, shrunken) if data.seeds else 1.0,
        on_this_test_set=decision.decided and not same_with_images,
        images_known=images is not None,
        for_these_searches=decision.decided and over_searches is not None and not same_with_searches,
    )
    return _assembled(study, judged, images, matched, over_searches)


def _assembled(
    study: StudyData, judged: JudgedContrast, images: Estimate | None, matched: Decision, over_searches: Estimate | None
) -> Verdict:
    plan, data, decision = study.plan, judged.data, judged.decision
    contrast, tuned = data.contrast, _effect(data.tuned, decision)
    values = [plan.unit.as_maximized(float(arm.mean())) for arm in data.test_values] if data.seeds else [None, None]
    return Verdict(
        condition=contrast.condition,
        method=contrast.method,
        reference=contrast.reference,
        metric=plan.unit.metric,
        unit=plan.unit,
        verdict=decision.verdict,
        on_this_test_set=judged.on_this_test_set,
        for_these_searches=judged.for_these_searches,
        provisional=judged.provisional,
        look=None if judged.provisional or not decision.decided else judged.look.seeds,
        family=contrast.family,
        seeds=data.seeds,
        planned_seeds=judged.look.seeds,
        searches=len(data.by_search),
        points=_chosen_points(data),
        value=values[0],
        reference_value=values[1],
        tuned=tuned,
        matched=_effect(data.matched, matched),
        official=tuned_on_official(study, data),
        images=images.interval if images else None,
        other_searches=over_searches.interval if over_searches else None,
        sign_flip_p=judged.sign_flip_p,
        correlation=correlation(*data.test_values) if data.seeds else None,
        improvement=improvement(data.tuned) if data.seeds else None,
        equivalence_p=decision.equivalence_p,
        equivalence_p_adjusted=decision.equivalence_p_adjusted,
        seeds_needed=_seeds_needed(study, judged, tuned),
        notes=caveats(study, judged),
    )


def _seeds_needed(study: StudyData, judged: JudgedContrast, tuned: Effect | None) -> SeedsNeeded | None:
    """Return the seeds that an undecided claim needs at Holm's strictest step of the last look."""
    if judged.decision.decided or tuned is None or tuned.spread is None:
        return None
    strictest = study.plan.look_alphas[-1] / judged.family
    alike = [contrast for contrast in study.plan.contrasts if contrast.condition == judged.data.contrast.condition]
    pooled = len(alike) if study.plan.variances == "pooled" else 1
    return seeds_needed(
        tuned.spread, judged.data.seeds, study.plan.smallest_effect, strictest, pooled, study.plan.open_ended
    )


def _chosen_points(data: ContrastData) -> tuple[tuple[int, int], ...]:
    """Return the numbers of the points chosen by both arms, one pair per search."""
    method, reference = (data.cells.points[arm].tolist() for arm in data.chosen)
    return tuple(zip(method, reference, strict=True))


def _effect(differences: np.ndarray, decision: Decision) -> Effect | None:
    if differences.size == 0 or decision.estimate is None:
        return None
    return Effect(
        mean=decision.estimate.mean,
        spread=float(differences.std(ddof=1)) if differences.size > 1 else None,
        interval=decision.estimate.interval,
        p=decision.p,
        p_adjusted=decision.p_adjusted,
        bca=None if decision.estimate.anytime else bca_interval(differences),
    )
