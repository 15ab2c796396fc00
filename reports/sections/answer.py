"""The answer, before anything else."""

from __future__ import annotations

from reports.blocks import Section
from reports.claims import comparisons
from reports.context import Context


def build(context: Context) -> Section:
    """Return one sentence a comparison, and below it one a condition."""
    return Section("answer", "The answer", partial="answer", content=comparisons(context.claims))
