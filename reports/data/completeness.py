"""Completeness: which runs the plan still requires, and which interim looks can be judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.data.frames import StudyData
from trainables.records import (
    CONFIRM,
    LookDecision,
    PoolDecision,
    PooledPoint,
    confirmed_points,
    latest_pools,
    settled_seeds,
)


@dataclass(frozen=True)
class Look:
    """One look (interim or final analysis) at a set of claims.

    Args:
        number: from 0.
        seeds: number of confirmation seeds at which the look is due.
        alpha: its error rate.
        last: whether no look follows; the last look also uses seeds beyond the plan.
        complete: whether all runs that it needs have ended. Looks after an incomplete one are not judged.
    """

    number: int
    seeds: int
    alpha: float
    last: bool
    complete: bool

    @property
    def limit(self) -> int | None:
        """The look ignores seeds with this number or a higher one; None for no limit."""
        return None if self.last else self.seeds


def looks_so_far(study: StudyData, arms: Iterable[tuple[str, str]]) -> tuple[Look, ...]:
    """Return the looks up to and including the first incomplete one.

    Args:
        study: the study.
        arms: condition and display name of every arm that the claims depend on.
    """
    plan, needed = study.plan, tuple(dict.fromkeys(arms))
    found = []
    for number, (seeds, alpha) in enumerate(zip(plan.looks, plan.look_alphas, strict=True)):
        complete = all(is_confirmed(study, condition, method, seeds) for condition, method in needed)
        found.append(Look(number, seeds, alpha, number == len(plan.looks) - 1, complete))
        if not complete:
            break
    return tuple(found)


def is_final(looks: Sequence[Look], look: int, decided: bool) -> bool:
    """Return whether a claim can no longer change.

    A decided claim is final once its look is complete; an undecided one once the last look is complete.

    Args:
        looks: the looks so far.
        look: number of the look that provided the data of the claim.
        decided: whether the claim is decided there.
    """
    return looks[look].complete if decided else looks[-1].last and looks[-1].complete


def is_confirmed(study: StudyData, condition: str, method: str, seeds: int) -> bool:
    """Return whether all confirmation runs of an arm with the first `seeds` seeds have ended.

    Of runs that Assay did not launch, none is outstanding.
    """
    if study.plan.observed:
        return True
    runs = study.runs_of(CONFIRM, condition, method)
    ended = runs["ended"].notna() & (runs["seed_index"] < seeds)
    return int(ended.sum()) >= planned_confirmations(study, condition, method, seeds)


def seeds_of(study: StudyData, condition: str, methods: Iterable[str]) -> int:
    """Return the number of seeds that several arms share: an arm gets no more once all claims about it are decided."""
    plan = study.plan
    looks = study.remembered("looks", lambda: [decision for _, decision in study.decisions_of(LookDecision)])
    return min((settled_seeds(looks, condition, method) or plan.seeds for method in methods), default=plan.seeds)


def pools_by_search(study: StudyData, condition: str) -> dict[int, tuple[PooledPoint, ...]]:
    """Return the pooled points of a condition by search; searches without a pool yet are left out."""
    latest = study.remembered("latest pools", lambda: latest_pools(_pools(study)))
    return {search: pool.points for (name, search), pool in latest.items() if name == condition}


def planned_confirmations(study: StudyData, condition: str, method: str, seeds: int | None = None) -> int:
    """Return the number of confirmation runs of an arm, an upper bound until all points are chosen.

    Args:
        study: the study.
        condition: name of the condition.
        method: display name of the arm.
        seeds: count the first `seeds` seeds only; by default all planned seeds.
    """
    arm = study.plan.arm(condition, method)
    if arm is None:
        return 0
    points = study.remembered("confirmed points", lambda: confirmed_points(study.plan, _pools(study)))
    planned = seeds_of(study, condition, [method])
    return points[arm.name] * (planned if seeds is None else min(seeds, planned))


def _pools(study: StudyData) -> list[PoolDecision]:
    return [decision for _, decision in study.decisions_of(PoolDecision)]
