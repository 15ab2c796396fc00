"""The verdict of every contrast: helps, hurts, equivalent or undecided, with all that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reports.crossed import Crossed, crossed
from reports.estimators import (
    Estimate,
    Interval,
    Proportion,
    bca_interval,
    improvement,
    matched_differences,
    over_seeds,
    over_seeds_and_images,
    tuned_differences,
)
from reports.frames import Study
from reports.plan import Contrast, Plan
from reports.significance import SeedsNeeded, difference_p, equivalence_p, holm, seeds_needed, sign_flip_p
from reports.weaknesses import Findings, is_provisional, weaknesses
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED


@dataclass(frozen=True)
class Effect:
    """A mean difference of test accuracy, method minus reference, as a fraction.

    Args:
        mean: the difference.
        spread: standard deviation over seeds, None for one seed.
        interval: 95 % interval over seeds on this test set, None where there is no spread.
        p: two-sided p-value of the paired t-test, 1 where there is none.
        p_adjusted: Holm's, over the study's whole family.
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
    """The answer for one contrast. All accuracies and effects are fractions.

    Args:
        condition: name of the condition.
        method: display name of the method.
        reference: display name of what it is held against.
        verdict: one of `records.VERDICTS`.
        on_this_test_set: the claim is about this test set: over other images like these it would not stand.
        provisional: confirmation runs are still to come.
        seeds: pairs that count.
        planned_seeds: pairs that the plan asks for.
        points: the pooled points that the method and the reference chose, None without pairs.
        accuracy: mean test accuracy of the method at its point.
        reference_accuracy: the same of the reference.
        tuned: each arm at its own best point; this effect decides. None without pairs.
        matched: both arms at the same points; stands beside it.
        images: 95 % interval of the tuned effect over seeds and images, None without the record of single
            images.
        sign_flip_p: p-value of the sign-flip test that repeats the choice.
        improvement: probability that the method is better with the same seed.
        equivalence_p: of the two one-sided tests at the smallest effect of interest.
        equivalence_p_adjusted: Holm's.
        seeds_needed: where undecided, the seeds that would find the smallest effect of interest.
        notes: what weakens the claim, in sentences.
    """

    condition: str
    method: str
    reference: str
    verdict: str
    on_this_test_set: bool
    provisional: bool
    seeds: int
    planned_seeds: int
    points: tuple[int, int] | None
    accuracy: float | None
    reference_accuracy: float | None
    tuned: Effect | None
    matched: Effect | None
    images: Interval | None
    sign_flip_p: float
    improvement: Proportion | None
    equivalence_p: float
    equivalence_p_adjusted: float
    seeds_needed: SeedsNeeded | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    """One contrast before the family is looked at. The differences have shape (S,), S may be 0."""

    contrast: Contrast
    cells: Crossed
    tuned: np.ndarray
    matched: np.ndarray
    chosen: tuple[int, int]
    images: Estimate | None


@dataclass(frozen=True)
class _Decision:
    p: float
    p_adjusted: float
    equivalence_p: float
    equivalence_p_adjusted: float
    verdict: str


def judge(study: Study) -> list[Verdict]:
    """Judge every contrast of the plan, in its order.

    The family is the plan's, not what happens to be finished: a contrast without data takes part with p = 1.
    Both Holm corrections, of the differences and of the equivalences, go over that family.
    """
    plan = study.plan
    measured = [_measure(study, contrast) for contrast in plan.contrasts]
    seeds_only = _decide([over_seeds(one.tuned) if one.tuned.size else None for one in measured], plan)
    with_images = _decide([one.images for one in measured], plan)
    matched = [over_seeds(one.matched) if one.matched.size else None for one in measured]
    matched_p = [1.0 if estimate is None else difference_p(estimate) for estimate in matched]
    matched_adjusted = holm(matched_p)
    return [
        _verdict(study, one, decision, wider, (p, adjusted))
        for one, decision, wider, p, adjusted in zip(
            measured, seeds_only, with_images, matched_p, matched_adjusted, strict=True
        )
    ]


