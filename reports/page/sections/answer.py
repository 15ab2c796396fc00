"""Results section: the verdict of every comparison in one sentence."""

from __future__ import annotations

from reports.page.claims import comparisons
from reports.page.context import Context
from reports.page.layout import Section


def build(context: Context) -> Section:
    """Return one sentence per comparison, followed by one per condition."""
    return Section("answer", "Results", template="answer", content=comparisons(context.claims))
