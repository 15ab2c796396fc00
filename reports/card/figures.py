"""Pictures of a model card, as SVG: a confusion matrix, and training curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reports.figures.palette import COLOURS, REFERENCE, translucent
from reports.jinja import environment

TEMPLATES = Path(__file__).parent / "templates"

CELL, LETTER, LABEL = 34, 7, 24
"""Pixels of a cell, width of a letter, and letters of a class's name, at most."""
NUMBERED = 20
"""Up to so many classes, cells show their figures."""
WIDTH, HEIGHT, MARGIN = 380, 260, 46
KINDS = {"training": REFERENCE, "validation": COLOURS[0]}

Line = tuple[list[int], list[float]]


class Cell(NamedTuple):
    """A cell of the matrix: place in pixels, colour, figure, and whether the figure stands on a dark ground."""

    x: int
    y: int
    colour: str
    figure: str
    dark: bool
    title: str


def confusion_chart(counts: np.ndarray, class_names: Sequence[str]) -> str:
    """Return the matrix as SVG: a row for each true class, shares of the row in percent.

    Args:
        counts: int (classes, classes), true class by predicted class.
        class_names: one for each.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = CELL if len(counts) <= NUMBERED else max(4, 680 // len(counts))
    names = [name if len(name) <= LABEL else name[: LABEL - 1] + "…" for name in class_names]
    side = max(90, LETTER * max(map(len, names)) + 34)
    cells = [
        Cell(
            side + cell * column,
            side + cell * row,
            translucent(COLOURS[0] if row == column else COLOURS[1], float(share) ** 0.5),
            f"{100 * share:.0f}" if len(counts) <= NUMBERED and share >= 0.005 else "",
            bool(share > 0.35),
            f"{class_names[row]} taken for {class_names[column]}: {100 * share:.1f} %",
        )
        for (row, column), share in np.ndenumerate(shares)
    ]
    return _render(
        "confusion.svg.j2", cells=cells, cell=cell, names=names, side=side, total=side + cell * len(counts) + 12
    )


class Panel(NamedTuple):
    """A panel: title, ticks as (pixel, label), and lines as (kind, colour, points)."""

    left: int
    title: str
    down: list[tuple[float, str]]
    across: list[tuple[float, str]]
    lines: list[tuple[str, str, str]]
    kinds: list[tuple[str, str]]


def curves_chart(panels: Sequence[tuple[str, Sequence[tuple[str, Sequence[Line]]]]]) -> str:
    """Return panels side by side as SVG, one line for each seed.

    Args:
        panels: of each its title and, by kind (`training`, `validation`), lines of epochs and values.
    """
    drawn = [_panel(number * (WIDTH + 20), title, kinds) for number, (title, kinds) in enumerate(panels)]
    sizes = {"width": (WIDTH + 20) * len(drawn), "height": HEIGHT + 40, "margin": MARGIN}
    return _render("curves.svg.j2", panels=drawn, right=WIDTH - 10, top=34, bottom=HEIGHT - 10, **sizes)


def _panel(left: int, title: str, kinds: Sequence[tuple[str, Sequence[Line]]]) -> Panel:
    values = [value for _, lines in kinds for _, found in lines for value in found]
    epochs = [epoch for _, lines in kinds for line, _ in lines for epoch in line]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    last = max(epochs, default=1)

    def x(epoch: float) -> float:
        return round(MARGIN + (WIDTH - 10 - MARGIN) * (epoch - 1) / max(last - 1, 1), 1)

    def y(value: float) -> float:
        return round(HEIGHT - 10 - (HEIGHT - 44) * (value - low) / (high - low), 1)

    return Panel(
        left,
        title,
        [(y(tick), f"{tick:g}") for tick in _ticks(low, high, 6)],
        [(x(tick), f"{tick:g}") for tick in _ticks(1, last, 7) if tick == int(tick)],
        [
            (kind, KINDS[kind], " ".join(f"{x(at)},{y(value)}" for at, value in zip(*line, strict=True)))
            for kind, lines in kinds
            for line in lines
        ],
        [(kind, KINDS[kind]) for kind, _ in kinds],
    )


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers between two values, at most so many."""
    span = max(high - low, 1e-9)
    power = 10.0 ** np.floor(np.log10(span / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if span / (factor * power) <= most)
    first = np.ceil(low / step - 1e-9)
    ticks = [float(round((first + i) * step, 10)) for i in range(most + 2)]
    return [tick for tick in ticks if low - 1e-9 <= tick <= high + 1e-9]


def _render(template: str, **values: object) -> str:
    return environment(TEMPLATES, autoescape=True, last_newline=False).get_template(template).render(**values)
