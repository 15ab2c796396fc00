"""What does each change buy? Main effects and two-way interactions of compared factors.

An arm is a cell: one level of every factor, at its own best points. The base level of a factor is that of the reference
arm. A main effect is the mean over the cells of the other factors of "this level minus the base"; an interaction is how
much more one change is worth together with another, again as the mean over the rest. Both are paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from reports.data.completeness import Stage, is_final, settled, stages
from reports.data.frames import StudyData
from reports.inference.paired_cells import crossed
from reports.statistics.estimators import Estimate, at_points, over_seeds, own_best
from reports.statistics.group_sequential import Decision, decide
from trainables.records import COMPLETED, CONFIRM, ArmRecord, PlanRecord


@dataclass(frozen=True)
class Swap:
    """One level of a factor in the place of its base level."""

    factor: str
    base: Any
    level: Any


@dataclass(frozen=True)
class Term:
    """A main effect (one swap) or a two-way interaction (two)."""

    condition: str
    swaps: tuple[Swap, ...]


@dataclass(frozen=True)
class Gain:
    """What a term of a factorial is worth.

    Args:
        term: which.
        decision: the verdict on it, with its estimate.
        cells: how many cells of the rest it is the mean of, 0 without data.
        seeds: seeds that count.
        provisional: runs are still to come that may change it.
    """

    term: Term
    decision: Decision
    cells: int
    seeds: int
    provisional: bool


@dataclass(frozen=True)
class _Cells:
    """The cells of one condition: levels of the arms that have any result, and their test figures, float (A, S)."""

    levels: tuple[Mapping[str, Any], ...]
    values: np.ndarray


def gains(study: StudyData) -> list[Gain]:
    """Judge all main effects and two-way interactions of a factorial, in one family of their own.

    With several looks they are judged at the same looks. A study that compares fewer than two factors has none.
    """
    plan, ends = study.plan, settled(study)
    found = [term for condition in plan.conditions for term in terms(plan, condition.name)]
    if not found:
        return []
    arms = {name: cells_of(plan, name) for name in dict.fromkeys(term.condition for term in found)}
    held = stages(study, [(arm.condition, arm.method) for own in arms.values() for arm in own])
    cells = [{name: _cells(study, own, stage) for name, own in arms.items()} for stage in held]

    def differences(look: int, term: Term) -> np.ndarray:
        """Return what the term is worth for each seed and cell of the rest, float (C, S)."""
        if ends.get(term.condition, plan.seeds) < held[look].seeds:
            return np.empty((0, 0))
        return _worth(cells[look][term.condition], term)

    worth = [[differences(look, term) for term in found] for look in range(len(held))]
    estimates = [[_estimate(one) for one in row] for row in worth]
    decisions = decide(estimates, plan.look_alphas, plan.alpha, plan.smallest_effect)[-1]
    return [
        _gain(term, decision, worth[decision.look][place], is_final(held, decision.look, decision.decided))
        for place, (term, decision) in enumerate(zip(found, decisions, strict=True))
    ]


def _gain(term: Term, decision: Decision, worth: np.ndarray, final: bool) -> Gain:
    cells, seeds = worth.shape
    return Gain(term, decision, cells, seeds, not final)


def cells_of(plan: PlanRecord, condition: str) -> tuple[ArmRecord, ...]:
    """Return the arms of a condition that are cells of its factorial; what has another's settings is none."""
    return tuple(arm for arm in plan.arms if arm.condition == condition and arm.levels and not arm.compute_of)


def terms(plan: PlanRecord, condition: str) -> list[Term]:
    """Return the main effects, then the two-way interactions, of a condition's factorial of two factors or more."""
    arms = cells_of(plan, condition)
    base = next((arm.levels for arm in arms if arm.reference), None)
    if base is None:
        return []
    by_factor: dict[str, list[Swap]] = {}
    for factor in base:
        levels: list[Any] = []
        for arm in arms:
            if arm.levels.get(factor, base[factor]) not in [base[factor], *levels]:
                levels.append(arm.levels[factor])
        if levels:
            by_factor[factor] = [Swap(factor, base[factor], level) for level in levels]
    if len(by_factor) < 2:
        return []
    mains = [Term(condition, (swap,)) for swaps in by_factor.values() for swap in swaps]
    both = [
        Term(condition, (one, other))
        for first, second in combinations(by_factor.values(), 2)
        for one in first
        for other in second
    ]
    return mains + both


def _cells(study: StudyData, arms: Sequence[ArmRecord], stage: Stage) -> _Cells:
    """Return the cells at a look: arms without any result do not cost the others their seeds."""
    alive = [arm for arm in arms if (study.runs_of(CONFIRM, arm.condition, arm.method)["outcome"] == COMPLETED).any()]
    if not alive:
        return _Cells((), np.empty((0, 0)))
    found = crossed(study, alive[0].condition, [arm.method for arm in alive], stage.limit)
    if not found.seeds.size:
        return _Cells((), np.empty((0, 0)))
    values = at_points(found.test, own_best(found.selection, found.searches)).mean(axis=1)
    return _Cells(tuple(arm.levels for arm in alive), values)


def _worth(cells: _Cells, term: Term) -> np.ndarray:
    """Return what a term is worth for each seed, in each cell of the rest that has all that it needs: (C, S)."""
    swapped = {swap.factor for swap in term.swaps}
    rests: list[dict[str, Any]] = []
    for levels in cells.levels:
        rest = {factor: level for factor, level in levels.items() if factor not in swapped}
        if rest not in rests:
            rests.append(rest)
    found = [worth for rest in rests if (worth := _in_cell(cells, rest, term.swaps)) is not None]
    return np.stack(found) if found else np.empty((0, 0))


def _in_cell(cells: _Cells, rest: Mapping[str, Any], swaps: Sequence[Swap]) -> np.ndarray | None:
    """Return the signed sum of the cells of a term, float (S,); None where one of them is missing."""
    total = np.zeros(cells.values.shape[1])
    for sign, levels in _corners(swaps):
        place = next((place for place, own in enumerate(cells.levels) if own == {**rest, **levels}), None)
        if place is None:
            return None
        total = total + sign * cells.values[place]
    return total


def _corners(swaps: Sequence[Swap]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the cells of a term with their signs: plus where an even number of factors has its base level."""
    for bits in range(2 ** len(swaps)):
        chosen = [bits >> place & 1 for place in range(len(swaps))]
        levels = {s.factor: s.level if new else s.base for s, new in zip(swaps, chosen, strict=True)}
        yield (-1) ** (len(swaps) - sum(chosen)), levels


def _estimate(worth: np.ndarray) -> Estimate | None:
    return over_seeds(worth.mean(axis=0)) if worth.size else None
