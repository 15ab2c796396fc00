"""Moderation: how the effect of a method changes between neighbouring conditions.

Two conditions are neighbours if they differ in exactly one factor: by one step if its levels are numbers, by any two
levels otherwise. A threshold is therefore located to within one step of the grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from reports.data.completeness import Look
from reports.data.frames import StudyData
from reports.inference.contrasts import ContrastData, arms_of, contrast_data
from reports.inference.families import Family
from reports.statistics.estimators import Estimate, over_seeds, unpaired
from reports.statistics.group_sequential import Decision
from trainables.records import ConditionRecord, ContrastRecord, PlanRecord, is_number


@dataclass(frozen=True)
class NeighbourPair:
    """The same contrast under two neighbouring conditions.

    Args:
        first: the contrast under the first condition; for a numeric factor, the one with the lower level.
        second: the contrast under the second condition.
        factor: the factor in which the conditions differ.
    """

    first: ContrastRecord
    second: ContrastRecord
    factor: str


@dataclass(frozen=True)
class EffectChange:
    """Change of an effect between two neighbouring conditions.

    Args:
        pair: the contrasts.
        effects: tuned effects under the first and the second condition, None without pairs.
        decision: decision about the second effect minus the first; `equivalent` means that the effect does not change.
        seeds: number of shared seeds, or 0 if the means are compared without pairing.
        provisional: whether outstanding runs may change the decision.
    """

    pair: NeighbourPair
    effects: tuple[float | None, float | None]
    decision: Decision
    seeds: int
    provisional: bool


def effect_changes(study: StudyData) -> list[EffectChange]:
    """Judge all pairs of neighbouring conditions; each family of claims has its own Holm correction.

    They are judged at the looks of the plan, because the number of seeds of a condition depends on earlier looks.
    """
    pairs = neighbour_pairs(study.plan)
    families = sorted({_family(pair) for pair in pairs})
    return [change for family in families for change in _judge(study, [p for p in pairs if _family(p) == family])]


def neighbour_pairs(plan: PlanRecord) -> list[NeighbourPair]:
    """Return all pairs of neighbouring conditions, by comparison, then by factor."""
    found = []
    for arms in dict.fromkeys(contrast.arms for contrast in plan.contrasts):
        by_condition = {contrast.condition: contrast for contrast in plan.contrasts if contrast.arms == arms}
        conditions = [condition for condition in plan.conditions if condition.name in by_condition]
        for factor in dict.fromkeys(factor for condition in conditions for factor in condition.values):
            for one, other in _neighbours(conditions, factor):
                found.append(NeighbourPair(by_condition[one.name], by_condition[other.name], factor))
    return found


def _neighbours(
    conditions: Sequence[ConditionRecord], factor: str
) -> Iterator[tuple[ConditionRecord, ConditionRecord]]:
    """Yield the pairs of conditions that differ by one step of the factor and agree in all other factors."""
    groups: list[tuple[Mapping[str, Any], list[ConditionRecord]]] = []
    for condition in conditions:
        if factor not in condition.values:
            continue
        others = {name: value for name, value in condition.values.items() if name != factor}
        group = next((group for same, group in groups if same == others), None)
        if group is None:
            groups.append((others, [condition]))
        else:
            group.append(condition)
    for _, group in groups:
        if all(is_number(condition.values[factor]) for condition in group):
            yield from pairwise(sorted(group, key=lambda condition: condition.values[factor]))
        else:
            yield from combinations(group, 2)


def _family(pair: NeighbourPair) -> int:
    return max(pair.first.family, pair.second.family)


@dataclass(frozen=True)
class _Difference:
    """Tuned effects of a pair, and the estimate of the second one minus the first; see `EffectChange`."""

    effects: tuple[float | None, float | None]
    estimate: Estimate | None
    seeds: int


def _judge(study: StudyData, pairs: Sequence[NeighbourPair]) -> list[EffectChange]:
    """Judge the pairs of one family."""
    contrasts = list(dict.fromkeys(contrast for pair in pairs for contrast in (pair.first, pair.second)))

    def differences(look: Look) -> list[_Difference]:
        data = {contrast: contrast_data(study, contrast, look.limit) for contrast in contrasts}
        return [_difference(data[pair.first], data[pair.second]) for pair in pairs]

    family = Family(study, [(*arms_of(pair.first), *arms_of(pair.second)) for pair in pairs], differences)
    return [
        EffectChange(pair, claim.data.effects, claim.decision, claim.data.seeds, claim.provisional)
        for pair, claim in zip(pairs, family.judge(lambda one: one.estimate), strict=True)
    ]


def _difference(first: ContrastData, second: ContrastData) -> _Difference:
    """Return the difference of two effects; with fewer than two shared seeds, that of the means without pairing."""
    one, other = first.tuned_over_seeds, second.tuned_over_seeds
    effects = (one.mean if one else None, other.mean if other else None)
    if one is None or other is None:
        return _Difference(effects, None, 0)
    shared, in_first, in_second = np.intersect1d(first.cells.seeds, second.cells.seeds, return_indices=True)
    if len(shared) > 1:
        paired = over_seeds(second.tuned[in_second] - first.tuned[in_first], first.anytime)
        return _Difference(effects, paired, len(shared))
    return _Difference(effects, replace(unpaired(second.tuned, first.tuned), anytime=first.anytime), 0)
