"""Families of claims: the data of each claim at every look so far, and the decisions based on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from reports.data.completeness import Arm, Look, gets_seeds, looks_so_far
from reports.data.frames import StudyData
from reports.statistics.estimators import Estimate
from reports.statistics.group_sequential import Decision, decide

Data = TypeVar("Data")


@dataclass(frozen=True)
class JudgedClaim(Generic[Data]):
    """A claim after the latest look.

    Args:
        data: what the decision is based on.
        decision: the decision in force.
        look: the look that provided the data.
        provisional: whether outstanding runs may change the decision.
    """

    data: Data
    decision: Decision
    look: Look
    provisional: bool


@dataclass(frozen=True)
class Family(Generic[Data]):
    """Claims that are corrected together. A claim with an arm that gets no more seeds keeps its decision.

    Args:
        study: the study.
        arms: the arms that each claim depends on.
        data_at: returns the data of all claims at a look, in the same order.
    """

    study: StudyData
    arms: Sequence[Sequence[Arm]]
    data_at: Callable[[Look], Sequence[Data]]

    @cached_property
    def _looks(self) -> tuple[Look, ...]:
        return looks_so_far(self.study, [arm for arms in self.arms for arm in arms])

    @cached_property
    def _data(self) -> list[Sequence[Data]]:
        return [self.data_at(look) for look in self._looks]

    def decide(self, estimate: Callable[[Data], Estimate | None], margin: float | None = None) -> list[list[Decision]]:
        """Return the decisions in force after each look, by look and claim.

        Args:
            estimate: returns the estimate to be tested, None without data.
            margin: smallest effect of interest; by default that of the plan.
        """
        plan = self.study.plan
        estimates = [
            [
                estimate(data) if gets_seeds(self.study, arms, look.seeds) else None
                for arms, data in zip(self.arms, row, strict=True)
            ]
            for look, row in zip(self._looks, self._data, strict=True)
        ]
        return decide(estimates, plan.look_alphas, plan.alpha, plan.smallest_effect if margin is None else margin)

    def judge(self, estimate: Callable[[Data], Estimate | None]) -> list[JudgedClaim[Data]]:
        """Return all claims after the latest look; `estimate` is that of `decide`."""
        last, judged = self._looks[-1], []
        for claim, decision in enumerate(self.decide(estimate)[-1]):
            look = self._looks[decision.look]
            final = look.complete if decision.decided else last.last and last.complete
            judged.append(JudgedClaim(self._data[decision.look][claim], decision, look, provisional=not final))
        return judged
