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

from reports.data.completeness import is_final, looks_so_far, seeds_of
from reports.data.frames import StudyData
from reports.inference.contrasts import ContrastData, contrast_data
from reports.statistics.estimators import Estimate, over_seeds, unpaired
from reports.statistics.group_sequential import Decision, decide
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
    """Judge all pairs of neighbouring conditions; each family of claims has a Holm correction of its own.

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


def _judge(study: StudyData, pairs: Sequence[NeighbourPair]) -> list[EffectChange]:
    """Judge the pairs of one family."""
    plan = study.plan
    contrasts = list(dict.fromkeys(contrast for pair in pairs for contrast in (pair.first, pair.second)))
    looks = looks_so_far(study, [(contrast.condition, method) for contrast in contrasts for method in contrast.arms])
    data = [{contrast: contrast_data(study, contrast, look.limit) for contrast in contrasts} for look in looks]

    def estimate(look: int, pair: NeighbourPair) -> Estimate | None:
        both = (pair.first, pair.second)
        if any(seeds_of(study, one.condition, one.arms) < looks[look].seeds for one in both):
            return None
        return _difference(data[look][pair.first], data[look][pair.second])[0]

    estimates = [[estimate(look, pair) for pair in pairs] for look in range(len(looks))]
    decisions = decide(estimates, plan.look_alphas, plan.alpha, plan.smallest_effect)[-1]
    return [
        _effect_change(pair, decision, data[decision.look], is_final(looks, decision.look, decision.decided))
        for pair, decision in zip(pairs, decisions, strict=True)
    ]


def _effect_change(
    pair: NeighbourPair, decision: Decision, data: Mapping[ContrastRecord, ContrastData], final: bool
) -> EffectChange:
    first, second = data[pair.first], data[pair.second]
    effects = tuple(one.tuned_over_seeds.mean if one.tuned_over_seeds else None for one in (first, second))
    return EffectChange(pair, (effects[0], effects[1]), decision, _difference(first, second)[1], not final)


def _difference(first: ContrastData, second: ContrastData) -> tuple[Estimate | None, int]:
    """Return the second effect minus the first, and the number of shared seeds.

    With fewer than two shared seeds the means are compared without pairing, and the number is 0.
    """
    if not first.seeds or not second.seeds:
        return None, 0
    shared, in_first, in_second = np.intersect1d(first.cells.seeds, second.cells.seeds, return_indices=True)
    if len(shared) > 1:
        return over_seeds(second.tuned[in_second] - first.tuned[in_first], first.anytime), len(shared)
    return replace(unpaired(second.tuned, first.tuned), anytime=first.anytime), 0
