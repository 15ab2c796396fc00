"""Pool store: decides which points every condition confirms, once its search has ended, and extends them later."""

from __future__ import annotations

from collections.abc import Callable

from search.orchestration.pooling import Nuisance, Trial, pool, with_own_values
from search.plan.model import Arm, Plan
from search.store.journal import Journal
from trainables.records import PoolDecision, PooledPoint, latest_pools

Completed = Callable[[Arm, int], list[Trial]]


class PoolStore:
    """Decides pools and writes them to the journal; a decision that the journal contains is not reversed.

    Args:
        plan: the study's plan.
        journal: where decisions are kept, open for writing.
        completed: returns the completed trials of an arm in one search, once that search has ended.
    """

    def __init__(self, plan: Plan, journal: Journal, completed: Completed) -> None:
        self._plan = plan
        self._journal = journal
        self._completed = completed
        self._contributing: dict[str, set[str]] = {}
        self._pools = latest_pools(row.decision for row in journal.decisions(PoolDecision))

    @property
    def latest(self) -> list[PoolDecision]:
        """The pools in force."""
        return list(self._pools.values())

    def decided_points(self, condition: str) -> dict[int, PooledPoint]:
        """Return the points of a condition whose search has ended, by index; they are decided at the first call.

        Each search has a block of indices.
        """
        return {
            point_index: point
            for search in range(self._plan.searches)
            for point_index, point in enumerate(self._pool(condition, search).points, search * self._plan.points)
        }

    def _pool(self, condition: str, search: int) -> PoolDecision:
        known = self._pools.get((condition, search))
        if known and known.trials >= self._plan.trials and known.arms >= self._arms(condition):
            return known
        points = self._pooled(condition, search, known)
        decision = PoolDecision(condition=condition, search=search, trials=self._plan.trials, points=tuple(points))
        self._journal.decide(decision)
        self._pools[condition, search] = decision
        return decision

    def _arms(self, condition: str) -> set[str]:
        """Return the arms that contribute a point: all but those whose every trial failed."""
        if condition not in self._contributing:
            self._contributing[condition] = {
                arm.name
                for arm in self._plan.searched_in(condition)
                if self._plan.trials and all(self._completed(arm, search) for search in range(self._plan.searches))
            }
        return self._contributing[condition]

    def _pooled(self, condition: str, search: int, known: PoolDecision | None) -> list[PooledPoint]:
        """Return the points of one search; known points stay, and what an extension added contributes its own.

        A method that was added later contributes its best point, at which it runs together with the arms that it is
        compared with; the contrasts of the other arms do not change.
        """
        arms = self._plan.searched_in(condition)
        if self._plan.trials == 0:
            return [PooledPoint(arm=arms[0].name, trial_index=0, votes=len(arms), values={})]
        trials = {arm.name: self._completed(arm, search) for arm in arms}
        spaces = {arm.name: arm.space for arm in arms}
        added = set(trials) - known.arms if known and known.trials >= self._plan.trials else set(trials)
        contributing = {name: ended for name, ended in trials.items() if name in added}
        old = list(known.points) if known else []
        points = pool(contributing, Nuisance(self._plan.nuisance, self._plan.only_if), self._plan.points, old)
        partners = added | {name for pair in self._pairs(condition) if added & set(pair) for name in pair}
        running = {name: ended for name, ended in trials.items() if name in partners}
        return [
            *with_own_values(points[: len(old)], contributing, spaces),
            *with_own_values(points[len(old) :], running, spaces),
        ]

    def _pairs(self, condition: str) -> list[tuple[str, str]]:
        """Return the names of the searched arms that are compared under a condition."""
        arms = {arm.method: arm.search_arm for arm in self._plan.in_condition(condition)}
        return [(arms[one], arms[other]) for name, one, other in self._plan.contrasts if name == condition]
