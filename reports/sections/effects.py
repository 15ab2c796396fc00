"""Does it help here? Effects with their intervals, and the table of verdicts."""

from __future__ import annotations

import pandas as pd

from reports import text
from reports.blocks import Block, Picture, Section
from reports.context import Context
from reports.figures import effect_figure, effect_range


def build(context: Context) -> Section:
    """Return the effect plot of every condition that has an effect, and all claims."""
    return Section(
        "effects",
        "Does it help here?",
        blocks=_blocks(context),
        partial="effects",
        content=context.claims,
        data={"verdicts": pd.DataFrame(text.verdict_records(context.verdicts))},
    )


def _blocks(context: Context) -> tuple[Block, ...]:
    plan, verdicts = context.plan, context.verdicts
    limits, digits = effect_range(verdicts, plan.smallest_effect), text.digits_for(verdicts)
    blocks = []
    for number, condition in enumerate(plan.conditions, start=1):
        own = [verdict for verdict in verdicts if verdict.condition == condition.name]
        if any(verdict.tuned for verdict in own):
            figure = effect_figure(own, plan, context.colours, limits=limits, digits=digits)
            picture = Picture(f"effects-{number}", figure, f"Effects {condition.description}")
            blocks.append(Block(condition.description, condition.name, picture=picture))
    return tuple(blocks)
