"""What happens in training? Learning curves of what the verdicts rest on."""

from __future__ import annotations

from reports.blocks import Block, Panel, Picture, Section
from reports.context import Context
from reports.curves import ArmCurves, arm_curves
from reports.figures import curve_ranges, learning_figure
from reports.plan import Condition

CAPTION = (
    "Solid: validation images. Dotted: training images, plain and un-mixed; the wider the gap between the two, the more"
    " the network overfits. Grey: validation of the reference. The band is one standard deviation over seeds either"
    " way: how much single runs differ."
)


def build(context: Context) -> Section:
    """Return the learning curves of every arm that has any."""
    blocks = (_block(context, number, condition) for number, condition in enumerate(context.plan.conditions, start=1))
    return Section(
        "curves",
        "What happens in training?",
        blocks=tuple(block for block in blocks if block.panels),
        caption=CAPTION,
        empty="No learning curves yet.",
    )


def _block(context: Context, number: int, condition: Condition) -> Block:
    arms = [arm for arm in context.plan.arms if arm.condition == condition.name]
    found = [curves for curves in (arm_curves(context.study, arm) for arm in arms) if curves is not None]
    name = context.plan.reference(condition.name)
    reference = next((curves for curves in found if curves.method == name), None)
    ranges = curve_ranges(found)

    def panel(index: int, curves: ArmCurves) -> Panel:
        figure = learning_figure(curves, reference, ranges, context.colours)
        label = f"Learning curves of {curves.method} {condition.description}"
        picture = Picture(f"curves-{number}-{index}", figure, label)
        return Panel(curves.method, picture, curves.method, context.colours[curves.method], curves.source)

    panels = tuple(panel(index, curves) for index, curves in enumerate(found, start=1))
    return Block(condition.description, condition.name, panels=panels)
