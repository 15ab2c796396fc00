"""What the plan still asks for: pools, settled conditions, confirmation runs, and the looks that are due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.data.frames import Study
from reports.data.plan import Arm
from trainables.records import COMPLETED, CONFIRM, LOOK, POOL, SEARCH


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


def stages(study: Study, arms: Iterable[tuple[str, str]]) -> tuple[Stage, ...]:
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


def is_confirmed(study: Study, condition: str, method: str, seeds: int) -> bool:
    """Return whether all confirmation runs of an arm with the first seeds have ended."""
    runs = study.runs_of(CONFIRM, condition, method)
    ended = runs["ended"].notna() & (runs["seed"] < seeds)
    return int(ended.sum()) >= planned_confirmations(study, condition, method, seeds)


def settled(study: Study) -> dict[str, int]:
    """Return the conditions that get no more seeds because all is decided, with the seeds they have."""
    found: dict[str, int] = {}
    for detail in study.decisions.loc[study.decisions["kind"] == LOOK, "detail"]:
        for condition in detail["settled"]:
            found.setdefault(condition, int(detail["seeds"]))
    return found


def pools(study: Study, condition: str) -> dict[int, list[Mapping[str, Any]]]:
    """Return the pooled points of a condition by search, as far as they are chosen."""
    decisions = study.decisions.loc[study.decisions["kind"] == POOL, "detail"]
    return {
        int(detail.get("search", 0)): list(detail["points"]) for detail in decisions if detail["condition"] == condition
    }


def planned_trials(study: Study, arm: Arm) -> int:
    """Return how many search runs an arm gets, in all its searches."""
    return 0 if arm.compute_of else study.plan.trials_per_arm * study.plan.replicates


def planned_confirmations(study: Study, condition: str, method: str, seeds: int | None = None) -> int:
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


def _is_barren(study: Study, condition: str, method: str, search: int) -> bool:
    """Return whether no run of an arm's search was completed; an arm without a search has another's."""
    trials = study.plan.trials_per_arm
    arm = study.plan.arm(condition, method)
    runs = study.runs_of(SEARCH, condition, arm.same_as if arm and arm.same_as else method)
    own = runs[runs["k"] // trials == search] if trials > 0 else runs
    return trials > 0 and not (own["outcome"] == COMPLETED).any()
