"""Completeness: which runs the plan still requires, and which interim looks can be judged."""

from __future__ import annotations

from collections.abc import Iterable
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

Arm = tuple[str, str]
"""Condition and display name of an arm."""


@dataclass(frozen=True)
class Look:
    """One look (interim or final analysis) at a set of claims.

    Args:
        seeds: number of confirmation seeds at which the look is due.
        last: whether no look follows; the last look also uses seeds beyond the plan.
        complete: whether all runs that it needs have ended. Looks after an incomplete one are not judged.
    """

    seeds: int
    last: bool
    complete: bool

    @property
    def limit(self) -> int | None:
        """The look ignores seeds with this number or a higher one; None for no limit."""
        return None if self.last else self.seeds


def looks_so_far(study: StudyData, arms: Iterable[Arm]) -> tuple[Look, ...]:
    """Return the looks up to and including the first incomplete one.

    Args:
        study: the study.
        arms: every arm that the claims depend on.
    """
    looks, needed = study.plan.looks, tuple(dict.fromkeys(arms))
    found = []
    for seeds in looks:
        complete = all(is_confirmed(study, condition, method, seeds) for condition, method in needed)
        found.append(Look(seeds, seeds == looks[-1], complete))
        if not complete:
            break
    return tuple(found)


def is_confirmed(study: StudyData, condition: str, method: str, seeds: int) -> bool:
    """Return whether all confirmation runs of an arm with the first `seeds` seeds have ended.

    Of runs that Assay did not launch, none is outstanding.
    """
    if study.plan.observed:
        return True
    runs = study.runs_of(CONFIRM, condition, method)
    ended = runs["ended"].notna() & (runs["seed_index"] < seeds)
    return int(ended.sum()) >= planned_confirmations(study, condition, method, seeds)


def seeds_of(study: StudyData, condition: str, method: str) -> int:
    """Return the number of seeds of an arm: it gets no more once all claims about it are decided."""
    looks = study.remembered("looks", lambda: [decision for _, decision in study.decisions_of(LookDecision)])
    return settled_seeds(looks, condition, method) or study.plan.seeds


def gets_seeds(study: StudyData, arms: Iterable[Arm], seeds: int) -> bool:
    """Return whether all arms get that many seeds."""
    return all(seeds_of(study, condition, method) >= seeds for condition, method in arms)


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
    planned = seeds_of(study, condition, method)
    return points[arm.name] * (planned if seeds is None else min(seeds, planned))


def _pools(study: StudyData) -> list[PoolDecision]:
    return [decision for _, decision in study.decisions_of(PoolDecision)]
