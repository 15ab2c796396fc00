"""When does it help? Differences of a method's effect between neighbouring conditions.

Conditions are neighbours if they differ in one factor only: by one step where its levels are numbers, by any two levels
otherwise. A threshold is therefore never more than the gap between two grid points.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from reports.data.completeness import is_final, settled, stages
from reports.data.frames import StudyData
from reports.inference.contrasts import Measured, measure
from reports.statistics.estimators import Estimate, over_seeds, unpaired
from reports.statistics.group_sequential import Decision, decide
from trainables.records import ConditionRecord, ContrastRecord, PlanRecord


@dataclass(frozen=True)
class Pair:
    """The same contrast under two neighbouring conditions.

    Args:
        first: under the condition that comes first, of numbers the lower.
        second: under the other.
        factor: in which they differ.
    """

    first: ContrastRecord
    second: ContrastRecord
    factor: str


@dataclass(frozen=True)
class Change:
    """How an effect changes between two neighbouring conditions.

    Args:
        pair: the contrasts.
        effects: tuned effects under the first and the second condition, None without pairs.
        decision: on the second effect minus the first: `equivalent` means that it does not change.
        seeds: seeds that are shared, 0 where the two means are compared unpaired.
        provisional: runs are still to come that may change it.
    """

    pair: Pair
    effects: tuple[float | None, float | None]
    decision: Decision
    seeds: int
    provisional: bool


def changes(study: StudyData) -> list[Change]:
    """Judge all pairs of neighbouring conditions, each family of claims with a Holm correction of its own.

    With several looks they are judged at the same looks, for the seeds that a condition gets depend on what was seen.
    """
    pairs = neighbours(study.plan)
    families = sorted({_family(pair) for pair in pairs})
    return [change for family in families for change in _judged(study, [p for p in pairs if _family(p) == family])]


def neighbours(plan: PlanRecord) -> list[Pair]:
    """Return every contrast's pairs of neighbouring conditions, contrast by contrast and factor by factor."""
    found = []
    for arms in dict.fromkeys(contrast.arms for contrast in plan.contrasts):
        under = {contrast.condition: contrast for contrast in plan.contrasts if contrast.arms == arms}
        held = [condition for condition in plan.conditions if condition.name in under]
        for factor in dict.fromkeys(factor for condition in held for factor in condition.values):
            for one, other in _steps(held, factor):
                found.append(Pair(under[one.name], under[other.name], factor))
    return found


def _steps(conditions: Sequence[ConditionRecord], factor: str) -> Iterator[tuple[ConditionRecord, ConditionRecord]]:
    """Yield the pairs of conditions that differ by one step of a factor."""
    lines: list[tuple[Mapping[str, Any], list[ConditionRecord]]] = []
    for condition in conditions:
        if factor not in condition.values:
            continue
        others = {name: value for name, value in condition.values.items() if name != factor}
        line = next((line for same, line in lines if same == others), None)
        if line is None:
            lines.append((others, [condition]))
        else:
            line.append(condition)
    for _, line in lines:
        if all(is_number(condition.values[factor]) for condition in line):
            yield from pairwise(sorted(line, key=lambda condition: condition.values[factor]))
        else:
            yield from combinations(line, 2)


def is_number(value: Any) -> bool:
    """Return whether a level can be ordered by its size."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _family(pair: Pair) -> int:
    return max(pair.first.family, pair.second.family)


def _judged(study: StudyData, pairs: Sequence[Pair]) -> list[Change]:
    plan, ends = study.plan, settled(study)
    contrasts = list(dict.fromkeys(contrast for pair in pairs for contrast in (pair.first, pair.second)))
    held = stages(study, [(contrast.condition, method) for contrast in contrasts for method in contrast.arms])
    measured = [{contrast: measure(study, contrast, stage.limit) for contrast in contrasts} for stage in held]

    def estimate(look: int, pair: Pair) -> Estimate | None:
        conditions = (pair.first.condition, pair.second.condition)
        if any(ends.get(condition, plan.seeds) < held[look].seeds for condition in conditions):
            return None
        return _difference(measured[look][pair.first], measured[look][pair.second])[0]

    estimates = [[estimate(look, pair) for pair in pairs] for look in range(len(held))]
    decisions = decide(estimates, plan.look_alphas, plan.alpha, plan.smallest_effect)[-1]
    return [
        _change(pair, decision, measured[decision.look], is_final(held, decision.look, decision.decided))
        for pair, decision in zip(pairs, decisions, strict=True)
    ]


def _change(pair: Pair, decision: Decision, measured: Mapping[ContrastRecord, Measured], final: bool) -> Change:
    first, second = measured[pair.first], measured[pair.second]
    effects = tuple(one.over_seeds.mean if one.over_seeds else None for one in (first, second))
    return Change(pair, (effects[0], effects[1]), decision, _difference(first, second)[1], not final)


def _difference(first: Measured, second: Measured) -> tuple[Estimate | None, int]:
    """Return the second effect minus the first, and the seeds that pair them: 0 where the means are compared."""
    if not first.seeds or not second.seeds:
        return None, 0
    shared, of_first, of_second = np.intersect1d(first.cells.seeds, second.cells.seeds, return_indices=True)
    if len(shared) > 1:
        return over_seeds(second.tuned[of_second] - first.tuned[of_first]), len(shared)
    return unpaired(second.tuned, first.tuned), 0
