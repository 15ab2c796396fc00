"""Learning-curve section: curves of every arm, lead over the reference by epoch, overfitting, final off phase."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reports.data.frames import StudyData
from reports.descriptive.lead_over_epochs import GeneralisationGap, LeadOverEpochs, generalisation_gap, lead_over_epochs
from reports.descriptive.learning_curves import ArmCurves, arm_curves
from reports.figures.learning_curves import curve_ranges, learning_figure
from reports.figures.plots import Curve, curves_figure
from reports.inference.wording import interval, signed
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section
from reports.page.tables import Column, Number, Table, data_frame, interval_columns, page_table
from trainables.records import ArmRecord, ConditionRecord, Unit

CAPTION = (
    "Wide figures: the lead of each method over its reference on validation images after each epoch, paired by seed,"
    " each at its own best setting; the band is the pointwise 95 % interval. A method that switches on and off is"
    " compared only while it is off. Small figures: the solid line shows validation images, the dotted line training"
    " images without mixing or augmentation; the wider the gap between them, the more the network overfits. Grey:"
    " validation curve of the reference. Bands: one standard deviation over seeds on either side. These curves describe"
    " the runs; they support no claims beyond the verdicts."
)
COURSE_COLUMNS: tuple[Column[LeadOverEpochs], ...] = (
    Column("condition", "", lambda lead: lead.condition),
    Column("method", "", lambda lead: lead.method),
    Column("seeds", "", lambda lead: lead.seeds),
    Column("overtakes_at_epoch", "", lambda lead: lead.overtakes),
    Column("ahead_from_the_start", "", lambda lead: lead.from_start),
    Column("final_lead", "", lambda lead: float(lead.mean[-1])),
    Column("off_from_epoch", "", lambda lead: lead.off_from),
    Column("off_gain", "", lambda lead: lead.off_gain.mean if lead.off_gain else None),
    *interval_columns("off_gain", lambda lead: lead.off_gain.interval if lead.off_gain else None),
)


@dataclass(frozen=True)
class ConditionCurves:
    """What is known of the training of a condition's arms.

    Args:
        condition: the condition.
        arms: all its arms.
        reference: display name of the reference, or empty.
        curves: curves of the arms that have any.
        leads: leads over the reference.
        gaps: generalisation gaps.
    """

    condition: ConditionRecord
    arms: tuple[ArmRecord, ...]
    reference: str
    curves: tuple[ArmCurves, ...]
    leads: tuple[LeadOverEpochs, ...]
    gaps: tuple[GeneralisationGap, ...]


def build(context: Context) -> Section:
    """Return the learning curves of all arms, and the leads over the reference."""
    found = [_condition_curves(context.study, condition) for condition in context.plan.conditions]
    blocks = [_block(context, number, one) for number, one in enumerate(found, start=1)]
    means = [_long(one.condition, curves) for one in found for curves in one.curves]
    return Section(
        "curves",
        "How does training proceed?",
        blocks=tuple(block for block in blocks if block.pictures),
        caption=CAPTION,
        empty="No learning curves yet.",
        data={
            "curves": pd.concat(means, ignore_index=True) if means else pd.DataFrame(columns=pd.Index(["condition"])),
            "courses": data_frame(COURSE_COLUMNS, [lead for one in found for lead in one.leads]),
        },
    )


def _condition_curves(study: StudyData, condition: ConditionRecord) -> ConditionCurves:
    arms, reference = study.plan.arms_of(condition.name), study.plan.reference_arm(condition.name)
    compared = [arm for arm in arms if reference and arm != reference and not arm.compute_of]
    leads = [lead_over_epochs(study, arm, reference, condition) for arm in compared if reference]
    return ConditionCurves(
        condition=condition,
        arms=arms,
        reference=reference.method if reference else "",
        curves=tuple(filter(None, (arm_curves(study, arm) for arm in arms))),
        leads=tuple(filter(None, leads)),
        gaps=tuple(filter(None, (generalisation_gap(study, arm, condition) for arm in arms))),
    )


def _block(context: Context, number: int, found: ConditionCurves) -> Block:
    return Block(
        found.condition.description,
        found.condition.name,
        sentences=tuple(_sentence(context.plan.unit, lead, found.reference) for lead in found.leads),
        legend=tuple((context.colours[arm.method], arm.method) for arm in found.arms),
        picture=_lead_picture(context, number, found),
        panels=_panels(context, number, found),
        table=_gap_table(context, found) if found.gaps else None,
    )


def _panels(context: Context, number: int, found: ConditionCurves) -> tuple[Panel, ...]:
    reference = next((curves for curves in found.curves if curves.method == found.reference), None)
    ranges = curve_ranges(found.curves)

    def panel(index: int, curves: ArmCurves) -> Panel:
        figure = learning_figure(curves, reference, ranges, context.colours)
        label = f"Learning curves of {curves.method} {found.condition.description}"
        picture = Picture(f"curves-{number}-{index}", figure, label)
        return Panel(curves.method, picture, curves.method, context.colours[curves.method], curves.source)

    return tuple(panel(index, curves) for index, curves in enumerate(found.curves, start=1))


def _lead_picture(context: Context, number: int, found: ConditionCurves) -> Picture | None:
    drawn = [lead for lead in found.leads if len(lead.epochs) > 1]
    if not drawn:
        return None
    unit, scale = context.plan.unit, context.plan.unit.scale
    curves = [
        Curve(
            lead.method, context.colours[lead.method], lead.epochs.astype(float),
            scale * lead.mean, scale * lead.low, scale * lead.high, points=len(lead.epochs) <= 12,
        )
        for lead in drawn
    ]  # fmt: skip
    figure = curves_figure(curves, x_title="epoch", y_title=f"lead, {unit.many}", zero=True)
    return Picture(f"leads-{number}", figure, f"Lead of each method over {found.reference} by epoch")


def _sentence(unit: Unit, lead: LeadOverEpochs, reference: str) -> str:
    if lead.overtakes is None:
        found = f"{lead.method} does not finish ahead of {reference}."
    elif lead.from_start:
        found = f"{lead.method} is ahead of {reference} from epoch {lead.overtakes} on, the first epoch compared."
    else:
        found = f"{lead.method} overtakes {reference} at epoch {lead.overtakes} and stays ahead."
    if lead.off_gain is None:
        return found
    digits = unit.digits + 1
    bounds = f" ({interval(lead.off_gain.interval, digits, unit)})" if lead.off_gain.interval else ""
    phase = f"In the final epochs without the method (from epoch {(lead.off_from or 0) + 1}), its lead changes by"
    return f"{found} {phase} {signed(lead.off_gain.mean, digits, unit)}{bounds} {unit.many}."


def _gap_table(context: Context, found: ConditionCurves) -> Table:
    reference = next((gap for gap in found.gaps if gap.method == found.reference), None)

    def difference(gap: GeneralisationGap) -> float | None:
        return None if reference is None or gap is reference else gap.gap - reference.gap

    columns: tuple[Column[GeneralisationGap], ...] = (
        Column("condition", "", lambda gap: gap.condition),
        Column("method", "method", lambda gap: gap.method),
        Number("", "training accuracy, %", lambda gap: gap.training, _percent),
        Number("", "validation accuracy, %", lambda gap: gap.validation, _percent),
        Number("", "gap, points", lambda gap: gap.gap, _points),
        Number("", "gap minus gap of the reference", difference, _points),
    )
    epochs = found.condition.selection_epochs
    caption = f"Means over the last {epochs} epochs and all seeds, at the best setting of each method."
    return page_table(columns, found.gaps, context.colours, caption)


def _percent(accuracy: float) -> str:
    return f"{100 * accuracy:.1f}"


def _points(difference: float) -> str:
    return signed(difference, 1)


def _long(condition: ConditionRecord, curves: ArmCurves) -> pd.DataFrame:
    frame = curves.mean.join(curves.spread.add_suffix("_deviation")).reset_index()
    return frame.assign(condition=condition.name, method=curves.method, runs=curves.runs, source=curves.source)
