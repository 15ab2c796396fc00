"""FAQ section: questions about the comparison, common mistakes, and the answers of this study."""

from __future__ import annotations

from reports.data.overview import runs_saved_by_looks, stopping_audit
from reports.page.context import Context
from reports.page.faq import questions
from reports.page.layout import Section


def build(context: Context) -> Section:
    """Return the questions and answers."""
    audits = [stopping_audit(context.study, arm) for arm in context.plan.arms]
    found = questions(context.plan, context.verdicts, audits, runs_saved_by_looks(context.study))
    return Section("questions", "Frequently asked questions", template="faq", content=found)