def _measure(study: Study, contrast: Contrast) -> _Measured:
    cells = crossed(study, contrast)
    if cells.seeds.size == 0:
        return _Measured(contrast, cells, np.empty(0), np.empty(0), (0, 0), None)
    tuned, chosen = tuned_differences(cells.selection, cells.test)
    matched = matched_differences(cells.test)
    return _Measured(contrast, cells, tuned, matched, chosen, _images(study, cells, chosen))


def _images(study: Study, cells: Crossed, chosen: tuple[int, int]) -> Estimate | None:
    """Estimate the tuned effect over seeds and images, or None where single images are not recorded."""
    names = [list(cells.runs[arm, point]) for arm, point in enumerate(chosen)]
    found = study.correctness([name for arm in names for name in arm])
    if len(found) < sum(map(len, names)) or len({len(correct) for correct in found.values()}) != 1:
        return None
    method, reference = (np.stack([found[name] for name in arm]) for arm in names)
    return over_seeds_and_images(method, reference)


def _decide(estimates: Sequence[Estimate | None], plan: Plan) -> list[_Decision]:
    """Apply the verdict rule to the whole family."""
    differences = [1.0 if estimate is None else difference_p(estimate) for estimate in estimates]
    equivalences = [
        1.0 if estimate is None else equivalence_p(estimate, plan.smallest_effect) for estimate in estimates
    ]
    adjusted, equivalent = holm(differences), holm(equivalences)
    return [
        _Decision(p, p_adjusted, q, q_adjusted, _rule(estimate, p_adjusted, q_adjusted, plan.alpha))
        for estimate, p, p_adjusted, q, q_adjusted in zip(
            estimates, differences, adjusted, equivalences, equivalent, strict=True
        )
    ]


def _rule(estimate: Estimate | None, difference: float, equivalence: float, alpha: float) -> str:
    """Return the verdict from the two adjusted p-values; equivalence takes precedence."""
    if estimate is None:
        return UNDECIDED
    if equivalence <= alpha:
        return EQUIVALENT
    if difference <= alpha:
        return HELPS if estimate.mean > 0 else HURTS
    return UNDECIDED


def _verdict(
    study: Study, one: _Measured, decision: _Decision, wider: _Decision, matched_p: tuple[float, float]
) -> Verdict:
    plan, cells, contrast = study.plan, one.cells, one.contrast
    pairs = len(cells.seeds)
    flip = sign_flip_p(cells.selection, cells.test) if pairs else 1.0
    tuned = _effect(one.tuned, decision.p, decision.p_adjusted)
    accuracies = [float(cells.test[arm, point].mean()) for arm, point in enumerate(one.chosen) if pairs]
    on_this_test_set = decision.verdict not in (UNDECIDED, wider.verdict)
    found = Findings(
        verdict=decision.verdict,
        tuned=over_seeds(one.tuned) if pairs else None,
        matched=float(one.matched.mean()) if pairs else 0.0,
        p_adjusted=decision.p_adjusted,
        sign_flip_p=flip,
        on_this_test_set=on_this_test_set,
        images_known=one.images is not None,
    )
    needed = None
    if decision.verdict == UNDECIDED and tuned is not None and tuned.spread is not None:
        strictest = plan.alpha / len(plan.contrasts)
        needed = seeds_needed(tuned.spread, pairs, plan.smallest_effect, strictest)
    return Verdict(
        condition=contrast.condition,
        method=contrast.method,
        reference=contrast.reference,
        verdict=decision.verdict,
        on_this_test_set=on_this_test_set,
        provisional=is_provisional(study, contrast),
        seeds=pairs,
        planned_seeds=plan.seeds,
        points=(int(cells.points[one.chosen[0]]), int(cells.points[one.chosen[1]])) if pairs else None,
        accuracy=accuracies[0] if accuracies else None,
        reference_accuracy=accuracies[1] if accuracies else None,
        tuned=tuned,
        matched=_effect(one.matched, *matched_p),
        images=one.images.interval if one.images else None,
        sign_flip_p=flip,
        improvement=improvement(one.tuned) if pairs else None,
        equivalence_p=decision.equivalence_p,
        equivalence_p_adjusted=decision.equivalence_p_adjusted,
        seeds_needed=needed,
        notes=weaknesses(study, contrast, cells, found),
    )


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
