"""Generic figures: curves with bands, scatter plots, small forest plots and heat maps, all drawn from given values.

Every axis has an explicit range, so that a figure looks the same wherever it is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.figures.palette import DIVERGING, REFERENCE, translucent
from reports.figures.style import TOOLBAR, Figure, Trace, rounded, shown

MARGIN = {"l": 58, "r": 10, "t": TOOLBAR, "b": 42}


@dataclass(frozen=True)
class Curve:
    """A line with a confidence band.

    Args:
        name: name of the method.
        colour: colour of the method.
        x, y: float (n,); points that are not finite are left out.
        low, high: bounds of the band, float (n,), NaN where there is none.
        points: whether to mark each point on the line; meant for few points.
    """

    name: str
    colour: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray
    high: np.ndarray
    points: bool = False


def curves_figure(curves: Sequence[Curve], *, x_title: str, y_title: str, zero: bool = False) -> Figure:
    """Return curves with their bands.

    Args:
        curves: curves to draw.
        x_title: title of the horizontal axis.
        y_title: title of the vertical axis.
        zero: whether to draw a line at y = 0.
    """
    traces = [trace for curve in curves for trace in _curve(curve)]
    x = _finite([curve.x for curve in curves])
    y = _finite([values for curve in curves for values in (curve.y, curve.low, curve.high)])
    if zero:
        y = np.append(y, 0.0)
    layout = {
        "height": 310, "margin": MARGIN, "showlegend": False, "hovermode": "closest",
        "xaxis": axis(x, x_title, tight=True), "yaxis": axis(y, y_title),
        "shapes": [_level(0.0)] if zero else [],
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _curve(curve: Curve) -> list[Trace]:
    known = np.isfinite(curve.x) & np.isfinite(curve.y)
    banded = known & np.isfinite(curve.low) & np.isfinite(curve.high)
    traces: list[Trace] = []
    if banded.sum() > 1:
        x = curve.x[banded]
        traces.append({
            "type": "scatter", "mode": "lines", "x": rounded([*x, *x[::-1]]),
            "y": rounded([*curve.high[banded], *curve.low[banded][::-1]], digits=4), "line": {"width": 0},
            "fill": "toself", "fillcolor": translucent(curve.colour, 0.13), "hoverinfo": "skip",
        })  # fmt: skip
    traces.append({
        "type": "scatter", "mode": "lines+markers" if curve.points else "lines", "x": rounded(curve.x[known]),
        "y": rounded(curve.y[known]), "name": shown(curve.name), "hovertemplate": "%{x:.4~g}: %{y:.3~f}",
        "line": {"color": curve.colour, "width": 2}, "marker": {"color": curve.colour, "size": 6},
    })  # fmt: skip
    return traces


@dataclass(frozen=True)
class PointGroup:
    """Points of one kind.

    Args:
        x, y: float (n,).
        hover: hover text of each point.
        colour: one colour for all points, or one per point.
    """

    x: np.ndarray
    y: np.ndarray
    hover: Sequence[str]
    colour: str | Sequence[str]


def scatter_figure(
    groups: Sequence[PointGroup], x_axis: dict[str, Any], y_axis: dict[str, Any], *, zero: bool = False
) -> Figure:
    """Return a scatter plot, with a line at y = 0 if `zero` is set."""
    traces = [
        {
            "type": "scatter", "mode": "markers", "x": rounded(group.x), "y": rounded(group.y),
            "hoverinfo": "text", "hovertext": [shown(words, 200) for words in group.hover],
            "marker": {"symbol": "circle", "size": 8,
                       "color": group.colour if isinstance(group.colour, str) else list(group.colour)},
        }
        for group in groups
        if len(group.x)
    ]  # fmt: skip
    layout = {
        "height": 230, "margin": MARGIN, "showlegend": False, "hovermode": "closest",
        "xaxis": x_axis, "yaxis": y_axis, "shapes": [_level(0.0)] if zero else [],
    }  # fmt: skip
    return {"data": traces, "layout": layout}


@dataclass(frozen=True)
class NamedEstimate:
    """One row of a small forest plot: an estimate with its interval, which may be missing."""

    name: str
    colour: str
    value: float
    low: float | None
    high: float | None


def estimates_figure(estimates: Sequence[NamedEstimate], title: str) -> Figure:
    """Return estimates with their intervals, one per row, and a line at zero."""
    ends = _finite([
        np.array([one.value, _or(one.low, one.value), _or(one.high, one.value), 0.0]) for one in estimates
    ])  # fmt: skip
    traces: list[Trace] = []
    for row, one in enumerate(estimates):
        if one.low is not None and one.high is not None:
            traces.append({
                "type": "scatter", "mode": "lines", "x": rounded([one.low, one.high]), "y": [row, row],
                "line": {"color": one.colour, "width": 4}, "hoverinfo": "skip",
            })  # fmt: skip
        traces.append({
            "type": "scatter", "mode": "markers", "x": rounded([one.value]), "y": [row],
            "marker": {"symbol": "circle", "size": 10, "color": one.colour},
            "hoverinfo": "text", "hovertext": [f"{shown(one.name)} {one.value:+.3g}"],
        })  # fmt: skip
    names = [
        {"x": 0, "xref": "paper", "xanchor": "left", "y": row - 0.36, "yref": "y", "showarrow": False,
         "text": shown(one.name), "font": {"size": 12}}
        for row, one in enumerate(estimates)
    ]  # fmt: skip
    layout = {
        "height": 34 * len(estimates) + 76, "margin": {**MARGIN, "l": 10}, "showlegend": False, "hovermode": "closest",
        "annotations": names, "xaxis": axis(ends, title),
        "yaxis": {"range": [len(estimates) - 0.5, -0.8], "visible": False, "fixedrange": True},
        "shapes": [{**_level(0.0), "x0": 0, "x1": 0, "y0": 0, "y1": 1, "xref": "x", "yref": "paper"}],
    }  # fmt: skip
    return {"data": traces, "layout": layout}


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def heat_figure(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], *, limit: float, unit: str, x_title: str
) -> Figure:
    """Return a heat map of signed values, blue above zero and orange below; NaN cells stay empty.

    Args:
        values: float (rows, columns).
        rows, columns: their names.
        limit: absolute value drawn in the darkest colour.
        unit: unit of the values, for the hover texts.
        x_title: title of the horizontal axis.
    """
    cells = [[None if not np.isfinite(value) else float(f"{value:.4g}") for value in row] for row in values]
    words = [
        [f"{shown(rows[i])}, {shown(columns[j])}: {value:+.1f} {unit}" for j, value in enumerate(row)]
        for i, row in enumerate(values)
    ]
    left = 16 + 7 * max((len(shown(row)) for row in rows), default=4)
    longest = max((len(shown(column, 14)) for column in columns), default=1)
    layout = {
        "height": 30 * len(rows) + 52 + TOOLBAR + 5 * longest,
        "margin": {"l": left, "r": 10, "t": TOOLBAR, "b": 46 + 5 * longest},
        "showlegend": False,
        "xaxis": {"tickvals": list(range(len(columns))), "ticktext": [shown(name, 14) for name in columns],
                  "range": [-0.5, len(columns) - 0.5], "title": {"text": x_title, "standoff": 6},
                  "tickangle": -40 if longest > 3 else 0, "fixedrange": True, "showgrid": False, "zeroline": False},
        "yaxis": {"tickvals": list(range(len(rows))), "ticktext": [shown(name) for name in rows],
                  "range": [len(rows) - 0.5, -0.5], "fixedrange": True, "showgrid": False, "zeroline": False},
    }  # fmt: skip
    trace = {
        "type": "heatmap", "z": cells, "zmin": -limit, "zmax": limit, "colorscale": DIVERGING, "showscale": False,
        "xgap": 2, "ygap": 2, "hoverinfo": "text", "hovertext": words,
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def axis(values: np.ndarray, title: str, *, log: bool = False, tight: bool = False) -> dict[str, Any]:
    """Return an axis that contains all finite values.

    Args:
        values: float (n,).
        title: title of the axis.
        log: whether the scale is logarithmic; values that are not positive are then ignored.
        tight: whether to keep the margins small.
    """
    known = values[np.isfinite(values) & (values > 0 if log else True)]
    known = np.log10(known) if log else known
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    margin = (0.01 if tight else 0.06) * (high - low) or (0.1 if log else 0.5 * abs(high) or 0.5)
    kind = {"type": "log", **_log_ticks(low - margin, high + margin)} if log else {}
    return {
        "range": rounded([low - margin, high + margin]), "title": {"text": shown(title, 60), "standoff": 6},
        "fixedrange": True, "zeroline": False, "exponentformat": "e", **kind,
    }  # fmt: skip


def _log_ticks(low: float, high: float) -> dict[str, Any]:
    """Return the ticks of a logarithmic axis: powers of ten, or round values if it spans less than a decade."""
    if high - low > 1:
        return {"dtick": 1}
    decade = 10.0 ** np.floor(low)
    values = [float(f"{digit * decade:.6g}") for digit in (1, 2, 3, 5, 7, 10, 20, 30, 50, 70)]
    inside = [value for value in values if low <= np.log10(value) <= high]
    return {"tickvals": inside, "ticktext": [f"{value:g}" for value in inside]}


def categories(names: Sequence[str], title: str) -> dict[str, Any]:
    """Return an axis with the names at 0, 1, 2, ..."""
    return {
        "tickvals": list(range(len(names))), "ticktext": [shown(name, 14) for name in names],
        "range": [-0.5, len(names) - 0.5], "title": {"text": shown(title, 60), "standoff": 6},
        "fixedrange": True, "zeroline": False,
    }  # fmt: skip


def diverging(values: np.ndarray, limit: float) -> list[str]:
    """Return the colour of each value on the heat map's scale from -limit to limit.

    >>> diverging(np.array([-1.0, 0.0, 1.0]), limit=1.0)
    ['#b35806', '#d8dadb', '#0b5c94']
    """
    places = np.clip((values / limit + 1) / 2 if limit > 0 else np.full(len(values), 0.5), 0, 1)
    stops = [(place, tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))) for place, colour in DIVERGING]
    at = [place for place, _ in stops]
    channels = [np.interp(places, at, [colour[i] for _, colour in stops]).round().astype(int) for i in range(3)]
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in zip(*channels, strict=True)]


def _level(at: float) -> dict[str, Any]:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "layer": "below",
        "line": {"color": REFERENCE, "width": 1.2},
    }  # fmt: skip


def _finite(arrays: Sequence[np.ndarray]) -> np.ndarray:
    values = np.concatenate([np.asarray(array, dtype=float) for array in arrays]) if arrays else np.empty(0)
    return values[np.isfinite(values)]
