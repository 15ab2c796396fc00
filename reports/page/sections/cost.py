"""At what cost? Seconds of an epoch, and effects at equal compute."""

from __future__ import annotations

import math

import pandas as pd

from reports.data.overview import ArmSummary, duration
from reports.descriptive.cost import EqualCompute, Pace, at_equal_compute, paces
from reports.inference.wording import interval, points
from reports.page.context import Context
from reports.page.layout import Block, Cell, Column, Line, Section, Table

MATCHES = {
    "epochs": "All methods of a condition train for the same number of epochs, whatever an epoch costs.",
    "steps": "All methods of a condition train for the same number of steps.",
    "compute": "All methods of a condition train for the same compute: costlier ones for fewer epochs.",
}
COLUMNS = (
    Column("condition"), Column("method"), Column("seconds an epoch", True), Column("times the reference", True),
    Column("nominal", True), Column("all runs, plain epochs", True), Column("all runs, time", True),
)  # fmt: skip
EQUAL_COLUMNS = (
    Column("condition"), Column("method"), Column("against"), Column("method's", True),
    Column("other's", True), Column("effect", True), Column("95 % interval", True),
)  # fmt: skip


def build(context: Context) -> Section | None:
    """Return what each arm cost, and what became of the effects at equal compute."""
    found = [pace for condition in context.plan.conditions for pace in paces(context.study, condition.name)]
    equal = at_equal_compute(context.study)
    blocks = [Block(sentences=(*_lead(context),), table=_table(context, found))]
    if equal:
        blocks.append(_equal(context, equal))
    return Section(
        "cost",
        "At what cost?",
        blocks=tuple(blocks) if found else (),
        empty="Nothing has run yet.",
        data={
            "cost": _frame(context, found),
            "equal_compute": pd.DataFrame([_record(one) for one in equal], columns=pd.Index(RECORDED)),
        },
    )


def _lead(context: Context) -> list[str]:
    said = [MATCHES.get(context.plan.match, f"Methods are matched on {context.plan.match}.")]
    if not any(arm.compute_of for arm in context.plan.arms):
        said.append(
            "The study has no run of the reference at a costlier method's compute: effects stand at that match."
        )
    return said


def _table(context: Context, found: list[Pace]) -> Table:
    summaries = {summary.arm.name: summary for summary in context.summaries}
    caption = (
        "The median epoch of the median run, and what the definition of the method lets expect (nominal): a plain"
        " epoch is one pass over the training images without any method. Runs that share a machine slow each other"
        " down alike."
    )
    return Table(
        COLUMNS, tuple(_line(context, pace, summaries[pace.arm.name]) for pace in found), caption, folded=False
    )


def _line(context: Context, pace: Pace, summary: ArmSummary) -> Line:
    arm = pace.arm
    cells = (
        Cell(arm.condition),
        Cell(arm.method, colour=context.colours[arm.method]),
        _number(pace.seconds, f"{pace.seconds:.3g}"),
        _number(pace.relative, f"{pace.relative:.2f}"),
        Cell(f"{arm.cost:.2f}", arm.cost),
        Cell(f"{summary.plain_epochs:,.0f}", summary.plain_epochs),
        Cell(duration(summary.seconds), summary.seconds),
    )
    return Line(cells, arm.condition, arm.method)


def _number(value: float, words: str) -> Cell:
    return Cell(words, value) if math.isfinite(value) else Cell("")


def _equal(context: Context, equal: list[EqualCompute]) -> Block:
    unit, digits = context.plan.unit, context.plan.unit.digits
    rows = tuple(
        Line(
            (
                Cell(one.condition),
                Cell(one.method, colour=context.colours[one.method]),
                Cell(one.against),
                Cell(f"{unit.scale * one.value:.{digits}f}", one.value),
                Cell(f"{unit.scale * one.other:.{digits}f}", one.other),
                Cell(points(one.effect.mean, digits, unit), one.effect.mean),
                Cell(interval(one.effect.interval, digits, unit)),
            ),
            one.condition,
            one.method,
        )
        for one in equal
    )
    caption = (
        "Each against an arm that trained as long as the method's compute allows, at the settings found for the usual"
        " length: not retuned. Intervals over seeds, not corrected; only the verdicts claim anything."
    )
    return Block("At equal compute", table=Table(EQUAL_COLUMNS, rows, caption, folded=False))


def _frame(context: Context, found: list[Pace]) -> pd.DataFrame:
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


def _record(one: EqualCompute) -> dict[str, object]:
    bounds = one.effect.interval
    return {
        "condition": one.condition, "method": one.method, "against": one.against, "value": one.value,
        "against_value": one.other, "effect": one.effect.mean, "low": bounds.low if bounds else None,
        "high": bounds.high if bounds else None,
    }  # fmt: skip
