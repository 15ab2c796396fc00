"""The answer, before anything else."""

from __future__ import annotations

from reports.page.claims import comparisons
from reports.page.context import Context
from reports.page.layout import Section


def build(context: Context) -> Section:
    """Return one sentence a comparison, and below it one a condition."""
    return Section("answer", "The answer", partial="answer", content=comparisons(context.claims))
