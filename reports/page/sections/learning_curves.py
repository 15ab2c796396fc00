"""Learning-curve section: curves of every arm, lead over the reference by epoch, overfitting, final off phase."""

from __future__ import annotations

import pandas as pd

from reports.descriptive.lead_over_epochs import GeneralisationGap, LeadOverEpochs, generalisation_gap, lead_over_epochs
from reports.descriptive.learning_curves import ArmCurves, arm_curves
from reports.figures.learning_curves import curve_ranges, learning_figure
from reports.figures.plots import Curve, curves_figure
from reports.inference.wording import interval, signed
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section, Table, TableCell, TableColumn, TableRow
from trainables.records import ConditionRecord

CAPTION = (
    "Wide figures: the lead of each method over its reference on validation images after each epoch, paired by seed,"
    " each at its own best setting; the band is the pointwise 95 % interval. A method that switches on and off is"
    " compared only while it is off. Small figures: the solid line shows validation images, the dotted line training"
    " images without mixing or augmentation; the wider the gap between them, the more the network overfits. Grey:"
    " validation curve of the reference. Bands: one standard deviation over seeds on either side. These curves describe"
    " the runs; they support no claims beyond the verdicts."
)
COLUMNS = (
    TableColumn("method"),
    TableColumn("training accuracy, %", True),
    TableColumn("validation accuracy, %", True),
    TableColumn("gap, points", True),
    TableColumn("gap minus gap of the reference", True),
)


def build(context: Context) -> Section:
    """Return the learning curves of all arms, and the leads over the reference."""
    courses: list[dict[str, object]] = []
    means: list[pd.DataFrame] = []
    blocks = [
        _block(context, number, condition, courses, means)
        for number, condition in enumerate(context.plan.conditions, start=1)
    ]
    return Section(
        "curves",
        "How does training proceed?",
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
    """Return the block of a condition, and append its unrounded values to `courses` and `means`."""
    study, plan = context.study, context.plan
    arms = [arm for arm in plan.arms if arm.condition == condition.name]
    found = [curves for curves in (arm_curves(study, arm) for arm in arms) if curves is not None]
    reference = plan.arm(condition.name, plan.reference(condition.name) or "")
    known = [
        lead_over_epochs(study, arm, reference, condition)
        for arm in arms
        if reference and arm != reference and not arm.compute_of
    ]
    leads = [one for one in known if one is not None]
    gaps = [one for one in (generalisation_gap(study, arm, condition) for arm in arms) if one is not None]
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
    context: Context, number: int, condition: ConditionRecord, leads: list[LeadOverEpochs], against: str
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
    return Picture(f"leads-{number}", figure, f"Lead of each method over {against} by epoch")


def _sentences(context: Context, one: LeadOverEpochs, against: str) -> list[str]:
    if one.overtakes is None:
        lead = f"{one.method} does not finish ahead of {against}."
    elif one.from_start:
        lead = f"{one.method} is ahead of {against} from epoch {one.overtakes} on, the first epoch compared."
    else:
        lead = f"{one.method} overtakes {against} at epoch {one.overtakes} and stays ahead."
    if one.off_gain is None:
        return [lead]
    unit, digits = context.plan.unit, context.plan.unit.digits + 1
    bounds = f" ({interval(one.off_gain.interval, digits, unit)})" if one.off_gain.interval else ""
    phase = f"In the final epochs without the method (from epoch {(one.off_from or 0) + 1}), its lead changes by"
    return [f"{lead} {phase} {signed(one.off_gain.mean, digits, unit)}{bounds} {unit.many}."]


def _table(context: Context, condition: ConditionRecord, gaps: list[GeneralisationGap], against: str) -> Table:
    base = next((one.gap for one in gaps if one.method == against), None)
    rows = []
    for one in gaps:
        less = None if base is None or one.method == against else one.gap - base
        rows.append(TableRow(
            (
                TableCell(one.method, colour=context.colours[one.method]),
                TableCell(f"{100 * one.training:.1f}", one.training),
                TableCell(f"{100 * one.validation:.1f}", one.validation),
                TableCell(signed(one.gap, 1), one.gap),
                TableCell("" if less is None else signed(less, 1), less),
            ),
            condition.name,
            one.method,
        ))  # fmt: skip
    caption = (
        f"Means over the last {condition.selection_epochs} epochs and all seeds, at the best setting of each method."
    )
    return Table(COLUMNS, tuple(rows), caption)


def _long(condition: ConditionRecord, curves: ArmCurves) -> pd.DataFrame:
    frame = curves.mean.join(curves.spread.add_suffix("_deviation")).reset_index()
    return frame.assign(condition=condition.name, method=curves.method, runs=curves.runs, source=curves.source)


def _record(condition: ConditionRecord, one: LeadOverEpochs) -> dict[str, object]:
    bounds = one.off_gain.interval if one.off_gain else None
    return dict(zip(COURSE_COLUMNS, (
        condition.name, one.method, one.seeds, one.overtakes, one.from_start, float(one.mean[-1]), one.off_from,
        one.off_gain.mean if one.off_gain else None, bounds.low if bounds else None,
        bounds.high if bounds else None,
    ), strict=True))  # fmt: skip
