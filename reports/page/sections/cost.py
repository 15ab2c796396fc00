"""Cost section: seconds per epoch, and effects at equal compute."""

from __future__ import annotations

import math

import pandas as pd

from reports.data.overview import ArmSummary
from reports.descriptive.cost import EpochTime, EqualComputeEffect, epoch_times, equal_compute_effects
from reports.inference.wording import interval, signed
from reports.page.context import Context
from reports.page.layout import Block, Section, Table, TableCell, TableColumn, TableRow
from trainables.records import duration

MATCHES = {
    "epochs": "All methods of a condition train for the same number of epochs, regardless of the cost of an epoch.",
    "steps": "All methods of a condition train for the same number of steps.",
    "compute": "All methods of a condition train with the same compute: more expensive ones for fewer epochs.",
}
COLUMNS = (
    TableColumn("condition"), TableColumn("method"), TableColumn("seconds per epoch", True),
    TableColumn("relative to the reference", True), TableColumn("nominal", True),
    TableColumn("all runs, plain epochs", True), TableColumn("all runs, time", True),
)  # fmt: skip
EQUAL_COLUMNS = (
    TableColumn("condition"), TableColumn("method"), TableColumn("against"), TableColumn("value of the method", True),
    TableColumn("value of the other", True), TableColumn("effect", True), TableColumn("95 % interval", True),
)  # fmt: skip


def build(context: Context) -> Section | None:
    """Return the cost of each arm, and the effects at equal compute."""
    found = [pace for condition in context.plan.conditions for pace in epoch_times(context.study, condition.name)]
    equal = equal_compute_effects(context.study)
    blocks = [Block(sentences=tuple(_sentences(context)), table=_table(context, found))]
    if equal:
        blocks.append(_equal(context, equal))
    return Section(
        "cost",
        "What does it cost?",
        blocks=tuple(blocks) if found else (),
        empty="No run has started yet.",
        data={
            "cost": _frame(context, found),
            "equal_compute": pd.DataFrame([_record(one) for one in equal], columns=pd.Index(RECORDED)),
        },
    )


def _sentences(context: Context) -> list[str]:
    sentences = [MATCHES.get(context.plan.match, f"Methods are matched on {context.plan.match}.")]
    if not any(arm.compute_of for arm in context.plan.arms):
        sentences.append(
            "The study contains no reference runs with the compute of a more expensive method, so effects are known "
            "for this match only."
        )
    return sentences


def _table(context: Context, found: list[EpochTime]) -> Table:
    summaries = {summary.arm.name: summary for summary in context.summaries}
    caption = (
        "Seconds: the median epoch of the median run. Nominal: the relative cost expected from the definition of the"
        " method. A plain epoch is one pass over the training images without any method. Runs that share a machine"
        " slow each other down."
    )
    return Table(
        COLUMNS, tuple(_table_row(context, pace, summaries[pace.arm.name]) for pace in found), caption, folded=False
    )


def _table_row(context: Context, pace: EpochTime, summary: ArmSummary) -> TableRow:
    arm = pace.arm
    cells = (
        TableCell(arm.condition),
        TableCell(arm.method, colour=context.colours[arm.method]),
        _number(pace.seconds, f"{pace.seconds:.3g}"),
        _number(pace.relative, f"{pace.relative:.2f}"),
        TableCell(f"{arm.cost:.2f}", arm.cost),
        TableCell(f"{summary.plain_epochs:,.0f}", summary.plain_epochs),
        TableCell(duration(summary.seconds), summary.seconds),
    )
    return TableRow(cells, arm.condition, arm.method)


def _number(value: float, words: str) -> TableCell:
    return TableCell(words, value) if math.isfinite(value) else TableCell("")


def _equal(context: Context, equal: list[EqualComputeEffect]) -> Block:
    unit, digits = context.plan.unit, context.plan.unit.digits
    rows = tuple(
        TableRow(
            (
                TableCell(one.condition),
                TableCell(one.method, colour=context.colours[one.method]),
                TableCell(one.against),
                TableCell(f"{unit.scale * one.value:.{digits}f}", one.value),
                TableCell(f"{unit.scale * one.other:.{digits}f}", one.other),
                TableCell(signed(one.effect.mean, digits, unit), one.effect.mean),
                TableCell(interval(one.effect.interval, digits, unit)),
            ),
            one.condition,
            one.method,
        )
        for one in equal
    )
    caption = (
        "Each method is compared with an arm that trained for as long as the compute of the method allows, at the"
        " settings found for the usual length, without retuning. Intervals are over seeds and not corrected for"
        " multiple comparisons; only the verdicts are claims."
    )
    return Block("At equal compute", table=Table(EQUAL_COLUMNS, rows, caption, folded=False))


def _frame(context: Context, found: list[EpochTime]) -> pd.DataFrame:
    summaries = {summary.arm.name: summary for summary in context.summaries}
    return pd.DataFrame([
        {
            "condition": pace.arm.condition, "method": pace.arm.method, "seconds_per_epoch": pace.seconds,
            "relative": pace.relative, "nominal": pace.arm.cost,
            "plain_epochs": summaries[pace.arm.name].plain_epochs, "seconds": summaries[pace.arm.name].seconds,
        }
        for pace in found
    ])  # fmt: skip


RECORDED = ("condition", "method", "against", "value", "against_value", "effect", "low", "high")


def _record(one: EqualComputeEffect) -> dict[str, object]:
    bounds = one.effect.interval
    return {
        "condition": one.condition, "method": one.method, "against": one.against, "value": one.value,
        "against_value": one.other, "effect": one.effect.mean, "low": bounds.low if bounds else None,
        "high": bounds.high if bounds else None,
    }  # fmt: skip
