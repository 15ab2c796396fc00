"""Pooling: which nuisance points are confirmed.

The best points of all arms of a condition are pooled and every arm is confirmed at each of them, so that no arm is
judged at its own lucky point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spaces.design import distance
from spaces.distributions import Space
from trainables.records import PooledPoint, effective_values

NEAR = 0.05
"""Points closer than this (see `spaces.design.distance`) count as one."""
UNKNOWN_RANK = 0.5
"""Rank of a point that no other arm has tried: the middle."""


@dataclass(frozen=True)
class Trial:
    """A completed search trial.

    Args:
        trial_index: number of the trial in its arm, from 0.
        values: values of the searched dimensions, by plain name.
        selection: what it is judged on, signed so that higher is better.
        shared: whether the trial with this index has the same nuisance point in every arm (see `Plan.designed`).
    """

    trial_index: int
    values: dict[str, Any]
    selection: float
    shared: bool = True


def best(trials: list[Trial]) -> Trial:
    """Return the trial with the highest selection metric; of equal ones the earlier."""
    return max(trials, key=lambda trial: (trial.selection, -trial.trial_index))


@dataclass(frozen=True)
class Nuisance:
    """Dimensions that all arms share.

    Args:
        space: the dimensions.
        only_if: dimensions that have an effect only if another one has a value, as (other dimension, value).
    """

    space: Space
    only_if: Mapping[str, tuple[str, Any]] = field(default_factory=dict)

    def near(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Return whether two points count as one; dimensions without an effect in either do not matter."""
        names = effective_values(one, self.only_if).keys() | effective_values(other, self.only_if).keys()
        return distance({name: self.space[name] for name in self.space if name in names}, one, other) < NEAR


def pool(
    trials: dict[str, list[Trial]], nuisance: Nuisance, count: int, before: list[PooledPoint] | None = None
) -> list[PooledPoint]:
    """Return the nuisance points to confirm.

    Each arm contributes its best point; nearly equal points are merged. The reference's best point always comes first,
    so that no method is compared with a baseline that is worse than it could be; the others follow by votes, then by
    the mean rank of the arms at the point, which favours no arm.

    Args:
        trials: completed trials by arm, the reference first; arms without any contribute nothing.
        nuisance: the shared dimensions.
        count: maximum number of points.
        before: points that are confirmed already; they stay, and up to `count` new ones follow.
    """
    if before:
        fresh = [
            point
            for point in pool(trials, nuisance, count)
            if not any(nuisance.near(point.values, old.values) for old in before)
        ]
        return [*before, *fresh]
    merged: list[PooledPoint] = []
    for arm, ended in trials.items():
        if not ended:
            continue
        trial = best(ended)
        values = {name: trial.values[name] for name in nuisance.space}
        near = next((i for i, point in enumerate(merged) if nuisance.near(point.values, values)), None)
        if near is None:
            merged.append(PooledPoint(arm=arm, trial_index=trial.trial_index, votes=1, values=values))
        else:
            merged[near] = merged[near].model_copy(update={"votes": merged[near].votes + 1})
    ranks = _mean_ranks(trials)
    others = sorted(
        merged[1:], key=lambda point: (-point.votes, ranks.get(point.trial_index, UNKNOWN_RANK), point.trial_index)
    )
    return [*merged[:1], *others][:count]


def with_own_values(
    points: list[PooledPoint], trials: dict[str, list[Trial]], spaces: Mapping[str, Space]
) -> list[PooledPoint]:
    """Return the points with the best method values of each arm; values that a point has already stay.

    Args:
        points: pooled points.
        trials: completed trials by arm.
        spaces: what is searched of each arm's method.
    """
    own = {arm: {name: best(ended).values[name] for name in spaces[arm]} for arm, ended in trials.items() if ended}
    return [point.model_copy(update={"own": {**own, **point.own}}) for point in points]


def _mean_ranks(trials: dict[str, list[Trial]]) -> dict[int, float]:
    """Return the rank of each shared point among those of an arm, 0 best to 1 worst, averaged over the arms."""
    ranks: dict[int, list[float]] = {}
    for ended in trials.values():
        ordered = sorted((trial for trial in ended if trial.shared), key=lambda trial: -trial.selection)
        for place, trial in enumerate(ordered):
            ranks.setdefault(trial.trial_index, []).append(place / max(len(ordered) - 1, 1))
    return {trial_index: sum(places) / len(places) for trial_index, places in ranks.items()}
