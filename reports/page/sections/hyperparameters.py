"""Hyperparameter section: gains against values, importances, and best values at the edge of the search space."""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.descriptive.importance import IMPORTANCE_FROM, Importance, importances
from reports.descriptive.responses import RangeEdge, Response, full_length_runs, range_edges, responses
from reports.figures.plots import PointGroup, axis, categories, diverging, scatter_figure
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section, Table, TableCell, TableColumn, TableRow
from trainables.records import ArmRecord, ConditionRecord

CAPTION = (
    "Each dot is a search run that was not stopped early. The gain of a method is its result minus the result of the "
    "reference in the run with the same number, which had the same shared settings; a slope indicates that the gain "
    "depends on the value. In figures of two hyperparameters, blue is a gain and orange a loss. “Trend” is Spearman’s "
    "rank correlation of value and gain, given for at least 8 runs. These are single runs with one seed each: hints "
    "for the next study, not claims."
)
INTERACTING = ("learning_rate", "weight_decay", "batch_size")
COLUMNS = (
    TableColumn("condition"), TableColumn("method"), TableColumn("hyperparameter"), TableColumn("range"),
    TableColumn("runs", True), TableColumn("trend", True), TableColumn("importance, best runs, %", True),
    TableColumn("importance, all runs, %", True),
)  # fmt: skip


def build(context: Context) -> Section | None:
    """Return the influence of the searched hyperparameters; None if nothing was searched."""
    if not any(arm.spaces for arm in context.plan.arms):
        return None
    blocks, frames, near = [], [], []
    for number, condition in enumerate(context.plan.conditions, start=1):
        block, rows, found = _block(context, number, condition)
        frames, near = [*frames, *rows], [*near, *found]
        if rows:
            blocks.append(block)
    return Section(
        "values",
        "Which hyperparameters matter?",
        blocks=tuple(blocks),
        caption=CAPTION,
        empty="No search run has been trained to the end yet.",
        data={
            "responses": pd.DataFrame(frames, columns=pd.Index(RESPONSE_COLUMNS)),
            "edges": pd.DataFrame(near, columns=pd.Index(["condition", "method", "setting", "end", "limit", "runs"])),
        },
    )


RESPONSE_COLUMNS = (
    "condition", "method", "setting", "own", "runs", "paired", "trend", "ped_anova", "mean_decrease_impurity",
)  # fmt: skip


def _block(
    context: Context, number: int, condition: ConditionRecord
) -> tuple[Block, list[dict[str, object]], list[tuple[str, str, str, str, float, int]]]:
    study = context.study
    arms = [arm for arm in context.plan.arms if arm.condition == condition.name and arm.spaces]
    found = [(response, share) for arm in arms for response, share in _with_importance(context, arm)]
    near = [edge for arm in arms for edge in range_edges(study, arm)]
    panels = [
        *(
            _panel(context, f"values-{number}-{i}", response)
            for i, (response, _) in enumerate(found)
            if response.paired
        ),
        *_pairs(context, number, [response for response, _ in found]),
    ]
    fewest = min((len(full_length_runs(study, arm)) for arm in arms), default=0)
    thin = (
        [
            f"Importances need at least {IMPORTANCE_FROM} runs in an arm that were not stopped early; the "
            f"smallest arm here has {fewest}."
        ]
        if fewest < IMPORTANCE_FROM and found
        else []
    )
    block = Block(
        condition.description,
        condition.name,
        sentences=(*(_advice(edge) for edge in near), *thin),
        panels=tuple(panels),
        table=Table(COLUMNS, tuple(_table_row(context, *pair) for pair in found), IMPORTANCE_CAPTION),
    )
    rows = [_record(*pair) for pair in found]
    places = [(edge.arm.condition, edge.arm.method, edge.dimension, edge.end, edge.limit, edge.runs) for edge in near]
    return block, rows, places


IMPORTANCE_CAPTION = (
    "Importance among the best runs: PED-ANOVA, which measures what distinguishes the best tenth of the runs."
    " Importance among all runs: mean decrease in impurity of a random forest, which measures what explains the"
    " results of all runs. The two answer different questions; where they disagree, do not rely on either alone."
)


def _with_importance(context: Context, arm: ArmRecord) -> list[tuple[Response, Importance | None]]:
    shares = {one.dimension: one for one in importances(context.study, arm)}
    return [(response, shares.get(response.dimension)) for response in responses(context.study, arm)]


