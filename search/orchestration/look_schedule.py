"""Looks: the numbers of seeds at which a study is judged, and the arms that get no more seeds after them."""

from __future__ import annotations

from collections.abc import Callable

from search.plan.model import Arm, Plan
from search.store.journal import Journal
from trainables.records import LookDecision, settled_seeds

Settle = Callable[[int], set[tuple[str, str]]]


class LookSchedule:
    """Takes the looks of a study and records them in the journal.

    Args:
        plan: the study's plan.
        journal: the journal.
        settle: judges the study with that many seeds and returns the arms, as (condition, method), about which every
            claim is decided.
    """

    def __init__(self, plan: Plan, journal: Journal, settle: Settle) -> None:
        self._plan = plan
        self._journal = journal
        self._settle = settle
        self._stages = plan.study.looks
        self.taken = [row.decision for row in journal.decisions(LookDecision)]

    @property
    def seeds(self) -> int:
        """Confirmation seeds up to the next look."""
        return self._stages[min(self._look, len(self._stages) - 1)]

    @property
    def is_last(self) -> bool:
        """Whether no look is left before the end of the study."""
        return self.seeds == self._stages[-1] or self._all_settled

    def seeds_of(self, arm: Arm) -> int:
        """Return the confirmation seeds of an arm up to the next look."""
        return settled_seeds(self.taken, arm.condition.name, arm.method) or self.seeds

    def take(self) -> None:
        """Judge the study, and stop the arms about which all is decided."""
        settled = self._settle(self.seeds)
        arms = {
            condition.name: [arm.method for arm in self._plan.in_condition(condition.name)]
            for condition in self._plan.conditions
        }
        whole = tuple(name for name, methods in arms.items() if all((name, method) in settled for method in methods))
        further = tuple(
            (name, method)
            for name, methods in arms.items()
            for method in methods
            if name not in whole and (name, method) in settled
        )
        decision = LookDecision(look=self._look, seeds=self.seeds, settled=whole, arms=further)
        self._journal.decide(decision)
        self.taken.append(decision)

    @property
    def _look(self) -> int:
        """Number of the next look, from 0."""
        return self.taken[-1].look + 1 if self.taken else 0

    @property
    def _all_settled(self) -> bool:
        """Whether seeds are open, and every claim is decided, so that no look has anything to decide any more."""
        return self._plan.study.confirm.is_open and all(
            settled_seeds(self.taken, arm.condition.name, arm.method) for arm in self._plan.arms
        )
