"""What every section is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reports.data.frames import StudyData
from reports.data.overview import ArmSummary, summarise_arms
from reports.figures.palette import method_colours
from reports.inference.verdicts import Verdict
from reports.page.claims import Claim, claims
from trainables.records import PlanRecord


@dataclass(frozen=True)
class Context:
    """A study, what is claimed of it, and what several sections share.

    Args:
        study: the study.
        verdicts: what `judge` says about it.
    """

    study: StudyData
    verdicts: Sequence[Verdict]

    @property
    def plan(self) -> PlanRecord:
        """The study's plan."""
        return self.study.plan

    @cached_property
    def colours(self) -> Mapping[str, str]:
        """The colour of every method."""
        return method_colours(self.plan.methods, [arm.method for arm in self.plan.arms if arm.reference])

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """One an entry of the family, in order."""
        return claims(self.plan, self.verdicts, self.colours)

    @cached_property
    def summaries(self) -> tuple[ArmSummary, ...]:
        """How the runs of every arm ended, in the order of the plan."""
        return tuple(summarise_arms(self.study))
