"""Factorial section: main effects and two-way interactions of the compared factors."""

from __future__ import annotations

from collections.abc import Sequence

from reports.figures.forest_plot import EffectRow, effect_figure, effect_range
from reports.figures.palette import REFERENCE
from reports.inference import wording as text
from reports.inference.factorial import FactorialEffect, LevelChange, factorial_effects
from reports.page.claims import SIGNS
from reports.page.context import Context
from reports.page.layout import Block, Picture, Section
from reports.page.tables import Column, Number, data_frame, decision_columns, page_table
from trainables.records import UNDECIDED, VERDICTS, PlanRecord, plain

MAIN: dict[str, str] = dict(zip(VERDICTS, ("helps", "hurts", "makes no difference", UNDECIDED), strict=True))
INTERACTION: dict[str, str] = dict(
    zip(VERDICTS, ("more together", "less together", "independent", UNDECIDED), strict=True)
)
MAIN_COLOUR = "#56788f"
CAPTION = (
    "Dot: the effect of one change, averaged over all settings of the other factors; hollow while undecided, square if "
    "it makes no difference. Line: 95 % interval over seeds. Grey: interaction, that is, how much larger the effect of "
    "two changes together is than the sum of their single effects. All of these are corrected for multiple testing "
    "together, separately from the comparisons above."
)


def build(context: Context) -> Section | None:
    """Return the effect of every change and every pair of changes; None if only one factor is compared."""
    found = factorial_effects(context.study)
    if not found:
        return None
    plan = context.plan
    intervals = [effect.decision.estimate.interval for effect in found if effect.decision.estimate]
    digits = text.decimals(intervals, plan.unit)
    rows, columns = [_effect_row(plan, effect, digits) for effect in found], _columns(plan, digits)
    limits = effect_range(rows, plan.smallest_effect, plan.unit)
    blocks = []
    for number, condition in enumerate(dict.fromkeys(effect.term.condition for effect in found), start=1):
        own = [(effect, row) for effect, row in zip(found, rows, strict=True) if effect.term.condition == condition]
        described = plan.condition(condition).description
        title = f"{plan.unit.many} of {plan.unit.figure}"
        figure = effect_figure([row for _, row in own], plan, limits, title)
        blocks.append(
            Block(
                heading=described if len(plan.conditions) > 1 else "",
                condition=condition,
                sentences=tuple(_sentences(plan, [effect for effect, _ in own], digits)),
                picture=Picture(f"gains-{number}", figure, f"Effect of each change {described}"),
                table=page_table(columns, [effect for effect, _ in own], context.colours),
            )
        )
    data = {"gains": data_frame(columns, found)}
    return Section("gains", "What does each change contribute?", tuple(blocks), caption=CAPTION, data=data)


def name_of(changes: Sequence[LevelChange]) -> str:
    """Return a term in words, such as `optimizer sgd instead of adam` or `optimizer sgd and batch size 128`."""
    if len(changes) == 1:
        return f"{_level(changes[0])} instead of {plain(changes[0].base)}"
    return " and ".join(_level(change) for change in changes)


def _level(change: LevelChange) -> str:
    return (
        plain(change.level) if change.factor == "method" else f"{change.factor.replace('_', ' ')} {plain(change.level)}"
    )


def _label(effect: FactorialEffect) -> str:
    if effect.decision.estimate is None:
        return "no answer yet" if effect.provisional else "no answer"
    labels = MAIN if len(effect.term.changes) == 1 else INTERACTION
    return labels[effect.decision.verdict] + (", so far" if effect.provisional else "")


def _effect_row(plan: PlanRecord, effect: FactorialEffect, digits: int) -> EffectRow:
    estimate, label = effect.decision.estimate, _label(effect)
    return EffectRow(
        name=name_of(effect.term.changes),
        label=label,
        verdict=effect.decision.verdict,
        colour=MAIN_COLOUR if len(effect.term.changes) == 1 else REFERENCE,
        mean=estimate.mean if estimate else None,
        interval=estimate.interval if estimate else None,
        hover=f"{label}<br>{_figures(plan, effect, digits)}",
    )


def _figures(plan: PlanRecord, effect: FactorialEffect, digits: int) -> str:
    estimate, unit = effect.decision.estimate, plan.unit
    if estimate is None:
        return ""
    mean, interval = text.signed(estimate.mean, digits, unit), text.interval(estimate.interval, digits, unit)
    return f"{mean} {unit.many}, 95 % interval {interval}, {effect.seeds} seeds"


def _sentences(plan: PlanRecord, found: Sequence[FactorialEffect], digits: int) -> list[str]:
    decided = [effect for effect in found if effect.decision.decided]
    if not decided:
        return [f"No change is shown to help or to hurt: all {len(found)} effects are undecided."]
    return [
        f"{name_of(effect.term.changes)}: {_label(effect)}; {_figures(plan, effect, digits)}." for effect in decided
    ]


def _columns(plan: PlanRecord, digits: int) -> tuple[Column[FactorialEffect], ...]:
    return (
        Column("condition", "", lambda effect: effect.term.condition),
        Column("change", "change", lambda effect: name_of(effect.term.changes)),
        Column("factors", "", lambda effect: " x ".join(change.factor for change in effect.term.changes)),
        Column("verdict", "", lambda effect: effect.decision.verdict),
        Column("", "verdict", lambda effect: f"{SIGNS[effect.decision.verdict]} {_label(effect)}"),
        Column("unit", "", lambda _: plan.unit.many),
        *decision_columns("worth", f"effect, {plan.unit.many}", digits, plan.unit),
        Number("cells", "cells averaged", lambda effect: effect.cells),
        Number("seeds", "seeds", lambda effect: effect.seeds),
        Column("provisional", "", lambda effect: effect.provisional),
    )
