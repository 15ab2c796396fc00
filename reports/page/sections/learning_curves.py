"""When in training? Learning curves, the lead along the epochs, overfitting, the final off phase."""

from __future__ import annotations

import pandas as pd

from reports.descriptive.lead_over_epochs import Course, Gap, course, gap
from reports.descriptive.learning_curves import ArmCurves, arm_curves
from reports.figures.learning_curves import curve_ranges, learning_figure
from reports.figures.plots import Curve, curves_figure
from reports.inference.wording import interval, points
from reports.page.context import Context
from reports.page.layout import Block, Cell, Column, Line, Panel, Picture, Section, Table
from trainables.records import ConditionRecord

CAPTION = (
    "Wide pictures: how far each method leads its reference after each epoch on validation images, paired by"
    " seed, each at its own best setting; the band is the 95 % interval at each epoch on its own. A method that"
    " goes on and off is compared where it is off. Small pictures: solid, validation images; dotted, training"
    " images, plain and un-mixed; the wider the gap between the two, the more the network overfits; grey,"
    " validation of the reference; the band is one standard deviation over seeds either way. All of this describes"
    " these runs; it claims nothing beyond the verdicts."
)
COLUMNS = (
    Column("method"),
    Column("training accuracy, %", True),
    Column("validation accuracy, %", True),
    Column("gap, points", True),
    Column("gap less the reference's", True),
)


def build(context: Context) -> Section:
    """Return the learning curves of every arm that has any, and how the leads went."""
    courses: list[dict[str, object]] = []
    means: list[pd.DataFrame] = []
    blocks = [
        _block(context, number, condition, courses, means)
        for number, condition in enumerate(context.plan.conditions, start=1)
    ]
    return Section(
        "curves",
        "When in training?",
        blocks=tuple(block for block in blocks if block.pictures),
        caption=CAPTION,
        empty="No learning curves yet.",
        data={
            "curves": pd.concat(means, ignore_index=True) if means else pd.DataFrame(columns=pd.Index(["condition"])),
            "courses": pd.DataFrame(courses, columns=pd.Index(COURSE_COLUMNS)),
        },
    )


COURSE_COLUMNS = (
    "condition", "method", "seeds", "overtakes_at_epoch", "ahead_from_the_start", "final_lead", "off_from_epoch",
    "off_gain", "off_gain_low", "off_gain_high",
)  # fmt: skip


def _block(
    context: Context,
    number: int,
    condition: ConditionRecord,
    courses: list[dict[str, object]],
    means: list[pd.DataFrame],
) -> Block:
    """Return a condition's block; what it shows is added to `courses` and `means`, unrounded."""
    study, plan = context.study, context.plan
    arms = [arm for arm in plan.arms if arm.condition == condition.name]
    found = [curves for curves in (arm_curves(study, arm) for arm in arms) if curves is not None]
    reference = plan.arm(condition.name, plan.reference(condition.name) or "")
    known = [
        course(study, arm, reference, condition)
        for arm in arms
        if reference and arm != reference and not arm.compute_of
    ]
    leads = [one for one in known if one is not None]
    gaps = [one for one in (gap(study, arm, condition) for arm in arms) if one is not None]
    means += [_long(condition, curves) for curves in found]
    courses += [_record(condition, one) for one in leads]
    against = reference.method if reference else ""
    return Block(
        condition.description,
        condition.name,
        sentences=tuple(sentence for one in leads for sentence in _sentences(context, one, against)),
        legend=tuple((context.colours[arm.method], arm.method) for arm in arms),
        picture=_lead_picture(context, number, condition, leads, against),
        panels=_panels(context, number, condition, found, against),
        table=_table(context, condition, gaps, against) if gaps else None,
    )


def _panels(
    context: Context, number: int, condition: ConditionRecord, found: list[ArmCurves], against: str
) -> tuple[Panel, ...]:
    reference = next((curves for curves in found if curves.method == against), None)
    ranges = curve_ranges(found)

    def panel(index: int, curves: ArmCurves) -> Panel:
        figure = learning_figure(curves, reference, ranges, context.colours)
        label = f"Learning curves of {curves.method} {condition.description}"
        picture = Picture(f"curves-{number}-{index}", figure, label)
        return Panel(curves.method, picture, curves.method, context.colours[curves.method], curves.source)

    return tuple(panel(index, curves) for index, curves in enumerate(found, start=1))


def _lead_picture(
    context: Context, number: int, condition: ConditionRecord, leads: list[Course], against: str
) -> Picture | None:
    drawn = [one for one in leads if len(one.epochs) > 1]
    if not drawn:
        return None
    unit = context.plan.unit
    scale = unit.scale
    curves = [
        Curve(
            one.method, context.colours[one.method], one.epochs.astype(float),
            scale * one.mean, scale * one.low, scale * one.high, points=len(one.epochs) <= 12,
        )
        for one in drawn
    ]  # fmt: skip
    figure = curves_figure(curves, x_title="epoch", y_title=f"lead, {unit.many}", zero=True)
    return Picture(f"leads-{number}", figure, f"Lead of each method over {against} along the epochs")


def _sentences(context: Context, one: Course, against: str) -> list[str]:
    if one.overtakes is None:
        said = f"{one.method} does not end ahead of {against}."
    elif one.from_start:
        said = f"{one.method} is ahead of {against} from epoch {one.overtakes} on, the first that is compared."
    else:
        said = f"{one.method} overtakes {against} at epoch {one.overtakes}, and stays ahead."
    if one.off_gain is None:
        return [said]
    unit, digits = context.plan.unit, context.plan.unit.digits + 1
    bounds = f" ({interval(one.off_gain.interval, digits, unit)})" if one.off_gain.interval else ""
    phase = f"In the final epochs without the method, from epoch {(one.off_from or 0) + 1} on, its lead changes by"
    return [f"{said} {phase} {points(one.off_gain.mean, digits, unit)}{bounds} {unit.many}."]


def _table(context: Context, condition: ConditionRecord, gaps: list[Gap], against: str) -> Table:
    base = next((one.gap for one in gaps if one.method == against), None)
    rows = []
    for one in gaps:
        less = None if base is None or one.method == against else one.gap - base
        rows.append(Line(
            (
                Cell(one.method, colour=context.colours[one.method]),
                Cell(f"{100 * one.training:.1f}", one.training),
                Cell(f"{100 * one.validation:.1f}", one.validation),
                Cell(points(one.gap, 1), one.gap),
                Cell("" if less is None else points(less, 1), less),
            ),
            condition.name,
            one.method,
        ))  # fmt: skip
    caption = f"Means of the last {condition.selection_epochs} epochs over the seeds at each method's best setting."
    return Table(COLUMNS, tuple(rows), caption)


def _long(condition: ConditionRecord, curves: ArmCurves) -> pd.DataFrame:
    frame = curves.mean.join(curves.spread.add_suffix("_deviation")).reset_index()
    return frame.assign(condition=condition.name, method=curves.method, runs=curves.runs, source=curves.source)


def _record(condition: ConditionRecord, one: Course) -> dict[str, object]:
    bounds = one.off_gain.interval if one.off_gain else None
    return dict(zip(COURSE_COLUMNS, (
        condition.name, one.method, one.seeds, one.overtakes, one.from_start, float(one.mean[-1]), one.off_from,
        one.off_gain.mean if one.off_gain else None, bounds.low if bounds else None,
        bounds.high if bounds else None,
    ), strict=True))  # fmt: skip
