"""Secondary-metric section: log loss, calibration, class-balanced metrics, and accuracy per class."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.descriptive.secondary_metrics import (
    ClassAccuracies,
    SecondaryEffect,
    class_accuracies,
    class_names,
    secondary_effects,
)
from reports.figures.plots import NamedEstimate, estimates_figure, heat_figure
from reports.inference import wording as text
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section, Table, TableCell, TableColumn, TableRow
from trainables import records
from trainables.records import ConditionRecord

TITLES = {
    records.TEST_ACCURACY: ("accuracy", "points, higher is better", 100.0),
    records.TEST_LOSS: ("log loss", "nats, lower is better", 1.0),
    records.TEST_CALIBRATION_ERROR: ("calibration error", "points, lower is better", 100.0),
    records.TEST_BALANCED_ACCURACY: ("balanced accuracy", "points, higher is better", 100.0),
    records.TEST_MACRO_F1: ("macro F1", "points, higher is better", 100.0),
}
CAPTION = (
    "Differences on the test images, method minus reference, each at its own best setting, paired by seed, with 95 %"
    " intervals. They are not corrected for multiple comparisons and do not affect the verdicts. The calibration error"
    " is the mean difference between confidence and accuracy. Accuracy by class: blue where the method classifies more"
    " images of the class correctly, orange where it classifies fewer; a class has few test images, so single cells"
    " are uncertain."
)
COLUMNS = (
    TableColumn("condition"), TableColumn("method"), TableColumn("against"), TableColumn("metric"),
    TableColumn("value of the method", True), TableColumn("value of the reference", True),
    TableColumn("difference", True), TableColumn("95 % interval", True), TableColumn("better side"),
)  # fmt: skip
MOST_CLASSES = 40
"""With more classes, the figure shows those that differ most."""


def build(context: Context) -> Section:
    """Return the other metrics of every claim, and the accuracy per class if predictions of single images are known."""
    others = secondary_effects(context.study, context.verdicts)
    classes = class_accuracies(context.study, context.verdicts)
    blocks = (
        _block(
            context, number, condition,
            [one for one in others if one.verdict.condition == condition.name],
            [one for one in classes if one.verdict.condition == condition.name],
        )
        for number, condition in enumerate(context.plan.conditions, start=1)
    )  # fmt: skip
    return Section(
        "quality",
        "What do other metrics show?",
        blocks=tuple(block for block in blocks if block.pictures),
        caption=CAPTION,
        empty="No pair of finished runs has other metrics yet.",
        data={
            "quality": pd.DataFrame([_record(one) for one in others], columns=pd.Index(RECORDED)),
            "classes": _classes(context, classes),
        },
    )


def _block(
    context: Context,
    number: int,
    condition: ConditionRecord,
    others: list[SecondaryEffect],
    classes: list[ClassAccuracies],
) -> Block:
    metrics = sorted({one.metric for one in others}, key=[*TITLES, *records.TEST_METRICS].index)
    panels = [
        _panel(context, f"quality-{number}-{index}", metric, [one for one in others if one.metric == metric])
        for index, metric in enumerate(metrics, start=1)
    ]
    return Block(
        condition.description,
        condition.name,
        picture=_heat(context, f"classes-{number}", classes) if classes else None,
        panels=tuple(panels),
        table=Table(COLUMNS, tuple(_table_row(context, one) for one in others)) if others else None,
    )


def title_of(metric: str) -> tuple[str, str, float]:
    """Return title, unit and scale of a test metric; one without a title is shown by its name, unscaled.

    >>> title_of("test_top_5")
    ('top 5', 'higher is better', 1.0)
    """
    direction = "higher" if records.as_maximized(metric, 1.0) > 0 else "lower"
    return TITLES.get(metric) or (metric.removeprefix("test_").replace("_", " "), f"{direction} is better", 1.0)


def _panel(context: Context, name: str, metric: str, found: list[SecondaryEffect]) -> Panel:
    title, unit, scale = title_of(metric)
    estimates = []
    for one in found:
        bounds = one.effect.interval
        low, high = (scale * bounds.low, scale * bounds.high) if bounds else (None, None)
        label = text.comparison(one.verdict, context.plan)
        estimates.append(NamedEstimate(label, context.colours[one.verdict.method], scale * one.effect.mean, low, high))
    return Panel(title, Picture(name, estimates_figure(estimates, unit), f"Differences in {title}"))


def _heat(context: Context, name: str, found: list[ClassAccuracies]) -> Picture:
    values = 100 * np.stack([one.accuracy - one.reference for one in found])
    names = class_names(context.study, found[0].verdict.condition, values.shape[1])
    order = np.arange(values.shape[1])
    if len(order) > MOST_CLASSES:
        order = np.sort(np.argsort(-np.nan_to_num(np.abs(values)).max(axis=0))[:MOST_CLASSES])
    rows = [text.comparison(one.verdict, context.plan) for one in found]
    limit = float(np.nanmax(np.abs(values))) or 1.0
    figure = heat_figure(
        values[:, order], rows, [names[i] for i in order], limit=limit, unit="points of accuracy", x_title="class"
    )
    return Picture(name, figure, "Difference in accuracy by class")


def _table_row(context: Context, one: SecondaryEffect) -> TableRow:
    title, _, scale = title_of(one.metric)
    bounds = one.effect.interval
    side = one.verdict.method if one.better else one.verdict.reference
    cells = (
        TableCell(one.verdict.condition),
        TableCell(one.verdict.method, colour=context.colours[one.verdict.method]),
        TableCell(one.verdict.reference),
        TableCell(title),
        TableCell(f"{scale * one.value:.3g}", one.value),
        TableCell(f"{scale * one.reference:.3g}", one.reference),
        TableCell(f"{scale * one.effect.mean:+.3g}", scale * one.effect.mean),
        TableCell(f"{scale * bounds.low:+.3g} to {scale * bounds.high:+.3g}" if bounds else "none"),
        TableCell(side if bounds and (bounds.low > 0 or bounds.high < 0) else "not clear"),
    )
    return TableRow(cells, one.verdict.condition, one.verdict.method)


RECORDED = ("condition", "method", "reference", "figure", "value", "reference_value", "difference", "low", "high")


def _record(one: SecondaryEffect) -> dict[str, object]:
    bounds = one.effect.interval
    return {
        "condition": one.verdict.condition, "method": one.verdict.method, "reference": one.verdict.reference,
        "figure": one.metric, "value": one.value, "reference_value": one.reference, "difference": one.effect.mean,
        "low": bounds.low if bounds else None, "high": bounds.high if bounds else None,
    }  # fmt: skip


def _classes(context: Context, found: list[ClassAccuracies]) -> pd.DataFrame:
    columns = ["condition", "method", "reference", "class", "accuracy", "reference_accuracy"]
    frames = [
        pd.DataFrame(dict(zip(columns, (
            one.verdict.condition, one.verdict.method, one.verdict.reference,
            class_names(context.study, one.verdict.condition, len(one.accuracy)), one.accuracy, one.reference,
        ), strict=True)))
        for one in found
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=pd.Index(columns))
