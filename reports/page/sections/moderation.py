"""Moderation section: effects over the grid of conditions, and the conditions on which they depend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.figures.condition_grid import Tile, grid_figure
from reports.inference import wording as text
from reports.inference.moderation import EffectChange, effect_changes
from reports.page.claims import SIGNS, Claim, comparisons
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section
from reports.page.tables import Column, Number, data_frame, decision_columns, page_table
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
    columns = _columns(context.plan, digits)
    block = Block(
        sentences=tuple(_sentences(context.plan, found, digits)),
        panels=tuple(_panels(context)),
        table=page_table(columns, found, context.colours, _caption(context.plan)) if found else None,
    )
    data = {"when": data_frame(columns, found) if found else pd.DataFrame()}
    return Section("when", "When does it help?", (block,), caption=CAPTION, data=data)


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
        grid = _grid([plan.condition(claim.verdict.condition) for claim in own])
        rows = [describe(row) for row in grid.rows] if len(grid.rows) > 1 else [""]
        columns = [plain(level) for level in grid.columns]
        tiles = [_tile(plan, claim, grid) for claim in own]
        figure = grid_figure(tiles, rows, columns, grid.factor.replace("_", " "), largest)
        label = f"Effects of {own[0].comparison} over the conditions"
        picture = Picture(f"when-{number}", figure, label)
        panels.append(Panel(own[0].comparison, picture, own[0].verdict.method, own[0].colour))
    return panels


@dataclass(frozen=True)
class Grid:
    """Arrangement of conditions in a heat map.

    Args:
        factor: factor on the horizontal axis.
        columns: its levels.
        rows: levels of the other varied factors, for each row.
    """

    factor: str
    columns: Sequence[Any]
    rows: Sequence[Mapping[str, Any]]

    def row_of(self, condition: ConditionRecord) -> int:
        """Return the number of the row of a condition."""
        return self.rows.index({factor: condition.values.get(factor) for factor in self.rows[0]})

    def column_of(self, condition: ConditionRecord) -> int:
        """Return the number of the column of a condition."""
        return self.columns.index(condition.values.get(self.factor))


def _grid(conditions: Sequence[ConditionRecord]) -> Grid:
    """Return the grid of the conditions.

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
    return Grid(across, columns, rows)


def _levels(conditions: Sequence[ConditionRecord]) -> dict[str, list[Any]]:
    """Return the levels of every factor in the order of the study; None stands for a condition without the factor."""
    factors = dict.fromkeys(factor for condition in conditions for factor in condition.values)
    levels: dict[str, list[Any]] = {factor: [] for factor in factors}
    for factor, own in levels.items():
        for condition in conditions:
            if condition.values.get(factor) not in own:
                own.append(condition.values.get(factor))
    return levels


def _tile(plan: PlanRecord, claim: Claim, grid: Grid) -> Tile:
    tuned, condition = claim.verdict.tuned, plan.condition(claim.verdict.condition)
    return Tile(
        row=grid.row_of(condition),
        column=grid.column_of(condition),
        effect=plan.unit.scale * tuned.mean if tuned else None,
        text=f"{claim.sign}<br>{claim.row.effect}" if tuned else "…",
        hover=f"{claim.description}: {claim.label}{claim.figures}",
    )


def _columns(plan: PlanRecord, digits: int) -> tuple[Column[EffectChange], ...]:
    unit = plan.unit

    def effect(value: float) -> str:
        return text.signed(value, digits, unit)

    return (
        Column("method", "method", lambda change: change.pair.first.method),
        Column("reference", "against", lambda change: change.pair.first.reference),
        Column("factor", "", lambda change: change.pair.factor),
        Column("first_condition", "", lambda change: change.pair.first.condition),
        Column("second_condition", "", lambda change: change.pair.second.condition),
        Column("", "where", lambda change: _where(plan, change)),
        Column("", "between", lambda change: _gap(plan, change)),
        Column("", "the effect", _label),
        Number("first_effect", f"first effect, {unit.many}", lambda change: change.effects[0], effect, unit.scale),
        Number("second_effect", "second effect", lambda change: change.effects[1], effect, unit.scale),
        Column("unit", "", lambda _: unit.many),
        *decision_columns("difference", "difference", digits, unit),
        Column("verdict", "", lambda change: change.decision.verdict),
        Number("shared_seeds", "shared seeds", lambda change: change.seeds),
        Column("provisional", "", lambda change: change.provisional),
    )


def _label(change: EffectChange) -> str:
    verdict = change.decision.verdict
    return f"{SIGNS[verdict]} {LABELS[verdict]}{', so far' if change.provisional else ''}"


def _caption(plan: PlanRecord) -> str:
    return (
        "Difference: the second effect minus the first, paired by the seeds that both conditions share; without shared "
        "seeds, the means are compared. “Does not change”: a change of "
        f"{plan.unit.amount(plan.smallest_effect)} or more is ruled out."
    )
