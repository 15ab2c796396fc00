"""The answer, before anything else."""

from __future__ import annotations

from reports.blocks import Section
from reports.claims import by_comparison
from reports.context import Context


def build(context: Context) -> Section:
    """Return the claims in sentences, those of one method together."""
    return Section("answer", "The answer", partial="answer", content=by_comparison(context.claims))
