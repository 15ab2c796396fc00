"""What the plan still asks for: pools, settled conditions, confirmation runs, and the looks that are due."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reports.data.frames import StudyData
from trainables.records import (
    COMPLETED,
    CONFIRM,
    SEARCH,
    ArmRecord,
    LookDecision,
    PoolDecision,
    PooledPoint,
    latest_pools,
    settled_conditions,
)


@dataclass(frozen=True)
class Stage:
    """One look at a set of claims.

    Args:
        number: from 0.
        seeds: confirmation seeds at which it is due.
        alpha: its error rate.
        last: no look comes after it; seeds beyond the plan count here.
        complete: every run that it rests on has ended; the stages after an incomplete one are not judged.
    """

    number: int
    seeds: int
    alpha: float
    last: bool
    complete: bool

    @property
    def limit(self) -> int | None:
        """Seeds from this number on do not count; None for no limit."""
        return None if self.last else self.seeds


def stages(study: StudyData, arms: Iterable[tuple[str, str]]) -> tuple[Stage, ...]:
    """Return the looks up to the first that is not complete.

    Args:
        study: the study.
        arms: condition and display name of the arms whose runs the claims rest on.
    """
    plan, needed = study.plan, tuple(dict.fromkeys(arms))
    found = []
    for number, (seeds, alpha) in enumerate(zip(plan.looks, plan.look_alphas, strict=True)):
        complete = all(is_confirmed(study, condition, method, seeds) for condition, method in needed)
        found.append(Stage(number, seeds, alpha, number == len(plan.looks) - 1, complete))
        if not complete:
            break
    return tuple(found)


def is_final(held: Sequence[Stage], look: int, decided: bool) -> bool:
    """Return whether no run can change a claim any more.

    Args:
        held: the looks that are judged.
        look: the one whose data the claim rests on.
        decided: it is decided there; what is not waits for the last look.
    """
    return held[look].complete if decided else held[-1].last and held[-1].complete


def is_confirmed(study: StudyData, condition: str, method: str, seeds: int) -> bool:
    """Return whether all confirmation runs of an arm with the first seeds have ended."""
    runs = study.runs_of(CONFIRM, condition, method)
    ended = runs["ended"].notna() & (runs["seed_index"] < seeds)
    return int(ended.sum()) >= planned_confirmations(study, condition, method, seeds)


def settled(study: StudyData) -> dict[str, int]:
    """Return the conditions that get no more seeds because all is decided, with the seeds they have."""
    return settled_conditions(decision for _, decision in study.decisions_of(LookDecision))


def pools(study: StudyData, condition: str) -> dict[int, tuple[PooledPoint, ...]]:
    """Return the pooled points of a condition by search, as far as they are chosen."""
    decided = latest_pools(decision for _, decision in study.decisions_of(PoolDecision))
    return {search: pool.points for (name, search), pool in decided.items() if name == condition}


def planned_trials(study: StudyData, arm: ArmRecord) -> int:
    """Return how many search runs an arm gets, in all its searches."""
    return study.plan.trials_of(arm)


def planned_confirmations(study: StudyData, condition: str, method: str, seeds: int | None = None) -> int:
    """Return how many confirmation runs an arm gets; where points are not chosen yet, at most.

    An arm none of whose runs in a search was completed has nothing to confirm at that search's points.

    Args:
        study: the study.
        condition: name of the condition.
        method: display name of the arm.
        seeds: count only the first seeds; by default all that are planned.
    """
    plan, chosen = study.plan, pools(study, condition)
    wanted = min(plan.seeds if seeds is None else seeds, settled(study).get(condition, plan.seeds))
    points = 0
    for search in range(plan.replicates):
        if search not in chosen:
            points += plan.points
        elif not _is_barren(study, condition, method, search):
            points += len(chosen[search])
    return wanted * points


def _is_barren(study: StudyData, condition: str, method: str, search: int) -> bool:
    """Return whether no run of an arm's search was completed; an arm without a search has another's."""
    trials = study.plan.trials_per_arm
    arm = study.plan.arm(condition, method)
    runs = study.runs_of(SEARCH, condition, arm.same_as if arm and arm.same_as else method)
    own = runs[runs["index"] // trials == search] if trials > 0 else runs
    return trials > 0 and not (own["outcome"] == COMPLETED).any()
