"""Tuning-curve section: expected best result against the search budget."""

from __future__ import annotations

import pandas as pd

from reports.data.overview import run_costs
from reports.descriptive.tuning_curves import TuningCurve, tuning_curve
from reports.figures.plots import Curve, curves_figure
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section
from trainables.records import ConditionRecord

CAPTION = (
    "Expected validation result of the best of n search runs, against the cost of n runs. The band contains 95 % of"
    " bootstrap resamples of the runs and is too narrow below about twenty runs. Only runs whose settings were drawn"
    " independently of earlier results are included. Runs that were stopped early enter with their last value and"
    " their actual cost. The line is the plug-in estimate, which leads to fewer wrong conclusions than the unbiased"
    " estimate (arXiv 2110.00613); tuning.csv contains both. The curves describe this search and test no hypothesis."
)
BUDGETS = (("plain_epochs", "cost in plain epochs"), ("seconds", "cost in seconds of training"))


def build(context: Context) -> Section | None:
    """Return the tuning curves of every condition; None if nothing is searched."""
    if context.plan.trials_per_arm < 2:
        return None
    costs = run_costs(context.study)
    blocks, frames = [], []
    for number, condition in enumerate(context.plan.conditions, start=1):
        arms = context.plan.arms_of(condition.name)
        found = list(filter(None, (tuning_curve(context.study, arm, costs) for arm in arms)))
        if found:
            blocks.append(_block(context, number, condition, found))
            frames += [_frame(condition, curve) for curve in found]
    return Section(
        "tuning",
        "How much tuning is needed?",
        blocks=tuple(blocks),
        caption=CAPTION,
        empty="No search run has ended yet.",
        data={"tuning": pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=pd.Index(COLUMNS))},
    )


COLUMNS = (
    "condition", "method", "runs", "plain_epochs", "seconds", "plug_in", "low", "high", "unbiased",
)  # fmt: skip


def _block(context: Context, number: int, condition: ConditionRecord, found: list[TuningCurve]) -> Block:
    scale = context.plan.unit.scale
    title = f"{context.plan.metric.replace('_', ' ')}, {'%' if scale == 100 else context.plan.unit.many}"
    panels = []
    for index, (budget, words) in enumerate(BUDGETS, start=1):
        curves = [
            Curve(
                curve.method, context.colours[curve.method], getattr(curve, budget),
                scale * curve.plug_in, scale * curve.low, scale * curve.high, points=len(curve.plug_in) <= 12,
            )
            for curve in found
        ]  # fmt: skip
        figure = curves_figure(curves, x_title=words, y_title=title)
        picture = Picture(f"tuning-{number}-{index}", figure, f"Expected best {title} against {words}")
        panels.append(Panel(words, picture))
    legend = tuple((context.colours[curve.method], curve.method) for curve in found)
    return Block(condition.description, condition.name, legend=legend, panels=tuple(panels))


def _frame(condition: ConditionRecord, curve: TuningCurve) -> pd.DataFrame:
    columns = (
        condition.name, curve.method, range(1, len(curve.plug_in) + 1), curve.plain_epochs, curve.seconds,
        curve.plug_in, curve.low, curve.high, curve.unbiased,
    )  # fmt: skip
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
