"""Can it be trusted? How runs ended, and the audit of early stopping."""

from __future__ import annotations

from dataclasses import dataclass

from reports.blocks import Section
from reports.context import Context
from reports.overview import ArmSummary, Audit, audit, duration


@dataclass(frozen=True)
class ArmView:
    """How an arm's runs ended, and the audit of its early stopping."""

    summary: ArmSummary
    audit: Audit
    colour: str
    plain_epochs: str
    time: str


def build(context: Context) -> Section:
    """Return one line an arm."""
    arms = tuple(
        ArmView(
            summary=summary,
            audit=audit(context.study, summary.arm),
            colour=context.colours[summary.arm.method],
            plain_epochs=f"{summary.plain_epochs:,.0f}",
            time=duration(summary.seconds),
        )
        for summary in context.summaries
    )
    return Section("trust", "Can it be trusted?", partial="trust", content=arms)
