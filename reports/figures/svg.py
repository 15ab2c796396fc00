"""Figures as SVG files, drawn without a browser: Plotly's own export would need one on every machine.

Draws what `figures` and `charts` make of Plotly's language: lines, dots, bands, heat maps, lines and rectangles behind
them, notes, one or two pairs of axes with a range each. Colours are those of a light page.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from reports.figures.learning_curves import Figure, Trace
from reports.figures.plots import diverging

WIDTH = 760
INK, RULE = "#1d2126", "#dde1e6"
FONT = "system-ui, 'Liberation Sans', Arial, sans-serif"
SHAPES = {"circle": (0.0, True), "circle-open": (0.0, False), "square": (1.0, True), "diamond-tall-open": (2.0, False)}
"""Of every marker: round, square or diamond, and whether it is filled."""


@dataclass(frozen=True)
class Scale:
    """Maps values of an axis to pixels.

    Args:
        low, high: ends of the axis; exponents of ten if it is logarithmic.
        start, end: their pixels.
        log: whether it is.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the pixel of a value."""
        at = math.log10(value) if self.log else value
        return self.start + (at - self.low) / ((self.high - self.low) or 1.0) * (self.end - self.start)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return (pixel, text) of round values."""
        low, high = sorted((self.low, self.high))
        if self.log and high - low > 1:
            values = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)]
        elif self.log:
            values = [digit * 10.0 ** math.floor(low) for digit in range(1, 100) if low <= _power(digit, low) <= high]
        else:
            values = _round_values(low, high, count)
        return [(self(value), f"{value:.4g}".replace("-", "−")) for value in values]


def _round_values(low: float, high: float, count: int) -> list[float]:
    """Return about so many round values between two ends."""
    unit = 10.0 ** math.floor(math.log10((high - low) / count or 1.0))
    step = next(unit * digit for digit in (1, 2, 2.5, 5, 10) if unit * digit * count >= high - low)
    return [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _power(digit: int, low: float) -> float:
    return math.log10(digit) + math.floor(low)


def svg(figure: Figure, label: str) -> str:
    """Return a figure as an SVG document.

    Args:
        figure: data and layout, as `figures` and `charts` make them.
        label: what it shows, for those who cannot see it.
    """
    layout, height = figure["layout"], int(figure["layout"]["height"])
    margin = layout["margin"]
    box = (float(margin["l"]), float(WIDTH - margin["r"]), float(height - margin["b"]), float(margin["t"]))
    x = _scale(layout["xaxis"], box[0], box[1])
    names = sorted(name for name in layout if re.fullmatch(r"yaxis\d?", name))
    scales = {name.replace("axis", ""): _scale(layout[name], *_part(layout[name], box)) for name in names}
    parts = [f'<clipPath id="plot"><rect x="{box[0]}" y="0" width="{box[1] - box[0]}" height="{box[2]}"/></clipPath>']
    parts += _x_axis(layout["xaxis"], x, box)
    for name in names:
        parts += _y_axis(layout[name], scales[name.replace("axis", "")], box)
    parts.append('<g clip-path="url(#plot)">')
    parts += [_shape(shape, x, scales["y"], box) for shape in layout.get("shapes", [])]
    for trace in figure["data"]:
        parts += _trace(trace, x, scales[trace.get("yaxis", "y")])
    parts.append("</g>")
    parts += [_note(note, scales["y"], box) for note in layout.get("annotations", [])]
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" font-family="{FONT}" font-size="12" fill="{INK}">\n<title>{html.escape(label)}</title>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _scale(axis: Mapping[str, Any], start: float, end: float) -> Scale:
    low, high = axis["range"]
    return Scale(low, high, start, end, axis.get("type") == "log")


def _part(axis: Mapping[str, Any], box: tuple[float, float, float, float]) -> tuple[float, float]:
    """Return the pixels of an axis's lower and upper end."""
    low, high = axis.get("domain", (0.0, 1.0))
    return box[2] - low * (box[2] - box[3]), box[2] - high * (box[2] - box[3])


def _ticks(axis: Mapping[str, Any], scale: Scale, count: int) -> list[tuple[float, str]]:
    if "tickvals" in axis:
        pairs = zip(axis["tickvals"], axis["ticktext"], strict=True)
        return [(scale(value), html.unescape(text)) for value, text in pairs]
    return scale.ticks(count)


def _x_axis(axis: Mapping[str, Any], scale: Scale, box: tuple[float, float, float, float]) -> list[str]:
    bottom, grid = box[2], axis.get("showgrid", True)
    parts = []
    for at, words in _ticks(axis, scale, 7):
        if grid:
            parts.append(_line(at, bottom, at, box[3], RULE, 1))
        turned = f' transform="rotate({axis["tickangle"]} {at:.1f} {bottom + 16:.1f})"' if axis.get("tickangle") else ""
        anchor = "end" if turned else "middle"
        parts.append(f'<text x="{at:.1f}" y="{bottom + 16:.1f}" text-anchor="{anchor}"{turned}>{_text(words)}</text>')
    title = axis.get("title", {}).get("text", "")
    low = bottom + 34 if not axis.get("tickangle") else bottom + 34 + 5 * max(map(len, axis["ticktext"]), default=0)
    return [*parts, f'<text x="{(box[0] + box[1]) / 2:.1f}" y="{low:.1f}" text-anchor="middle">{_text(title)}</text>']


def _y_axis(axis: Mapping[str, Any], scale: Scale, box: tuple[float, float, float, float]) -> list[str]:
    if axis.get("visible") is False:
        return []
    parts = []
    for at, words in _ticks(axis, scale, 5):
        if axis.get("showgrid", True):
            parts.append(_line(box[0], at, box[1], at, RULE, 1))
        parts.append(f'<text x="{box[0] - 6:.1f}" y="{at + 4:.1f}" text-anchor="end">{_text(words)}</text>')
    title = axis.get("title", {}).get("text", "")
    middle = (scale.start + scale.end) / 2
    turned = f'transform="rotate(-90 12 {middle:.1f})"'
    return [*parts, f'<text x="12" y="{middle:.1f}" text-anchor="middle" {turned}>{_text(title)}</text>']


def _shape(shape: Mapping[str, Any], x: Scale, y: Scale, box: tuple[float, float, float, float]) -> str:
    if shape.get("xref") == "paper":
        left, right = (box[0] + shape[key] * (box[1] - box[0]) for key in ("x0", "x1"))
    else:
        left, right = x(shape["x0"]), x(shape["x1"])
    if shape.get("yref") == "paper":
        top, bottom = (box[2] - shape[key] * (box[2] - box[3]) for key in ("y1", "y0"))
    else:
        top, bottom = y(shape["y1"]), y(shape["y0"])
    if shape["type"] == "rect":
        return _rectangle(left, top, right - left, bottom - top, shape["fillcolor"], shape["opacity"])
    return _line(left, top, right, bottom, shape["line"]["color"], shape["line"]["width"])


def _trace(trace: Trace, x: Scale, y: Scale) -> list[str]:
    if trace["type"] == "heatmap":
        return _heat(trace, x, y)
    at = [(x(a), y(b)) for a, b in zip(trace["x"], trace["y"], strict=True)]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in at)
    if trace.get("fill") == "toself":
        colour, opacity = _opaque(trace["fillcolor"])
        return [f'<polygon points="{points}" fill="{colour}" fill-opacity="{opacity}"/>']
    parts = []
    if "lines" in trace["mode"]:
        line = trace["line"]
        dash = ' stroke-dasharray="2 3"' if line.get("dash") == "dot" else ""
        stroke = f'stroke="{line["color"]}" stroke-width="{line["width"]}"'
        parts.append(f'<polyline points="{points}" fill="none" {stroke}{dash}/>')
    if "markers" in trace["mode"]:
        marker = trace.get("marker", {})
        colours = marker.get("color", INK)
        each = [colours] * len(at) if isinstance(colours, str) else colours
        parts += [_marker(a, b, marker, colour) for (a, b), colour in zip(at, each, strict=True)]
    return parts


