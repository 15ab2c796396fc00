"""Which points are confirmed: the best ones of all arms of a condition, pooled, so that no arm brings its own luck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from spaces.design import distance
from spaces.distributions import Space

NEAR = 0.05


@dataclass(frozen=True)
class Trial:
    """An ended search trial that may be chosen: its number, its values, and what it is judged on."""

    k: int
    values: dict[str, Any]
    selection: float


@dataclass(frozen=True)
class PooledPoint:
    """A nuisance point at which every arm is confirmed.

    Args:
        arm: the arm that brought it.
        k: the arm's trial.
        votes: arms whose best point it is, or is near to.
        values: nuisance values by plain name.
        own: of each arm that has a completed trial, the method's own values, from the arm's best trial.
    """

    arm: str
    k: int
    votes: int
    values: dict[str, Any]
    own: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pool:
    """What one search of a condition hands to the confirmation, as the journal keeps it.

    Args:
        condition: its name.
        search: number of the search, from 0.
        trials: how many trials of each arm were looked at.
        points: in the order of their numbers.
    """

    condition: str
    search: int
    trials: int
    points: list[PooledPoint]

    @property
    def arms(self) -> set[str]:
        """The arms that are run at some point."""
        return {arm for point in self.points for arm in point.own}

    def detail(self) -> dict[str, Any]:
        """Return the decision as it is written down (see `records.POOL`)."""
        return asdict(self)

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> Pool:
        """Return what `detail` made."""
        return cls(**{**detail, "points": [PooledPoint(**point) for point in detail["points"]]})


def best(trials: list[Trial]) -> Trial:
    """Return the trial with the highest selection metric; the earlier one of equals."""
    return max(trials, key=lambda trial: (trial.selection, -trial.k))


def pool(
    trials: dict[str, list[Trial]], nuisance: Space, count: int, before: list[PooledPoint] | None = None
) -> list[PooledPoint]:
    """Return the nuisance points to confirm.

    Each arm brings its best point; points that are near twins become one. The reference's own best point is always
    in, so that no method is compared with a baseline that is worse than it could be; the others follow by votes,
    then by how well the arms did on average (their mean rank) at the point's trial, which favours no arm.

    Args:
        trials: completed trials by arm, the reference first; arms without any bring nothing.
        nuisance: the shared dimensions.
        count: how many points at most.
        before: points that are confirmed already; they stay, and up to `count` new ones follow them.
    """
    if before:
        fresh = [
            point
            for point in pool(trials, nuisance, count)
            if all(distance(nuisance, point.values, old.values) >= NEAR for old in before)
        ]
        return [*before, *fresh]
    merged: list[PooledPoint] = []
    for arm, ended in trials.items():
        if not ended:
            continue
        trial = best(ended)
        values = {name: trial.values[name] for name in nuisance}
        twin = next((i for i, point in enumerate(merged) if distance(nuisance, point.values, values) < NEAR), None)
        if twin is None:
            merged.append(PooledPoint(arm, trial.k, 1, values))
        else:
            old = merged[twin]
            merged[twin] = PooledPoint(old.arm, old.k, old.votes + 1, old.values)
    ranks = _mean_ranks(trials)
    others = sorted(merged[1:], key=lambda point: (-point.votes, ranks.get(point.k, 1.0), point.k))
    return [*merged[:1], *others][:count]


def with_own_values(
    points: list[PooledPoint], trials: dict[str, list[Trial]], spaces: Mapping[str, Space]
) -> list[PooledPoint]:
    """Return the points with the arms' own best method values; what a point has already stays.

    Args:
        points: pooled points.
        trials: completed trials by arm.
        spaces: what is searched of each arm's method.
    """
    own = {arm: {name: best(ended).values[name] for name in spaces[arm]} for arm, ended in trials.items() if ended}
    return [replace(point, own={**own, **point.own}) for point in points]


def _mean_ranks(trials: dict[str, list[Trial]]) -> dict[int, float]:
    """Return each trial number's rank among its arm's trials, 0 best to 1 worst, as the mean over arms."""
    ranks: dict[int, list[float]] = {}
    for ended in trials.values():
        ordered = sorted(ended, key=lambda trial: -trial.selection)
        for place, trial in enumerate(ordered):
            ranks.setdefault(trial.k, []).append(place / max(len(ordered) - 1, 1))
    return {k: sum(places) / len(places) for k, places in ranks.items()}
