"""Figures: effects with their intervals, and learning curves. Numbers come in ready; nothing is estimated
here.

Plotly reads some HTML in its labels and `%{...}` in its hover texts, so every name that a user chose goes
through `shown`. Colours of text, axes and background are left to the page, which follows the reader's light
or dark mode.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from reports import text
from reports.curves import ArmCurves
from reports.palette import REFERENCE, translucent
from reports.plan import Plan
from reports.verdicts import Verdict
from trainables.records import (
    EQUIVALENT,
    HELPS,
    HURTS,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    UNDECIDED,
    VALIDATION_ACCURACY,
    VALIDATION_LOSS,
)

Figure = dict[str, Any]
Trace = dict[str, Any]

MARKERS = {HELPS: "circle", HURTS: "circle", EQUIVALENT: "square", UNDECIDED: "circle-open"}
LONGEST_LABEL = 36
ROW_HEIGHT = 46
MOST_EPOCHS = 250
"""Longer curves are thinned to this many points."""


@dataclass(frozen=True)
class Ranges:
    """Axis ranges that all panels of a condition share.

    Args:
        accuracy: fractions.
        loss: nats.
    """

    accuracy: tuple[float, float]
    loss: tuple[float, float]


def shown(name: str, longest: int = LONGEST_LABEL) -> str:
    """Return a user's name as plain text for Plotly, shortened in the middle where it is too long."""
    one_line = " ".join(name.split())
    if len(one_line) > longest:
        half = (longest - 1) // 2
        one_line = f"{one_line[:half]}…{one_line[-half:]}"
    return html.escape(one_line, quote=False).replace("%{", "%\u200b{")


def effect_range(verdicts: Sequence[Verdict], smallest_effect: float) -> tuple[float, float]:
    """Return a range in percentage points that holds zero, all effects and all intervals."""
    ends = [0.0, -2 * smallest_effect, 2 * smallest_effect]
    for verdict in verdicts:
        for found in (verdict.tuned, verdict.matched):
            if found:
                ends += [found.mean, *((found.interval.low, found.interval.high) if found.interval else ())]
        if verdict.images:
            ends += [verdict.images.low, verdict.images.high]
    low, high = 100 * min(ends), 100 * max(ends)
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin


def effect_figure(
    verdicts: Sequence[Verdict],
    plan: Plan,
    colours: Mapping[str, str],
    *,
    limits: tuple[float, float],
    digits: int,
) -> Figure:
    """Draw the effects of one condition: a row a contrast, the method's name and verdict above its interval.

    Thick line: 95 % interval over seeds. Thin line: over seeds and images. Diamond: effect at the same
    points. Grey band: effects below the smallest one of interest.

    Args:
        verdicts: those of the condition, in order.
        plan: the study's plan.
        colours: of every method.
        limits: range of the axis in percentage points, the same for all conditions.
        digits: decimals of the figures.
    """
    rows = list(enumerate(verdicts))
    return {
        "data": [
            trace for row, verdict in rows for trace in _effect_traces(row, verdict, colours[verdict.method], digits)
        ],
        "layout": {
            "height": ROW_HEIGHT * len(rows) + 62,
            "margin": {"l": 8, "r": 8, "t": 6, "b": 44},
            "showlegend": False,
            "hovermode": "closest",
            "shapes": _indifference(plan.smallest_effect),
            "annotations": [_row_heading(row, verdict, plan) for row, verdict in rows],
            "xaxis": {
                "range": list(limits),
                "title": {"text": "points of test accuracy, against the reference", "standoff": 8},
                "zeroline": False,
                "fixedrange": True,
            },
            "yaxis": {"range": [len(rows) - 0.55, -0.85], "visible": False, "fixedrange": True},
        },
    }


def _indifference(smallest_effect: float) -> list[dict[str, Any]]:
    """Return the line at zero and the band of effects that are too small to matter."""
    band = 100 * smallest_effect
    whole = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    area = {
        "type": "rect",
        "x0": -band,
        "x1": band,
        "fillcolor": REFERENCE,
        "opacity": 0.16,
        "line": {"width": 0},
    }
    return [
        {**area, **whole},
        {"type": "line", "x0": 0, "x1": 0, "line": {"color": REFERENCE, "width": 1.5}, **whole},
    ]


def _row_heading(row: int, verdict: Verdict, plan: Plan) -> dict[str, Any]:
    return {
        "x": 0, "xref": "paper", "xanchor": "left", "y": row - 0.42, "yref": "y", "showarrow": False,
        "text": f"<b>{shown(text.comparison(verdict, plan), 44)}</b>  {text.label(verdict)}",
        "font": {"size": 13},
    }  # fmt: skip


def _effect_traces(row: int, verdict: Verdict, colour: str, digits: int) -> list[Trace]:
    if verdict.tuned is None:
        return []
    traces: list[Trace] = [
        {
            "type": "scatter", "mode": "lines", "x": _rounded([found.low, found.high], 100), "y": [row, row],
            "line": {"color": colour, "width": width}, "hoverinfo": "skip",
        }
        for found, width in ((verdict.images, 1.5), (verdict.tuned.interval, 5))
        if found
    ]  # fmt: skip
    if verdict.matched:
        matched = f"at the same settings {text.effect(verdict.matched, digits)}"
        marker = {"symbol": "diamond-tall-open", "size": 13, "color": REFERENCE, "line": {"width": 1.5}}
        traces.append(_dot(row, verdict.matched.mean, marker, matched))
    described = (
        f"{shown(verdict.method)}, {text.label(verdict)}"
        f"<br>at its own best settings {text.effect(verdict.tuned, digits)}"
        f"<br>over seeds and images {text.interval(verdict.images, digits)}"
    )
    marker = {
        "symbol": MARKERS[verdict.verdict],
        "size": 13,
        "color": colour,
        "line": {"width": 2.5, "color": colour},
    }
    return [*traces, _dot(row, verdict.tuned.mean, marker, described)]


