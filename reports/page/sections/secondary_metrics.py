"""Secondary-metric section: log loss, calibration, class-balanced metrics, and accuracy per class."""

from __future__ import annotations

from typing import NamedTuple

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
from reports.page.layout import Block, Panel, Picture, Section
from reports.page.tables import Column, Number, TableCell, data_frame, interval_columns, page_table
from trainables import records
from trainables.records import ConditionRecord


class MetricTitle(NamedTuple):
    """How a test metric is displayed.

    Args:
        title: its name.
        unit: unit and direction.
        scale: factor of its values.
    """

    title: str
    unit: str
    scale: float


TITLES = {
    records.TEST_ACCURACY: MetricTitle("accuracy", "points, higher is better", 100.0),
    records.TEST_LOSS: MetricTitle("log loss", "nats, lower is better", 1.0),
    records.TEST_CALIBRATION_ERROR: MetricTitle("calibration error", "points, lower is better", 100.0),
    records.TEST_BALANCED_ACCURACY: MetricTitle("balanced accuracy", "points, higher is better", 100.0),
    records.TEST_MACRO_F1: MetricTitle("macro F1", "points, higher is better", 100.0),
}
CAPTION = (
    "Differences on the test images, method minus reference, each at its own best setting, paired by seed, with 95 %"
    " intervals. They are not corrected for multiple comparisons and do not affect the verdicts. The calibration error"
    " is the mean difference between confidence and accuracy. Accuracy by class: blue where the method classifies more"
    " images of the class correctly, orange where it classifies fewer; a class has few test images, so single cells"
    " are uncertain."
)
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
            "quality": data_frame(COLUMNS, others),
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
        table=page_table(COLUMNS, others, context.colours) if others else None,
    )


def title_of(metric: str) -> MetricTitle:
    """Return how a test metric is displayed; one without a title is shown by its name, unscaled.

    >>> title_of("test_top_5")
    MetricTitle(title='top 5', unit='higher is better', scale=1.0)
    """
    if metric in TITLES:
        return TITLES[metric]
    direction = "higher" if records.as_maximized(metric, 1.0) > 0 else "lower"
    return MetricTitle(metric.removeprefix("test_").replace("_", " "), f"{direction} is better", 1.0)


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


def _level(one: SecondaryEffect, value: float) -> TableCell:
    return TableCell(f"{title_of(one.metric).scale * value:.3g}", value)


def _difference(one: SecondaryEffect) -> TableCell:
    difference = title_of(one.metric).scale * one.effect.mean
    return TableCell(f"{difference:+.3g}", difference)


def _interval(one: SecondaryEffect) -> TableCell:
    bounds, scale = one.effect.interval, title_of(one.metric).scale
    return TableCell(f"{scale * bounds.low:+.3g} to {scale * bounds.high:+.3g}" if bounds else "none")


def _better_side(one: SecondaryEffect) -> str:
    bounds = one.effect.interval
    if bounds and (bounds.low > 0 or bounds.high < 0):
        return one.verdict.method if one.better else one.verdict.reference
    return "not clear"


COLUMNS: tuple[Column[SecondaryEffect], ...] = (
    Column("condition", "condition", lambda one: one.verdict.condition),
    Column("method", "method", lambda one: one.verdict.method),
    Column("reference", "against", lambda one: one.verdict.reference),
    Column("figure", "metric", lambda one: one.metric, lambda metric: title_of(metric).title),
    Number("value", "value of the method", lambda one: _level(one, one.value)),
    Number("reference_value", "value of the reference", lambda one: _level(one, one.reference)),
    Column("difference", "", lambda one: one.effect.mean),
    Number("", "difference", _difference),
    *interval_columns("", lambda one: one.effect.interval),
    Number("", "95 % interval", _interval),
    Column("", "better side", _better_side),
)


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
