"""Factorial effects: main effects and two-way interactions of the compared factors.

Each arm is a cell of the factorial, that is, one level of every factor, evaluated at its own best points. The base
level of a factor is its level in the reference arm. A main effect is "this level minus the base level", averaged over
the cells of the other factors. An interaction is how much larger the effect of one change is together with another
change, also averaged over the other factors. Both are paired by seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from reports.data.completeness import Look
from reports.data.frames import StudyData
from reports.inference.families import Family
from reports.inference.paired_cells import paired_cells
from reports.statistics.estimators import Estimate, at_points, over_seeds, own_best
from reports.statistics.group_sequential import Decision
from trainables.records import COMPLETED, CONFIRM, ArmRecord, PlanRecord


@dataclass(frozen=True)
class LevelChange:
    """Replacement of a factor's base level by another level."""

    factor: str
    base: Any
    level: Any


@dataclass(frozen=True)
class FactorialTerm:
    """A term of the factorial: a main effect (one change) or a two-way interaction (two changes)."""

    condition: str
    changes: tuple[LevelChange, ...]


@dataclass(frozen=True)
class FactorialEffect:
    """The effect of a term.

    Args:
        term: the term.
        decision: the verdict with its estimate.
        cells: number of cells of the other factors over which the effect is averaged; 0 without data.
        seeds: number of seeds that count.
        provisional: whether outstanding runs may change the verdict.
    """

    term: FactorialTerm
    decision: Decision
    cells: int
    seeds: int
    provisional: bool


@dataclass(frozen=True)
class _CellValues:
    """Levels of a condition's arms that have results, and their test metric: float (A, S)."""

    levels: tuple[Mapping[str, Any], ...]
    values: np.ndarray


def factorial_effects(study: StudyData) -> list[FactorialEffect]:
    """Judge all main effects and two-way interactions of a factorial as one family.

    They are judged at the looks of the plan. The list is empty for a study that compares fewer than two factors.
    """
    plan = study.plan
    terms = [term for condition in plan.conditions for term in factorial_terms(plan, condition.name)]
    if not terms:
        return []
    arms = {name: factorial_arms(plan, name) for name in dict.fromkeys(term.condition for term in terms)}
    claims = [[(arm.condition, arm.method) for arm in arms[term.condition]] for term in terms]

    def differences(look: Look) -> list[np.ndarray]:
        cells = {name: _cell_values(study, own, look) for name, own in arms.items()}
        return [_term_differences(cells[term.condition], term) for term in terms]

    def estimate(found: np.ndarray) -> Estimate | None:
        return over_seeds(found.mean(axis=0), plan.open_ended) if found.size else None

    return [
        FactorialEffect(
            term,
            claim.decision,
            *(claim.data.shape if claim.decision.estimate else (0, 0)),
            provisional=claim.provisional,
        )
        for term, claim in zip(terms, Family(study, claims, differences).judge(estimate), strict=True)
    ]


def factorial_arms(plan: PlanRecord, condition: str) -> tuple[ArmRecord, ...]:
    """Return the arms of a condition that are cells of its factorial; arms at another method's compute are not."""
    return tuple(arm for arm in plan.arms if arm.condition == condition and arm.levels and not arm.compute_of)


def factorial_terms(plan: PlanRecord, condition: str) -> list[FactorialTerm]:
    """Return the main effects, then the two-way interactions; empty for fewer than two factors.

    Args:
        plan: plan of the study.
        condition: name of the condition.
    """
    arms = factorial_arms(plan, condition)
    base = next((arm.levels for arm in arms if arm.reference), None)
    if base is None:
        return []
    by_factor = [changes for factor, level in base.items() if (changes := _level_changes(arms, factor, level))]
    if len(by_factor) < 2:
        return []
    main_effects = [FactorialTerm(condition, (change,)) for changes in by_factor for change in changes]
    interactions = [
        FactorialTerm(condition, (one, other))
        for first, second in combinations(by_factor, 2)
        for one in first
        for other in second
    ]
    return main_effects + interactions


def _level_changes(arms: Sequence[ArmRecord], factor: str, base: Any) -> list[LevelChange]:
    """Return the changes of a factor from its base level to every other level, in the order of the arms."""
    found: list[LevelChange] = []
    for arm in arms:
        change = LevelChange(factor, base, arm.levels.get(factor, base))
        if change.level != base and change not in found:
            found.append(change)
    return found


def _cell_values(study: StudyData, arms: Sequence[ArmRecord], look: Look) -> _CellValues:
    """Return the cells at a look. Arms without any result are left out, so that the others keep their seeds."""
    alive = [arm for arm in arms if (study.runs_of(CONFIRM, arm.condition, arm.method)["outcome"] == COMPLETED).any()]
    if not alive:
        return _CellValues((), np.empty((0, 0)))
    found = paired_cells(study, alive[0].condition, [arm.method for arm in alive], look.limit)
    if not found.seeds.size:
        return _CellValues((), np.empty((0, 0)))
    chosen = own_best(found.selection, found.searches, study.plan.shrinks_choice)
    values = at_points(found.test, chosen).mean(axis=1)
    return _CellValues(tuple(arm.levels for arm in alive), values)


def _term_differences(cells: _CellValues, term: FactorialTerm) -> np.ndarray:
    """Return the effect of a term by seed, in each combination of the other factors with all cells: float (C, S)."""
    changed = {change.factor for change in term.changes}
    combinations_of_others: list[dict[str, Any]] = []
    for levels in cells.levels:
        others = {factor: level for factor, level in levels.items() if factor not in changed}
        if others not in combinations_of_others:
            combinations_of_others.append(others)
    by_combination = [_signed_sum(cells, others, term.changes) for others in combinations_of_others]
    found = [differences for differences in by_combination if differences is not None]
    return np.stack(found) if found else np.empty((0, 0))


def _signed_sum(cells: _CellValues, others: Mapping[str, Any], changes: Sequence[LevelChange]) -> np.ndarray | None:
    """Return the signed sum over the cells of a term, float (S,), or None if one of them is missing.

    Args:
        cells: all cells.
        others: levels of the other factors.
        changes: changes of the term.
    """
    total = np.zeros(cells.values.shape[1])
    for sign, levels in _signed_cells(changes):
        position = next((i for i, own in enumerate(cells.levels) if own == {**others, **levels}), None)
        if position is None:
            return None
        total = total + sign * cells.values[position]
    return total


def _signed_cells(changes: Sequence[LevelChange]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the cells of a term with their signs: +1 if an even number of factors has its base level, else -1."""
    for bits in range(2 ** len(changes)):
        changed = [bits >> position & 1 for position in range(len(changes))]
        levels = {one.factor: one.level if new else one.base for one, new in zip(changes, changed, strict=True)}
        yield (-1) ** (len(changes) - sum(changed)), levels
