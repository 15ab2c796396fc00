"""Section context: the data that all sections are built from."""

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
    """A study with its verdicts, and derived data that several sections use.

    Args:
        study: data of the study.
        verdicts: result of `judge` for the study.
    """

    study: StudyData
    verdicts: Sequence[Verdict]

    @property
    def plan(self) -> PlanRecord:
        """Plan of the study."""
        return self.study.plan

    @cached_property
    def colours(self) -> Mapping[str, str]:
        """Colour of every method."""
        return method_colours(self.plan.methods, [arm.method for arm in self.plan.arms if arm.reference])

    @cached_property
    def claims(self) -> tuple[Claim, ...]:
        """Claims in the order of the verdicts."""
        return claims(self.plan, self.verdicts, self.colours)

    @cached_property
    def summaries(self) -> tuple[ArmSummary, ...]:
        """Run outcomes and cost of every arm, in the order of the plan."""
        return tuple(summarise_arms(self.study))
