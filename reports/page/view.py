"""Report view: the complete content of a report, worded and rounded. Templates only lay it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reports.data.frames import StudyData
from reports.data.overview import missing_runs
from reports.inference.verdicts import Verdict
from reports.page.claims import Claim, common_notes, summary
from reports.page.context import Context
from reports.page.layout import Picture, Section
from reports.page.sections import build_sections
from trainables.records import PlanRecord


@dataclass(frozen=True)
class View:
    """Content of a report.

    Args:
        plan: plan of the study.
        updated: time of the newest journal entry, or empty.
        missing: sentences about runs that are still missing.
        summary: number of claims by verdict, in one sentence.
        smallest: smallest effect of interest in words ("0.5 points").
        claims: one per contrast of the plan, in order.
        common_notes: caveats that all claims have.
        sections: sections in order of appearance.
    """

    plan: PlanRecord
    updated: str
    missing: tuple[str, ...]
    summary: str
    smallest: str
    claims: tuple[Claim, ...]
    common_notes: tuple[str, ...]
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section:
        """Return the section with the given name."""
        return next(section for section in self.sections if section.name == name)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The figures of all sections."""
        return tuple(picture for section in self.sections for picture in section.pictures)


def build_view(study: StudyData, verdicts: Sequence[Verdict]) -> View:
    """Return everything that the templates need.

    Args:
        study: data of the study.
        verdicts: result of `judge` for the study.
    """
    context = Context(study, verdicts)
    return View(
        plan=study.plan,
        updated=_time(study.updated),
        missing=tuple(missing_runs(context.summaries)),
        summary=summary(verdicts),
        smallest=study.plan.unit.amount(study.plan.smallest_effect),
        claims=context.claims,
        common_notes=common_notes(verdicts),
        sections=build_sections(context),
    )


def _time(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