def _dot(row: int, effect: float, marker: dict[str, Any], described: str) -> Trace:
    return {
        "type": "scatter", "mode": "markers", "x": _rounded([effect], 100), "y": [row],
        "marker": marker, "hoverinfo": "text", "hovertext": [described],
    }  # fmt: skip


def curve_ranges(arms: Sequence[ArmCurves]) -> Ranges:
    """Return the ranges that hold the curves of all arms of a condition; single wild losses are cut off."""
    accuracies = _values(arms, (TRAIN_ACCURACY, VALIDATION_ACCURACY))
    losses = _values(arms, (TRAIN_LOSS, VALIDATION_LOSS))
    if not accuracies.size or not losses.size:
        return Ranges((0.0, 1.0), (0.0, 1.0))
    low, high = float(accuracies.min()), float(accuracies.max())
    margin = 0.04 * (high - low) or 0.02
    ceiling = float(np.quantile(losses, 0.98))
    return Ranges((max(0.0, low - margin), min(1.0, high + margin)), (0.0, 1.05 * ceiling or 1.0))


def _values(arms: Sequence[ArmCurves], metrics: Sequence[str]) -> np.ndarray:
    means = [arm.mean[metric].to_numpy() for arm in arms for metric in metrics]
    values = np.concatenate(means) if means else np.empty(0)
    return values[np.isfinite(values)]


def learning_figure(arm: ArmCurves, reference: ArmCurves | None, ranges: Ranges, colours: Mapping[str, str]) -> Figure:
    """Draw an arm's learning curves: accuracy above, loss below, training dotted, validation solid.

    Args:
        arm: its curves.
        reference: the condition's reference, whose validation curve is drawn in grey, or None.
        ranges: the condition's axis ranges.
        colours: of every method.
    """
    colour = colours[arm.method]
    traces: list[Trace] = []
    panels = (("y", VALIDATION_ACCURACY, TRAIN_ACCURACY, 100.0), ("y2", VALIDATION_LOSS, TRAIN_LOSS, 1.0))
    for axis, validation, training, scale in panels:
        if reference is not None and reference.method != arm.method:
            words = f"{reference.method}, validation"
            traces += _line(reference.mean[validation] * scale, axis, REFERENCE, words=words)
        for metric, words in ((training, "training"), (validation, "validation")):
            traces += _band(arm.mean[metric] * scale, arm.spread[metric] * scale, axis, colour)
            traces += _line(arm.mean[metric] * scale, axis, colour, words=words)
    fixed = {"fixedrange": True, "zeroline": False}
    return {
        "data": traces,
        "layout": {
            "height": 330,
            "margin": {"l": 46, "r": 8, "t": 8, "b": 40},
            "showlegend": False,
            "hovermode": "x unified",
            "xaxis": {"title": {"text": "epoch", "standoff": 6}, "anchor": "y2", **fixed},
            "yaxis": {
                "domain": [0.54, 1], "range": _rounded(ranges.accuracy, 100),
                "title": {"text": "accuracy, %"}, **fixed,
            },
            "yaxis2": {
                "domain": [0, 0.46], "range": _rounded(ranges.loss),
                "title": {"text": "loss"}, "anchor": "x", **fixed,
            },
        },
    }  # fmt: skip


def _line(curve: pd.Series, axis: str, colour: str, *, words: str) -> list[Trace]:
    thin = _thinned(curve.dropna())
    if thin.empty:
        return []
    dash = "dot" if words == "training" else "solid"
    return [
        {
            "type": "scatter", "mode": "lines" if len(thin) > 1 else "markers", "x": thin.index.tolist(),
            "y": _rounded(thin), "yaxis": axis, "name": shown(words), "hovertemplate": "%{y:.3~f}",
            "line": {"color": colour, "dash": dash, "width": 2}, "marker": {"color": colour},
        }
    ]  # fmt: skip


def _band(mean: pd.Series, spread: pd.Series, axis: str, colour: str) -> list[Trace]:
    """Draw one standard deviation over seeds either way, where there is more than one."""
    known = spread.notna() & mean.notna()
    mean, spread = _thinned(mean[known]), _thinned(spread[known])
    if mean.empty:
        return []
    epochs = mean.index.tolist()
    return [
        {
            "type": "scatter", "mode": "lines", "x": [*epochs, *reversed(epochs)],
            "y": [*_rounded(mean + spread), *_rounded((mean - spread)[::-1])], "yaxis": axis,
            "line": {"width": 0},
            "fill": "toself", "fillcolor": translucent(colour, 0.18), "hoverinfo": "skip",
        }
    ]  # fmt: skip


def _thinned(curve: pd.Series) -> pd.Series:
    if len(curve) <= MOST_EPOCHS:
        return curve
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, MOST_EPOCHS).round().astype(int))]


def _rounded(values: Iterable[float], scale: float = 1.0) -> list[float]:
    """Return five significant digits of each value: a picture needs no more, and the page stays small."""
    return [float(f"{scale * value:.5g}") for value in values]
