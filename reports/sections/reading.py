"""Question, common mistake, our answer."""

from __future__ import annotations

from reports.blocks import Section
from reports.context import Context
from reports.overview import audit
from reports.questions import questions


def build(context: Context) -> Section:
    """Return the questions that a reader brings."""
    audits = [audit(context.study, arm) for arm in context.plan.arms]
    found = questions(context.plan, context.verdicts, audits)
    return Section("questions", "How to read it", partial="questions", content=found)