def _marker(a: float, b: float, marker: Mapping[str, Any], colour: str) -> str:
    kind, filled = SHAPES[marker.get("symbol", "circle")]
    half = marker.get("size", 6) / 2
    width = marker.get("line", {}).get("width", 0 if filled else 1.5)
    paint = f'fill="{colour if filled else "none"}" stroke="{colour}" stroke-width="{width}"'
    if kind == 0:
        return f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{half}" {paint}/>'
    if kind == 1:
        return f'<rect x="{a - half:.1f}" y="{b - half:.1f}" width="{2 * half}" height="{2 * half}" {paint}/>'
    corners = f"{a:.1f},{b - half:.1f} {a + half / 2:.1f},{b:.1f} {a:.1f},{b + half:.1f} {a - half / 2:.1f},{b:.1f}"
    return f'<polygon points="{corners}" {paint}/>'


def _heat(trace: Trace, x: Scale, y: Scale) -> list[str]:
    parts = []
    for row, values in enumerate(trace["z"]):
        known = np.array([np.nan if value is None else value for value in values], dtype=float)
        colours = diverging(np.nan_to_num(known), float(trace["zmax"]))
        for column, (value, colour) in enumerate(zip(known, colours, strict=True)):
            if np.isfinite(value):
                left, right, top, bottom = x(column - 0.5), x(column + 0.5), y(row - 0.5), y(row + 0.5)
                parts.append(_rectangle(left + 1, top + 1, right - left - 2, bottom - top - 2, colour, 1))
    return parts


def _note(note: Mapping[str, Any], y: Scale, box: tuple[float, float, float, float]) -> str:
    words = "".join(
        f'<tspan font-weight="{"bold" if index % 2 else "normal"}">{_text(html.unescape(part))}</tspan>'
        for index, part in enumerate(re.split(r"</?b>", note["text"]))
    )
    return f'<text x="{box[0] + 2:.1f}" y="{y(note["y"]) + 4:.1f}" xml:space="preserve">{words}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, width: float) -> str:
    ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str, opacity: float) -> str:
    size = f'width="{abs(width):.1f}" height="{abs(height):.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}" fill-opacity="{opacity}"/>'


def _opaque(colour: str) -> tuple[str, float]:
    """Return `rgba(r,g,b,a)` as a colour and an opacity."""
    red, green, blue, opacity = _numbers(re.findall(r"[\d.]+", colour))
    return f"rgb({red:g},{green:g},{blue:g})", opacity


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) for text in texts]


def _text(words: str) -> str:
    return html.escape(html.unescape(words).replace("\u200b", ""), quote=False)
