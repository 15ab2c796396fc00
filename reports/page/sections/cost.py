"""Cost section: seconds per epoch, and effects at equal compute."""

from __future__ import annotations

from typing import NamedTuple

from reports.data.overview import ArmSummary
from reports.descriptive.cost import EpochTime, EqualComputeEffect, epoch_times, equal_compute_effects
from reports.inference.wording import interval, signed
from reports.page.context import Context
from reports.page.layout import Block, Section
from reports.page.tables import Column, Number, TableCell, data_frame, interval_columns, page_table
from trainables.records import Unit, duration

MATCHES = {
    "epochs": "All methods of a condition train for the same number of epochs, regardless of the cost of an epoch.",
    "steps": "All methods of a condition train for the same number of steps.",
    "compute": "All methods of a condition train with the same compute: more expensive ones for fewer epochs.",
}


class ArmCost(NamedTuple):
    """Time per epoch of an arm, and the cost of all its runs."""

    time: EpochTime
    summary: ArmSummary


COLUMNS: tuple[Column[ArmCost], ...] = (
    Column("condition", "condition", lambda cost: cost.time.arm.condition),
    Column("method", "method", lambda cost: cost.time.arm.method),
    Number("seconds_per_epoch", "seconds per epoch", lambda cost: cost.time.seconds, "{:.3g}".format),
    Number("relative", "relative to the reference", lambda cost: cost.time.relative, "{:.2f}".format),
    Number("nominal", "nominal", lambda cost: cost.time.arm.cost, "{:.2f}".format),
    Number("plain_epochs", "all runs, plain epochs", lambda cost: cost.summary.plain_epochs, "{:,.0f}".format),
    Number("seconds", "all runs, time", lambda cost: cost.summary.seconds, duration),
)
CAPTION = (
    "Seconds: the median epoch of the median run. Nominal: the relative cost expected from the definition of the"
    " method. A plain epoch is one pass over the training images without any method. Runs that share a machine"
    " slow each other down."
)
EQUAL_CAPTION = (
    "Each method is compared with an arm that trained for as long as the compute of the method allows, at the"
    " settings found for the usual length, without retuning. Intervals are over seeds and not corrected for"
    " multiple comparisons; only the verdicts are claims."
)


def build(context: Context) -> Section:
    """Return the cost of each arm, and the effects at equal compute."""
    summaries = {summary.arm.name: summary for summary in context.summaries}
    costs = [
        ArmCost(time, summaries[time.arm.name])
        for condition in context.plan.conditions
        for time in epoch_times(context.study, condition.name)
    ]
    blocks = [
        Block(sentences=_sentences(context), table=page_table(COLUMNS, costs, context.colours, CAPTION, folded=False))
    ]
    equal, columns = equal_compute_effects(context.study), _equal_columns(context.plan.unit)
    if equal:
        blocks.append(
            Block("At equal compute", table=page_table(columns, equal, context.colours, EQUAL_CAPTION, folded=False))
        )
    return Section(
        "cost",
        "What does it cost?",
        blocks=tuple(blocks) if costs else (),
        empty="No run has started yet.",
        data={"cost": data_frame(COLUMNS, costs), "equal_compute": data_frame(columns, equal)},
    )


def _sentences(context: Context) -> tuple[str, ...]:
    matched = MATCHES.get(context.plan.match, f"Methods are matched on {context.plan.match}.")
    if any(arm.compute_of for arm in context.plan.arms):
        return (matched,)
    alone = (
        "The study contains no reference runs with the compute of a more expensive method, so effects are known "
        "for this match only."
    )
    return matched, alone


def _equal_columns(unit: Unit) -> tuple[Column[EqualComputeEffect], ...]:
    def level(value: float) -> str:
        return f"{unit.scale * value:.{unit.digits}f}"

    return (
        Column("condition", "condition", lambda one: one.condition),
        Column("method", "method", lambda one: one.method),
        Column("against", "against", lambda one: one.against),
        Number("value", "value of the method", lambda one: one.value, level),
        Number("against_value", "value of the other", lambda one: one.other, level),
        Number("effect", "effect", lambda one: one.effect.mean, lambda mean: signed(mean, unit.digits, unit)),
        Number("", "95 % interval", lambda one: TableCell(interval(one.effect.interval, unit.digits, unit))),
        *interval_columns("", lambda one: one.effect.interval),
    )