def _advice(edge: RangeEdge) -> str:
    wider = "lower" if edge.end == "low" else "raise"
    return (
        f"{edge.arm.method}: {edge.runs} of its {edge.best} best runs lie at the {edge.end} end of {edge.dimension}"
        f" ({edge.limit:g}). The best value may lie outside the range: {wider} that bound in the next study."
    )


def _scale(context: Context) -> tuple[float, str]:
    return context.plan.unit.scale, f"gain, {context.plan.unit.many}"


def _panel(context: Context, name: str, response: Response) -> Panel:
    arm, (scale, unit) = response.arm, _scale(context)
    space = arm.spaces[response.dimension]
    if isinstance(space, list):
        options = [str(option) for option in space]
        x = np.array([options.index(str(value)) for value in response.values], dtype=float)
        x_axis = categories(options, response.dimension)
    else:
        x = np.array(response.values, dtype=float)
        x_axis = axis(x, response.dimension, log=space["log"])
    y = scale * response.gains
    words = [f"{response.dimension} {value}: {gain:+.2f}" for value, gain in zip(response.values, y, strict=True)]
    points = PointGroup(x, y, words, context.colours[arm.method])
    figure = scatter_figure([points], x_axis, axis(np.append(y, 0.0), unit), zero=True)
    picture = Picture(name, figure, f"Gain of {arm.method} against {response.dimension}")
    trend = "" if response.trend is None else f"trend {response.trend:+.2f}"
    return Panel(f"{arm.method}: {response.dimension}", picture, arm.method, context.colours[arm.method], trend)


def _pairs(context: Context, number: int, found: list[Response]) -> list[Panel]:
    """Return a figure for each hyperparameter of a method with each shared one that it may interact with."""
    numeric = [one for one in found if one.paired and not isinstance(one.arm.spaces[one.dimension], list)]
    pairs = [
        (own, other)
        for own in numeric
        for other in numeric
        if own.arm == other.arm and own.own and not other.own and set(own.trials) & set(other.trials)
        if other.dimension.split(".")[-1] in INTERACTING
    ]
    return [_pair_panel(context, f"pairs-{number}-{i}", own, other) for i, (own, other) in enumerate(pairs, start=1)]


def _pair_panel(context: Context, picture: str, own: Response, other: Response) -> Panel:
    """Return the gain over both hyperparameters, in the runs in which both have an effect."""
    name, arm, (scale, _) = own.dimension, own.arm, _scale(context)
    values = dict(zip(other.trials, other.values, strict=True))
    shown = [i for i, trial in enumerate(own.trials) if trial in values]
    x = np.array([values[own.trials[i]] for i in shown], dtype=float)
    y = np.array([own.values[i] for i in shown], dtype=float)
    gains = scale * own.gains[shown]
    colours = diverging(gains, float(np.abs(gains).max()))
    words = [f"{other.dimension} {a:.3g}, {name} {b:.3g}: {gain:+.2f}" for a, b, gain in zip(x, y, gains, strict=True)]
    axes = [axis(values, key, log=arm.spaces[key]["log"]) for values, key in ((x, other.dimension), (y, name))]
    figure = scatter_figure([PointGroup(x, y, words, colours)], axes[0], axes[1])
    label = f"Gain of {arm.method} over {other.dimension} and {name}"
    return Panel(
        f"{name} with {other.dimension}", Picture(picture, figure, label), arm.method, context.colours[arm.method]
    )


def _table_row(context: Context, response: Response, share: Importance | None) -> TableRow:
    arm, space = response.arm, response.arm.spaces[response.dimension]
    words = ", ".join(map(str, space)) if isinstance(space, list) else f"{space['low']:g} to {space['high']:g}"
    cells = (
        TableCell(arm.condition),
        TableCell(arm.method, colour=context.colours[arm.method]),
        TableCell(response.dimension),
        TableCell(words),
        TableCell(str(len(response.values)), len(response.values)),
        TableCell("" if response.trend is None else f"{response.trend:+.2f}", response.trend),
        _share(share.ped_anova if share else None),
        _share(share.mean_decrease if share else None),
    )
    return TableRow(cells, arm.condition, arm.method)


def _share(value: float | None) -> TableCell:
    return TableCell("" if value is None else f"{100 * value:.0f}", value)


def _record(response: Response, share: Importance | None) -> dict[str, object]:
    values = (
        response.arm.condition, response.arm.method, response.dimension, response.own, len(response.values),
        response.paired, response.trend, share.ped_anova if share else None, share.mean_decrease if share else None,
    )  # fmt: skip
    return dict(zip(RESPONSE_COLUMNS, values, strict=True))
