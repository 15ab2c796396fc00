"""Moderation section: effects over the grid of conditions, and the conditions on which they depend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.figures.condition_grid import Tile, grid_figure
from reports.inference import wording as text
from reports.inference.moderation import EffectChange, effect_changes
from reports.inference.records import interval_record
from reports.page.claims import SIGNS, Claim, comparisons
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section, Table, TableCell, TableColumn, TableRow
from trainables.records import (
    EQUIVALENT,
    UNDECIDED,
    VERDICTS,
    ConditionRecord,
    PlanRecord,
    describe,
    is_number,
    number_of,
    plain,
)

LABELS: dict[str, str] = dict(zip(VERDICTS, ("grows", "falls", "does not change", UNDECIDED), strict=True))
CAPTION = (
    "Each cell is a condition: ▲ helps, ▼ hurts, ≈ equivalent, ○ undecided; the number is the effect. Blue is better "
    "than the reference, orange is worse; the stronger the colour, the larger the effect. An effect is said to depend "
    "on a factor only if the difference between two neighbouring cells is significant after correction for all such "
    "differences."
)


def build(context: Context) -> Section | None:
    """Return the heat maps and the changes between conditions; None for a study of one condition."""
    if len(context.plan.conditions) < 2 or not context.claims:
        return None
    found = effect_changes(context.study)
    intervals = [change.decision.estimate.interval for change in found if change.decision.estimate]
    digits = text.decimals(intervals, context.plan.unit)
    block = Block(
        sentences=tuple(_sentences(context.plan, found, digits)),
        panels=tuple(_panels(context)),
        table=_table(context, found, digits) if found else None,
    )
    frame = pd.DataFrame([_record(context.plan, change) for change in found])
    return Section("when", "When does it help?", (block,), caption=CAPTION, data={"when": frame})


def _sentences(plan: PlanRecord, found: Sequence[EffectChange], digits: int) -> list[str]:
    shown = [change for change in found if change.decision.decided]
    sentences = [_sentence(plan, change, digits) for change in shown if change.decision.verdict != EQUIVALENT]
    same = [change for change in shown if change.decision.verdict == EQUIVALENT]
    count = number_of(len(found), "difference")
    if found and not sentences:
        sentences.append(
            f"No effect is shown to depend on the condition; {count} between neighbouring conditions "
            f"{'was' if len(found) == 1 else 'were'} tested."
        )
    if same:
        limit = plan.unit.amount(plan.smallest_effect)
        sentences.append(f"In {len(same)} of {count} the effect is shown to change by less than {limit}.")
    return sentences


def _sentence(plan: PlanRecord, change: EffectChange, digits: int) -> str:
    """Return a sentence such as "mixup's effect on resnet20 changes between train fraction 0.25 and 0.5: ..."."""
    unit, estimate = plan.unit, change.decision.estimate
    one, other = (text.signed(effect, digits, unit) for effect in change.effects if effect is not None)
    difference = text.signed(estimate.mean, digits, unit) if estimate else ""
    found = text.interval(estimate.interval if estimate else None, digits, unit)
    so_far = ", so far" if change.provisional else ""
    return (
        f"{' '.join(filter(None, (_whose(plan, change), _where(plan, change))))} changes between "
        f"{_gap(plan, change)}{so_far}: from {one} to {other} {unit.many}, a difference of {difference}, "
        f"95 % interval {found}."
    )


def _whose(plan: PlanRecord, change: EffectChange) -> str:
    contrast = change.pair.first
    against = "" if plan.reference(contrast.condition) == contrast.reference else f" over {contrast.reference}"
    return f"{contrast.method}’s effect{against}"


def _where(plan: PlanRecord, change: EffectChange) -> str:
    values = plan.condition(change.pair.first.condition).values
    return describe({name: value for name, value in values.items() if name != change.pair.factor})


def _gap(plan: PlanRecord, change: EffectChange) -> str:
    factor = change.pair.factor
    one, other = (
        plain(plan.condition(side.condition).values[factor]) for side in (change.pair.first, change.pair.second)
    )
    return f"{factor.replace('_', ' ')} {one} and {other}"


def _panels(context: Context) -> list[Panel]:
    """Return a heat map for every comparison made under several conditions."""
    plan, unit = context.plan, context.plan.unit
    effects = [abs(claim.verdict.tuned.mean) for claim in context.claims if claim.verdict.tuned]
    largest = unit.scale * max([2 * plan.smallest_effect, *effects])
    several = (group.claims for group in comparisons(context.claims) if len(group.claims) > 1)
    panels = []
    for number, own in enumerate(several, start=1):
        held = [plan.condition(claim.verdict.condition) for claim in own]
        across, columns, rows = _axes(held)
        tiles = [
            _tile(plan, claim, condition, across, columns, rows) for claim, condition in zip(own, held, strict=True)
        ]
        names = [describe(row) for row in rows] if len(rows) > 1 else [""]
        figure = grid_figure(tiles, names, [plain(level) for level in columns], across.replace("_", " "), largest)
        label = f"Effects of {own[0].comparison} over the conditions"
        picture = Picture(f"when-{number}", figure, label)
        panels.append(Panel(own[0].comparison, picture, own[0].verdict.method, own[0].colour))
    return panels


def _axes(conditions: Sequence[ConditionRecord]) -> tuple[str, list[Any], list[dict[str, Any]]]:
    """Return the factor on the horizontal axis, its levels, and the levels of the other factors in each row.

    The horizontal axis is the last factor with numeric levels, or the last factor if there is none.
    """
    varied = {factor: own for factor, own in _levels(conditions).items() if len(own) > 1}
    ordered = [factor for factor, own in varied.items() if all(map(is_number, own))]
    across = (ordered or list(varied))[-1]
    columns = sorted(varied[across]) if across in ordered else varied[across]
    rows: list[dict[str, Any]] = []
    for condition in conditions:
        row = {factor: condition.values.get(factor) for factor in varied if factor != across}
        if row not in rows:
            rows.append(row)
    return across, columns, rows


def _levels(conditions: Sequence[ConditionRecord]) -> dict[str, list[Any]]:
    """Return the levels of every factor in the order of the study; None stands for a condition without the factor."""
    factors = dict.fromkeys(factor for condition in conditions for factor in condition.values)
    levels: dict[str, list[Any]] = {factor: [] for factor in factors}
    for factor, own in levels.items():
        for condition in conditions:
            if condition.values.get(factor) not in own:
                own.append(condition.values.get(factor))
    return levels


def _tile(
    plan: PlanRecord,
    claim: Claim,
    condition: ConditionRecord,
    across: str,
    columns: Sequence[Any],
    rows: Sequence[dict[str, Any]],
) -> Tile:
    tuned = claim.verdict.tuned
    return Tile(
        row=rows.index({factor: condition.values.get(factor) for factor in rows[0]}),
        column=columns.index(condition.values.get(across)),
        effect=plan.unit.scale * tuned.mean if tuned else None,
        text=f"{claim.sign}<br>{claim.row.effect}" if tuned else "…",
        hover=f"{claim.description}: {claim.label}{claim.figures}",
    )


def _table(context: Context, found: Sequence[EffectChange], digits: int) -> Table:
    unit, plan = context.plan.unit, context.plan
    columns = (
        TableColumn("method"), TableColumn("against"), TableColumn("where"), TableColumn("between"),
        TableColumn("the effect"), TableColumn(f"first effect, {unit.many}", True),
        TableColumn("second effect", True), TableColumn("difference", True), TableColumn("95 % interval", True),
        TableColumn("adjusted p", True), TableColumn("shared seeds", True),
    )  # fmt: skip
    caption = (
        "Difference: the second effect minus the first, paired by the seeds that both conditions share; without shared "
        "seeds, the means are compared. “Does not change”: a change of "
        f"{unit.amount(plan.smallest_effect)} or more is ruled out."
    )
    return Table(columns, tuple(_table_row(context, change, digits) for change in found), caption)


def _table_row(context: Context, change: EffectChange, digits: int) -> TableRow:
    plan, contrast, estimate = context.plan, change.pair.first, change.decision.estimate
    label = LABELS[change.decision.verdict] + (", so far" if change.provisional else "")
    effects = [_number(effect, digits, plan) for effect in (*change.effects, estimate.mean if estimate else None)]
    found = estimate.interval if estimate else None
    return TableRow(
        (
            TableCell(contrast.method, colour=context.colours[contrast.method]),
            TableCell(contrast.reference),
            TableCell(_where(plan, change)),
            TableCell(_gap(plan, change)),
            TableCell(f"{SIGNS[change.decision.verdict]} {label}"),
            *effects,
            TableCell(text.interval(found, digits, plan.unit) if found else "", found.low if found else None),
            TableCell(text.p_value(change.decision.p_adjusted) if estimate else "", change.decision.p_adjusted),
            TableCell(str(change.seeds), change.seeds),
        ),
        method=contrast.method,
    )


def _number(effect: float | None, digits: int, plan: PlanRecord) -> TableCell:
    return TableCell("" if effect is None else text.signed(effect, digits, plan.unit), effect)


def _record(plan: PlanRecord, change: EffectChange) -> dict[str, Any]:
    unit, estimate, contrast = plan.unit, change.decision.estimate, change.pair.first
    first, second = (None if effect is None else unit.scale * effect for effect in change.effects)
    return {
        "method": contrast.method,
        "reference": contrast.reference,
        "factor": change.pair.factor,
        "first_condition": contrast.condition,
        "second_condition": change.pair.second.condition,
        "first_effect": first,
        "second_effect": second,
        "unit": unit.many,
        "difference": unit.scale * estimate.mean if estimate else None,
        **interval_record("difference", estimate.interval if estimate else None, unit),
        "p": change.decision.p,
        "p_adjusted": change.decision.p_adjusted,
        "equivalence_p_adjusted": change.decision.equivalence_p_adjusted,
        "verdict": change.decision.verdict,
        "shared_seeds": change.seeds,
        "provisional": change.provisional,
    }
