"""Hyperparameter section: gains against values, importances, and best values at the edge of the search space."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reports.data.frames import StudyData
from reports.descriptive.importance import IMPORTANCE_FROM, importances
from reports.descriptive.responses import RangeEdge, Response, full_length_runs, range_edges, responses
from reports.figures.plots import PointGroup, axis, categories, diverging, scatter_figure
from reports.page.context import Context
from reports.page.layout import Block, Panel, Picture, Section
from reports.page.tables import Column, Number, data_frame, page_table
from trainables.records import ArmRecord, ConditionRecord

CAPTION = (
    "Each dot is a search run that was not stopped early. The gain of a method is its result minus the result of the "
    "reference in the run with the same number, which had the same shared settings; a slope indicates that the gain "
    "depends on the value. In figures of two hyperparameters, blue is a gain and orange a loss. “Trend” is Spearman’s "
    "rank correlation of value and gain, given for at least 8 runs. These are single runs with one seed each: hints "
    "for the next study, not claims."
)
IMPORTANCE_CAPTION = (
    "Importance among the best runs: PED-ANOVA, which measures what distinguishes the best tenth of the runs."
    " Importance among all runs: mean decrease in impurity of a random forest, which measures what explains the"
    " results of all runs. The two answer different questions; where they disagree, do not rely on either alone."
)
INTERACTING = ("learning_rate", "weight_decay", "batch_size")


class RatedResponse(NamedTuple):
    """A response with the importances of its dimension (see `Importance`), None if they are unknown."""

    response: Response
    ped_anova: float | None
    mean_decrease: float | None


def _range(rated: RatedResponse) -> str:
    space = rated.response.arm.spaces[rated.response.dimension]
    return ", ".join(map(str, space)) if isinstance(space, list) else f"{space['low']:g} to {space['high']:g}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


COLUMNS: tuple[Column[RatedResponse], ...] = (
    Column("condition", "condition", lambda rated: rated.response.arm.condition),
    Column("method", "method", lambda rated: rated.response.arm.method),
    Column("setting", "hyperparameter", lambda rated: rated.response.dimension),
    Column("", "range", _range),
    Column("own", "", lambda rated: rated.response.own),
    Number("runs", "runs", lambda rated: len(rated.response.values)),
    Column("paired", "", lambda rated: rated.response.paired),
    Number("trend", "trend", lambda rated: rated.response.trend, "{:+.2f}".format),
    Number("ped_anova", "importance, best runs, %", lambda rated: rated.ped_anova, _percent),
    Number("mean_decrease_impurity", "importance, all runs, %", lambda rated: rated.mean_decrease, _percent),
)
EDGE_COLUMNS: tuple[Column[RangeEdge], ...] = (
    Column("condition", "", lambda edge: edge.arm.condition),
    Column("method", "", lambda edge: edge.arm.method),
    Column("setting", "", lambda edge: edge.dimension),
    Column("end", "", lambda edge: edge.end),
    Column("limit", "", lambda edge: edge.limit),
    Column("runs", "", lambda edge: edge.runs),
)


def build(context: Context) -> Section | None:
    """Return the influence of the searched hyperparameters; None if nothing was searched."""
    plan, study = context.plan, context.study
    if not any(arm.spaces for arm in plan.arms):
        return None
    arms = [arm for condition in plan.conditions for arm in plan.arms_of(condition.name) if arm.spaces]
    rated = [one for arm in arms for one in _rated(study, arm)]
    edges = [edge for arm in arms for edge in range_edges(study, arm)]
    blocks = (
        _block(
            context, number, condition,
            [one for one in rated if one.response.arm.condition == condition.name],
            [edge for edge in edges if edge.arm.condition == condition.name],
        )
        for number, condition in enumerate(plan.conditions, start=1)
    )  # fmt: skip
    return Section(
        "values",
        "Which hyperparameters matter?",
        blocks=tuple(block for block in blocks if block.table),
        caption=CAPTION,
        empty="No search run has been trained to the end yet.",
        data={"responses": data_frame(COLUMNS, rated), "edges": data_frame(EDGE_COLUMNS, edges)},
    )


def _rated(study: StudyData, arm: ArmRecord) -> list[RatedResponse]:
    found = {one.dimension: (one.ped_anova, one.mean_decrease) for one in importances(study, arm)}
    return [RatedResponse(one, *found.get(one.dimension, (None, None))) for one in responses(study, arm)]


def _block(
    context: Context, number: int, condition: ConditionRecord, rated: list[RatedResponse], edges: list[RangeEdge]
) -> Block:
    responses = [one.response for one in rated]
    panels = [
        _panel(context, f"values-{number}-{i}", response) for i, response in enumerate(responses) if response.paired
    ]
    return Block(
        condition.description,
        condition.name,
        sentences=(*map(_advice, edges), *_missing_importances(context, condition)),
        panels=(*panels, *_pairs(context, number, responses)),
        table=page_table(COLUMNS, rated, context.colours, IMPORTANCE_CAPTION) if rated else None,
    )


def _missing_importances(context: Context, condition: ConditionRecord) -> list[str]:
    """Return a sentence about an arm with too few runs for importances, if there is one."""
    arms = [arm for arm in context.plan.arms_of(condition.name) if arm.spaces]
    fewest = min((len(full_length_runs(context.study, arm)) for arm in arms), default=0)
    if fewest >= IMPORTANCE_FROM:
        return []
    return [
        f"Importances need at least {IMPORTANCE_FROM} runs in an arm that were not stopped early; the "
        f"smallest arm here has {fewest}."
    ]


def _advice(edge: RangeEdge) -> str:
    wider = "lower" if edge.end == "low" else "raise"
    return (
        f"{edge.arm.method}: {edge.runs} of its {edge.best} best runs lie at the {edge.end} end of {edge.dimension}"
        f" ({edge.limit:g}). The best value may lie outside the range: {wider} that bound in the next study."
    )


def _panel(context: Context, name: str, response: Response) -> Panel:
    arm, unit = response.arm, context.plan.unit
    space = arm.spaces[response.dimension]
    if isinstance(space, list):
        options = [str(option) for option in space]
        x = np.array([options.index(str(value)) for value in response.values], dtype=float)
        x_axis = categories(options, response.dimension)
    else:
        x = np.array(response.values, dtype=float)
        x_axis = axis(x, response.dimension, log=space["log"])
    y = unit.scale * response.gains
    words = [f"{response.dimension} {value}: {gain:+.2f}" for value, gain in zip(response.values, y, strict=True)]
    points = PointGroup(x, y, words, context.colours[arm.method])
    figure = scatter_figure([points], x_axis, axis(np.append(y, 0.0), f"gain, {unit.many}"), zero=True)
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
    name, arm = own.dimension, own.arm
    values = dict(zip(other.trials, other.values, strict=True))
    shown = [i for i, trial in enumerate(own.trials) if trial in values]
    x = np.array([values[own.trials[i]] for i in shown], dtype=float)
    y = np.array([own.values[i] for i in shown], dtype=float)
    gains = context.plan.unit.scale * own.gains[shown]
    colours = diverging(gains, float(np.abs(gains).max()))
    words = [f"{other.dimension} {a:.3g}, {name} {b:.3g}: {gain:+.2f}" for a, b, gain in zip(x, y, gains, strict=True)]
    axes = [axis(values, key, log=arm.spaces[key]["log"]) for values, key in ((x, other.dimension), (y, name))]
    figure = scatter_figure([PointGroup(x, y, words, colours)], axes[0], axes[1])
    label = f"Gain of {arm.method} over {other.dimension} and {name}"
    return Panel(
        f"{name} with {other.dimension}", Picture(picture, figure, label), arm.method, context.colours[arm.method]
    )
