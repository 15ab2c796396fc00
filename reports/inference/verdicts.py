"""The verdict of every contrast: helps, hurts, equivalent or undecided, with all that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.data.completeness import Stage, is_final, settled, stages
from reports.data.frames import StudyData
from reports.inference.caveats import Findings, weaknesses
from reports.inference.contrasts import Measured, measure, over_images
from reports.statistics.estimators import (
    Estimate,
    Interval,
    Proportion,
    bca_interval,
    correlation,
    improvement,
    over_seeds,
)
from reports.statistics.group_sequential import Decision, decide
from reports.statistics.significance import SeedsNeeded, seeds_needed, sign_flip_p
from trainables.records import ContrastRecord, as_maximized


@dataclass(frozen=True)
class Effect:
    """A mean difference of the test figure, method minus reference, turned so that more is better.

    Args:
        mean: the difference, a fraction (of a loss: nats).
        spread: standard deviation over seeds, None for one seed.
        interval: 95 % interval over seeds on this test set, None where there is no spread.
        p: two-sided p-value of the paired t-test, 1 where there is none.
        p_adjusted: corrected for the claims of the family and for the looks.
        bca: bootstrap interval (from 20 seeds on).
    """

    mean: float
    spread: float | None
    interval: Interval | None
    p: float
    p_adjusted: float
    bca: Interval | None


@dataclass(frozen=True)
class Verdict:
    """The answer for one contrast. Accuracies and effects are fractions; those of a loss are nats.

    Args:
        condition: name of the condition.
        method: display name of the method.
        reference: display name of what it is held against.
        metric: the test figure that is judged, one of `records.TEST_METRICS`.
        verdict: one of `records.VERDICTS`.
        on_this_test_set: the claim is about this test set: over other images like these it would not stand.
        for_these_searches: the claim is about the configurations found here: over other searches like these it
            would not stand. False also where there are too few searches to tell.
        provisional: runs are still to come that may change it.
        look: seeds at which it was decided for good, None otherwise.
        family: claims of one family are corrected together.
        seeds: pairs that count.
        planned_seeds: pairs that its look asks for.
        searches: searches that count.
        points: the pooled points that the method and the reference chose, a pair a search; empty without pairs.
        value: mean test figure of the method at its points.
        reference_value: the same of the reference.
        tuned: each arm at its own best point; this effect decides. None without pairs.
        matched: both arms at the same points; stands beside it.
        images: 95 % interval of the tuned effect over seeds and images, None without the record of single
            images.
        other_searches: the same over seeds and searches, None below three searches.
        sign_flip_p: p-value of the sign-flip test that repeats the choice.
        correlation: of both arms over seeds, None where it is not known.
        improvement: probability that the method is better with the same seed.
        equivalence_p: of the two one-sided tests at the smallest effect of interest.
        equivalence_p_adjusted: corrected for the claims of the family and for the looks.
        seeds_needed: where undecided, the seeds that would find the smallest effect of interest.
        notes: what weakens the claim, in sentences.
    """

    condition: str
    method: str
    reference: str
    metric: str
    verdict: str
    on_this_test_set: bool
    for_these_searches: bool
    provisional: bool
    look: int | None
    family: int
    seeds: int
    planned_seeds: int
    searches: int
    points: tuple[tuple[int, int], ...]
    value: float | None
    reference_value: float | None
    tuned: Effect | None
    matched: Effect | None
    images: Interval | None
    other_searches: Interval | None
    sign_flip_p: float
    correlation: float | None
    improvement: Proportion | None
    equivalence_p: float
    equivalence_p_adjusted: float
    seeds_needed: SeedsNeeded | None
    notes: tuple[str, ...]


def judge(study: StudyData) -> list[Verdict]:
    """Judge every contrast of the plan, in its order.

    A family is the plan's, not what happens to be finished: a contrast without data takes part with p = 1.
    """
    plan, found = study.plan, dict[int, Verdict]()
    for family in plan.families:
        verdicts = _judge_family(study, [plan.contrasts[index] for index in family])
        found.update(zip(family, verdicts, strict=True))
    return [found[index] for index in range(len(plan.contrasts))]


def settled_conditions(study: StudyData, seeds: int) -> set[str]:
    """Return the conditions all of whose contrasts are decided for good, at looks of at most so many seeds.

    They need no more seeds. A condition without contrasts is never settled.
    """
    decided: dict[str, bool] = {}
    for verdict in judge(study):
        final = verdict.look is not None and verdict.look <= seeds
        decided[verdict.condition] = final and decided.get(verdict.condition, True)
    return {condition for condition, final in decided.items() if final}


@dataclass(frozen=True)
class _Family:
    """What the rule says of one family, by look and claim.

    Args:
        stages: the looks that are judged.
        measured: the contrasts at each look.
        images: estimates over seeds and images.
        seeds_only, with_images, with_searches, matched: what stands after each look, judged on these estimates.
    """

    stages: tuple[Stage, ...]
    measured: list[list[Measured]]
    images: list[list[Estimate | None]]
    seeds_only: list[list[Decision]]
    with_images: list[list[Decision]]
    with_searches: list[list[Decision]]
    matched: list[list[Decision]]

    @property
    def size(self) -> int:
        """Claims of the family."""
        return len(self.measured[0])


def _judge_family(study: StudyData, contrasts: Sequence[ContrastRecord]) -> list[Verdict]:
    plan, ends = study.plan, settled(study)
    held = stages(study, [(contrast.condition, method) for contrast in contrasts for method in contrast.arms])
    measured = [[measure(study, contrast, stage.limit) for contrast in contrasts] for stage in held]

    def judged(estimates: list[list[Estimate | None]], margin: float = plan.smallest_effect) -> list[list[Decision]]:
        """Apply the rule; a condition that was settled has no data for the looks that follow."""
        current = [
            [
                one if ends.get(contrast.condition, plan.seeds) >= stage.seeds else None
                for contrast, one in zip(contrasts, row, strict=True)
            ]
            for stage, row in zip(held, estimates, strict=True)
        ]
        return decide(current, plan.look_alphas, plan.alpha, margin)

    images = [[over_images(study, one) for one in row] for row in measured]
    family = _Family(
        stages=held,
        measured=measured,
        images=images,
        seeds_only=judged([[one.over_seeds for one in row] for row in measured]),
        with_images=judged(images),
        with_searches=judged([[one.over_searches for one in row] for row in measured]),
        matched=judged([[one.matched_over_seeds for one in row] for row in measured], margin=0),
    )
    return [_verdict(study, family, claim) for claim in range(len(contrasts))]


def _verdict(study: StudyData, family: _Family, claim: int) -> Verdict:
    decision = family.seeds_only[-1][claim]
    stage, one = family.stages[decision.look], family.measured[decision.look][claim]
    images, matched = family.images[decision.look][claim], family.matched[decision.look][claim]
    beyond_images, beyond_searches = (
        judged[decision.look][claim].verdict == decision.verdict
        for judged in (family.with_images, family.with_searches)
    )
    over_searches = one.over_searches
    flip = sign_flip_p(one.cells.selection, one.cells.test, one.cells.searches) if one.seeds else 1.0
    found = Findings(
        measured=one,
        decision=decision,
        stage=stage,
        family=family.size,
        provisional=not is_final(family.stages, decision.look, decision.decided),
        sign_flip_p=flip,
        on_this_test_set=decision.decided and not beyond_images,
        images_known=images is not None,
        for_these_searches=decision.decided and over_searches is not None and not beyond_searches,
    )
    return _assembled(study, found, images, matched, over_searches)


def _assembled(
    study: StudyData, found: Findings, images: Estimate | None, matched: Decision, over_searches: Estimate | None
) -> Verdict:
    plan, one, decision = study.plan, found.measured, found.decision
    contrast, tuned = one.contrast, _effect(one.tuned, decision.p, decision.p_adjusted)
    values = (
        [as_maximized(plan.unit.metric, float(level.mean())) for level in one.levels] if one.seeds else [None, None]
    )
    open_ = not decision.decided and tuned is not None and tuned.spread is not None
    strictest = plan.look_alphas[-1] / found.family
    return Verdict(
        condition=contrast.condition,
        method=contrast.method,
        reference=contrast.reference,
        metric=plan.unit.metric,
        verdict=decision.verdict,
        on_this_test_set=found.on_this_test_set,
        for_these_searches=found.for_these_searches,
        provisional=found.provisional,
        look=None if found.provisional or not decision.decided else found.stage.seeds,
        family=contrast.family,
        seeds=one.seeds,
        planned_seeds=found.stage.seeds,
        searches=len(one.by_search),
        points=_chosen(one),
        value=values[0],
        reference_value=values[1],
        tuned=tuned,
        matched=_effect(one.matched, matched.p, matched.p_adjusted),
        images=images.interval if images else None,
        other_searches=over_searches.interval if over_searches else None,
        sign_flip_p=found.sign_flip_p,
        correlation=correlation(*one.levels) if one.seeds else None,
        improvement=improvement(one.tuned) if one.seeds else None,
        equivalence_p=decision.equivalence_p,
        equivalence_p_adjusted=decision.equivalence_p_adjusted,
        seeds_needed=seeds_needed(tuned.spread or 0, one.seeds, plan.smallest_effect, strictest)
        if tuned and open_
        else None,
        notes=weaknesses(study, found),
    )


def _chosen(one: Measured) -> tuple[tuple[int, int], ...]:
    """Return the numbers of the points that both arms chose, a pair a search."""
    method, reference = (one.cells.points[arm].tolist() for arm in one.chosen)
    return tuple(zip(method, reference, strict=True))


def _effect(differences: np.ndarray, p: float, p_adjusted: float) -> Effect | None:
    if differences.size == 0:
        return None
    estimate = over_seeds(differences)
    return Effect(
        mean=estimate.mean,
        spread=float(differences.std(ddof=1)) if differences.size > 1 else None,
        interval=estimate.interval,
        p=p,
        p_adjusted=p_adjusted,
        bca=bca_interval(differences),
    )
