"""Question, common mistake, our answer."""

from __future__ import annotations

from reports.data.overview import audit
from reports.page.context import Context
from reports.page.faq import questions
from reports.page.layout import Section


def build(context: Context) -> Section:
    """Return the questions that a reader brings."""
    audits = [audit(context.study, arm) for arm in context.plan.arms]
    found = questions(context.plan, context.verdicts, audits)
    return Section("questions", "How to read it", partial="faq", content=found)
