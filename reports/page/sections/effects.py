"""Effects section: forest plots of the effects, and the table of verdicts."""

from __future__ import annotations

import pandas as pd

from reports.figures.forest_plot import effect_figure, effect_range, effect_rows
from reports.inference import wording as text
from reports.inference.records import verdict_records
from reports.page.context import Context
from reports.page.layout import Block, Picture, Section


def build(context: Context) -> Section:
    """Return one forest plot per condition with effects, and all claims."""
    return Section(
        "effects",
        "How large are the effects?",
        blocks=_blocks(context),
        template="effects",
        content=context.claims,
        data={"verdicts": pd.DataFrame(verdict_records(context.verdicts))},
    )


def _blocks(context: Context) -> tuple[Block, ...]:
    plan, verdicts = context.plan, context.verdicts
    digits = text.digits_for(verdicts)
    rows = effect_rows(verdicts, plan, context.colours, digits)
    limits = effect_range(rows, plan.smallest_effect, plan.unit)
    blocks = []
    for number, condition in enumerate(plan.conditions, start=1):
        own = [row for row, verdict in zip(rows, verdicts, strict=True) if verdict.condition == condition.name]
        if any(row.mean is not None for row in own):
            figure = effect_figure(own, plan, limits)
            picture = Picture(f"effects-{number}", figure, f"Effects {condition.description}")
            blocks.append(Block(condition.description, condition.name, picture=picture))
    return tuple(blocks)
