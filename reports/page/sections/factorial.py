"""What does each change buy? Main effects and two-way interactions of a factorial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.figures.forest_plot import EffectRow, effect_figure, effect_range
from reports.figures.palette import REFERENCE
from reports.inference import wording as text
from reports.inference.factorial import Gain, Swap, gains
from reports.inference.records import interval_record
from reports.page.claims import SIGNS
from reports.page.context import Context
from reports.page.layout import Block, Cell, Column, Line, Picture, Section, Table
from trainables.records import UNDECIDED, VERDICTS, PlanRecord, plain

MAIN: dict[str, str] = dict(zip(VERDICTS, ("buys", "costs", "changes nothing", UNDECIDED), strict=True))
TOGETHER: dict[str, str] = dict(
    zip(VERDICTS, ("more together", "less together", "independent", UNDECIDED), strict=True)
)
MAIN_COLOUR = "#56788f"
CAPTION = (
    "Dot: what one change is worth as the mean over all settings of the others, hollow while undecided, square if it "
    "changes nothing. Line: its 95 % interval over seeds. Grey: how much more two changes are worth together than one "
    "by one. All of them are corrected together, apart from the comparisons above."
)


def build(context: Context) -> Section | None:
    """Return what every change and every pair of changes is worth; None for a study of one compared factor."""
    found = gains(context.study)
    if not found:
        return None
    plan = context.plan
    intervals = [gain.decision.estimate.interval for gain in found if gain.decision.estimate]
    digits = text.decimals(intervals, plan.unit)
    rows = [_row(plan, gain, digits) for gain in found]
    limits = effect_range(rows, plan.smallest_effect, plan.unit)
    blocks = []
    for number, condition in enumerate(dict.fromkeys(gain.term.condition for gain in found), start=1):
        own = [(gain, row) for gain, row in zip(found, rows, strict=True) if gain.term.condition == condition]
        described = plan.condition(condition).description
        title = f"{plan.unit.many} of {plan.unit.figure}"
        figure = effect_figure([row for _, row in own], plan, limits, title)
        blocks.append(
            Block(
                heading=described if len(plan.conditions) > 1 else "",
                condition=condition,
                sentences=tuple(_sentences(plan, [gain for gain, _ in own], digits)),
                picture=Picture(f"gains-{number}", figure, f"What each change buys {described}"),
                table=_table(plan, [gain for gain, _ in own], digits),
            )
        )
    frame = pd.DataFrame([_record(plan, gain) for gain in found])
    return Section("gains", "What does each change buy?", tuple(blocks), caption=CAPTION, data={"gains": frame})


def name_of(swaps: Sequence[Swap]) -> str:
    """Return a term in words: `optimizer sgd instead of adam`, `optimizer sgd and batch size 128`."""
    if len(swaps) == 1:
        return f"{_level(swaps[0])} instead of {plain(swaps[0].base)}"
    return " and ".join(_level(swap) for swap in swaps)


def _level(swap: Swap) -> str:
    return plain(swap.level) if swap.factor == "method" else f"{swap.factor.replace('_', ' ')} {plain(swap.level)}"


def _label(gain: Gain) -> str:
    if gain.decision.estimate is None:
        return "no answer yet" if gain.provisional else "no answer"
    labels = MAIN if len(gain.term.swaps) == 1 else TOGETHER
    return labels[gain.decision.verdict] + (", so far" if gain.provisional else "")


def _row(plan: PlanRecord, gain: Gain, digits: int) -> EffectRow:
    estimate, label = gain.decision.estimate, _label(gain)
    return EffectRow(
        name=name_of(gain.term.swaps),
        label=label,
        verdict=gain.decision.verdict,
        colour=MAIN_COLOUR if len(gain.term.swaps) == 1 else REFERENCE,
        mean=estimate.mean if estimate else None,
        interval=estimate.interval if estimate else None,
        hover=f"{label}<br>{_figures(plan, gain, digits)}",
    )


def _figures(plan: PlanRecord, gain: Gain, digits: int) -> str:
    estimate, unit = gain.decision.estimate, plan.unit
    if estimate is None:
        return ""
    mean, interval = text.points(estimate.mean, digits, unit), text.interval(estimate.interval, digits, unit)
    return f"{mean} {unit.many}, 95 % interval {interval}, {gain.seeds} seeds"


def _sentences(plan: PlanRecord, found: Sequence[Gain], digits: int) -> list[str]:
    decided = [gain for gain in found if gain.decision.decided]
    if not decided:
        return [f"No change is shown to buy or to cost anything: all {len(found)} effects are undecided."]
    return [f"{name_of(gain.term.swaps)}: {_label(gain)}; {_figures(plan, gain, digits)}." for gain in decided]


def _table(plan: PlanRecord, found: Sequence[Gain], digits: int) -> Table:
    columns = (
        Column("change"), Column("verdict"), Column(f"worth, {plan.unit.many}", True), Column("95 % interval", True),
        Column("adjusted p", True), Column("mean over cells", True), Column("seeds", True),
    )  # fmt: skip
    return Table(columns, tuple(_line(plan, gain, digits) for gain in found))


def _line(plan: PlanRecord, gain: Gain, digits: int) -> Line:
    estimate, decision, unit = gain.decision.estimate, gain.decision, plan.unit
    interval = estimate.interval if estimate else None
    cells = (
        Cell(name_of(gain.term.swaps)),
        Cell(f"{SIGNS[decision.verdict]} {_label(gain)}"),
        Cell(text.points(estimate.mean, digits, unit) if estimate else "", estimate.mean if estimate else None),
        Cell(text.interval(interval, digits, unit) if interval else "", interval.low if interval else None),
        Cell(f"{decision.p_adjusted:.3f}" if estimate else "", decision.p_adjusted),
        Cell(str(gain.cells), gain.cells),
        Cell(str(gain.seeds), gain.seeds),
    )
    return Line(cells, condition=gain.term.condition)


def _record(plan: PlanRecord, gain: Gain) -> dict[str, Any]:
    estimate, unit = gain.decision.estimate, plan.unit
    return {
        "condition": gain.term.condition,
        "change": name_of(gain.term.swaps),
        "factors": " x ".join(swap.factor for swap in gain.term.swaps),
        "verdict": gain.decision.verdict,
        "unit": unit.many,
        "worth": unit.scale * estimate.mean if estimate else None,
        **interval_record("worth", estimate.interval if estimate else None, unit),
        "p": gain.decision.p,
        "p_adjusted": gain.decision.p_adjusted,
        "equivalence_p_adjusted": gain.decision.equivalence_p_adjusted,
        "cells": gain.cells,
        "seeds": gain.seeds,
        "provisional": gain.provisional,
    }
