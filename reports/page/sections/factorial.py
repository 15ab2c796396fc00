"""Factorial section: main effects and two-way interactions of the compared factors."""

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
from reports.page.layout import Block, Picture, Section, Table, TableCell, TableColumn, TableRow
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
    found = gains(context.study)
    if not found:
        return None
    plan = context.plan
    intervals = [gain.decision.estimate.interval for gain in found if gain.decision.estimate]
    digits = text.decimals(intervals, plan.unit)
    rows = [_effect_row(plan, gain, digits) for gain in found]
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
                picture=Picture(f"gains-{number}", figure, f"Effect of each change {described}"),
                table=_table(plan, [gain for gain, _ in own], digits),
            )
        )
    frame = pd.DataFrame([_record(plan, gain) for gain in found])
    return Section("gains", "What does each change contribute?", tuple(blocks), caption=CAPTION, data={"gains": frame})


def name_of(swaps: Sequence[Swap]) -> str:
    """Return a term in words, such as `optimizer sgd instead of adam` or `optimizer sgd and batch size 128`."""
    if len(swaps) == 1:
        return f"{_level(swaps[0])} instead of {plain(swaps[0].base)}"
    return " and ".join(_level(swap) for swap in swaps)


def _level(swap: Swap) -> str:
    return plain(swap.level) if swap.factor == "method" else f"{swap.factor.replace('_', ' ')} {plain(swap.level)}"


def _label(gain: Gain) -> str:
    if gain.decision.estimate is None:
        return "no answer yet" if gain.provisional else "no answer"
    labels = MAIN if len(gain.term.swaps) == 1 else INTERACTION
    return labels[gain.decision.verdict] + (", so far" if gain.provisional else "")


def _effect_row(plan: PlanRecord, gain: Gain, digits: int) -> EffectRow:
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
        return [f"No change is shown to help or to hurt: all {len(found)} effects are undecided."]
    return [f"{name_of(gain.term.swaps)}: {_label(gain)}; {_figures(plan, gain, digits)}." for gain in decided]


def _table(plan: PlanRecord, found: Sequence[Gain], digits: int) -> Table:
    columns = (
        TableColumn("change"), TableColumn("verdict"), TableColumn(f"effect, {plan.unit.many}", True),
        TableColumn("95 % interval", True), TableColumn("adjusted p", True), TableColumn("cells averaged", True),
        TableColumn("seeds", True),
    )  # fmt: skip
    return Table(columns, tuple(_table_row(plan, gain, digits) for gain in found))


def _table_row(plan: PlanRecord, gain: Gain, digits: int) -> TableRow:
    estimate, decision, unit = gain.decision.estimate, gain.decision, plan.unit
    interval = estimate.interval if estimate else None
    cells = (
        TableCell(name_of(gain.term.swaps)),
        TableCell(f"{SIGNS[decision.verdict]} {_label(gain)}"),
        TableCell(text.points(estimate.mean, digits, unit) if estimate else "", estimate.mean if estimate else None),
        TableCell(text.interval(interval, digits, unit) if interval else "", interval.low if interval else None),
        TableCell(f"{decision.p_adjusted:.3f}" if estimate else "", decision.p_adjusted),
        TableCell(str(gain.cells), gain.cells),
        TableCell(str(gain.seeds), gain.seeds),
    )
    return TableRow(cells, condition=gain.term.condition)


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
