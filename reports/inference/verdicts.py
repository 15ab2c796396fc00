"""Verdicts: whether a method helps, hurts, is equivalent or is undecided, with the evidence for each contrast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.data.completeness import Arm
from reports.data.frames import StudyData
from reports.inference.caveats import JudgedContrast, caveats
from reports.inference.contrasts import ContrastData, ContrastEstimates, arms_of, estimate_contrasts
from reports.inference.families import Family
from reports.statistics.estimators import (
    Estimate,
    Interval,
    Proportion,
    bca_interval,
    correlation,
    improvement,
)
from reports.statistics.group_sequential import Decision
from reports.statistics.significance import SeedsNeeded, seeds_needed, sign_flip_p
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


def decided_arms(study: StudyData, seeds: int) -> set[Arm]:
    """Return the arms that need no more seeds.

    These are the arms whose contrasts were all finally decided at a look of at most `seeds` seeds, and all arms of a
    condition whose contrasts were. An arm without contrasts continues as long as its condition does.
    """
    decided, undecided = set[Arm](), set[Arm]()
    for family in study.plan.families:
        contrasts = [study.plan.contrasts[index] for index in family]
        for contrast, claim in zip(contrasts, _family(study, contrasts).judge(_tuned), strict=True):
            final = claim.decision.decided and claim.look.complete and claim.look.seeds <= seeds
            (decided if final else undecided).update(arms_of(contrast))
    settled = {condition for condition, _ in decided} - {condition for condition, _ in undecided}
    others = {(arm.condition, arm.method) for arm in study.plan.arms if arm.condition in settled}
    return (decided - undecided) | others


def _family(study: StudyData, contrasts: Sequence[ContrastRecord]) -> Family[ContrastEstimates]:
    return Family(study, list(map(arms_of, contrasts)), lambda look: estimate_contrasts(study, contrasts, look))


def _tuned(estimates: ContrastEstimates) -> Estimate | None:
    return estimates.tuned


def _judge_family(study: StudyData, contrasts: Sequence[ContrastRecord]) -> list[Verdict]:
    family = _family(study, contrasts)
    others = (
        family.decide(lambda one: one.matched, margin=0),
        family.decide(lambda one: one.over_images),
        family.decide(lambda one: one.over_searches),
    )
    verdicts = []
    for number, claim in enumerate(family.judge(_tuned)):
        at_same_points, with_images, with_searches = (decisions[claim.decision.look][number] for decisions in others)
        estimates, decision, cells = claim.data, claim.decision, claim.data.data.cells
        judged = JudgedContrast(
            estimates=estimates,
            decision=decision,
            matched=at_same_points,
            look=claim.look,
            family=len(contrasts),
            provisional=claim.provisional,
            sign_flip_p=sign_flip_p(cells.selection, cells.test, cells.searches, study.plan.shrinks_choice),
            on_this_test_set=decision.decided and with_images.verdict != decision.verdict,
            for_these_searches=decision.decided
            and estimates.over_searches is not None
            and with_searches.verdict != decision.verdict,
        )
        verdicts.append(_verdict(study, judged))
    return verdicts


def _verdict(study: StudyData, judged: JudgedContrast) -> Verdict:
    plan, data, decision = study.plan, judged.data, judged.decision
    images, searches = judged.estimates.over_images, judged.estimates.over_searches
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
        matched=_effect(data.matched, judged.matched),
        official=judged.estimates.official,
        images=images.interval if images else None,
        other_searches=searches.interval if searches else None,
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
    claim = judged.data.contrast
    alike = [one for one in study.plan.contrasts if (one.condition, one.family) == (claim.condition, claim.family)]
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
