"""The pooled points of every condition, decided once its search has ended, and added to when a study grows."""

from __future__ import annotations

from collections.abc import Callable

from search.orchestration.pooling import Pool, PooledPoint, Trial, pool, with_own_values
from search.plan.model import Arm, Plan
from search.store.journal import Journal
from trainables import records

Completed = Callable[[Arm, int], list[Trial]]


class Pools:
    """Decides pools and writes them down; what the journal holds is not reversed.

    Args:
        plan: the study's plan.
        journal: where decisions are kept, open for writing.
        completed: returns the completed trials of an arm in one search, once that search has ended.
    """

    def __init__(self, plan: Plan, journal: Journal, completed: Completed) -> None:
        self._plan = plan
        self._journal = journal
        self._completed = completed
        self._bringing: dict[str, set[str]] = {}
        decided = (Pool.from_detail(detail) for _, detail in journal.decisions(records.POOL))
        self._pools = {(one.condition, one.search): one for one in decided}

    @property
    def counts(self) -> dict[str, int]:
        """How many points a condition has, as far as that is decided."""
        found: dict[str, int] = {}
        for (condition, _), one in list(self._pools.items()):
            found[condition] = found.get(condition, 0) + len(one.points)
        return found

    def points(self, condition: str) -> dict[int, PooledPoint]:
        """Return the points of a condition whose search has ended, by number; each search has a block of its own."""
        return {
            search * self._plan.points + place: point
            for search in range(self._plan.searches)
            for place, point in enumerate(self._pool(condition, search).points)
        }

    def _pool(self, condition: str, search: int) -> Pool:
        known = self._pools.get((condition, search))
        if known and known.trials >= self._plan.trials and known.arms >= self._arms(condition):
            return known
        made = Pool(condition, search, self._plan.trials, self._pooled(condition, search, known))
        self._journal.decide(records.POOL, made.detail())
        self._pools[condition, search] = made
        return made

    def _arms(self, condition: str) -> set[str]:
        """Return the arms that bring a point: not those whose every trial failed."""
        if condition not in self._bringing:
            self._bringing[condition] = {
                arm.name
                for arm in self._plan.searched_in(condition)
                if self._plan.trials and all(self._completed(arm, search) for search in range(self._plan.searches))
            }
        return self._bringing[condition]

    def _pooled(self, condition: str, search: int, known: Pool | None) -> list[PooledPoint]:
        """Return the points of one search; those that are known stay, and what was added brings its own.

        A method that was added later brings its best point, at which it is run with what it is held against: the
        contrasts of the others stay as they were.
        """
        arms = self._plan.searched_in(condition)
        if self._plan.trials == 0:
            return [PooledPoint(arms[0].name, 0, len(arms), {})]
        trials = {arm.name: self._completed(arm, search) for arm in arms}
        spaces = {arm.name: arm.space for arm in arms}
        added = set(trials) - known.arms if known and known.trials >= self._plan.trials else set(trials)
        bringing = {name: ended for name, ended in trials.items() if name in added}
        old = known.points if known else []
        points = pool(bringing, self._plan.nuisance, self._plan.points, old)
        partners = added | {name for pair in self._pairs(condition) if added & set(pair) for name in pair}
        running = {name: ended for name, ended in trials.items() if name in partners}
        return [
            *with_own_values(points[: len(old)], bringing, spaces),
            *with_own_values(points[len(old) :], running, spaces),
        ]

    def _pairs(self, condition: str) -> list[tuple[str, str]]:
        """Return the names of the searched arms that are compared under a condition."""
        arms = {arm.method: arm.same_as or arm.name for arm in self._plan.in_condition(condition)}
        return [(arms[one], arms[other]) for name, one, other in self._plan.contrasts if name == condition]
