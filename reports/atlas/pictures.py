"""Pictures of the atlas, drawn with Matplotlib and written as PNG: effects by condition, and by a property."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reports.atlas.cells import Cell
from reports.figures.palette import COLOURS, REFERENCE
from reports.figures.style import MATPLOTLIB
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

VERDICT_COLOURS = {HELPS: COLOURS[0], HURTS: COLOURS[1], EQUIVALENT: "#4d4d4d", UNDECIDED: "#b9bec3"}
VERDICT_MARKERS = {HELPS: "^", HURTS: "v", EQUIVALENT: "s", UNDECIDED: "o"}
"""Verdicts differ in shape as well as in colour."""
WIDTH, ROW = 11.0, 0.19
"""Width of a picture and height of a row, in inches."""
SCALE = {"value": "symlog", "linthresh": 1.0, "linscale": 0.7}
"""Scale of effects in points: linear up to one point, logarithmic beyond, so that half a point and twenty are seen."""
TICKS, FEW_TICKS = (-20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20), (-10, -1, 0, 1, 10)
"""Marked effects, in points, of a long and a short axis."""


@dataclass(frozen=True)
class Property:
    """A property of plain training, as the horizontal axis of a picture.

    Args:
        name: name of a field of `Baseline`.
        label: title of the axis.
        scale: factor of the values.
        logarithmic: whether the axis is logarithmic.
    """

    name: str
    label: str
    scale: float = 1.0
    logarithmic: bool = False


GAP = Property("gap", "plain training: training accuracy minus validation accuracy, in points", 100)
STEPS = Property("steps", "training steps", logarithmic=True)


def write_effects(path: Path, cells: Sequence[Cell], titles: Mapping[str, str]) -> None:
    """Write the effects of all cells: one panel per method, one row per condition, grouped by data and model.

    Args:
        path: PNG file to write.
        cells: cells against the same reference.
        titles: titles of the panels by method; methods without one are left out.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = _rows(cells)
    with rc_context(MATPLOTLIB):
        figure = Figure(figsize=(WIDTH, ROW * (max(rows.values()) + 1) + 1.5), layout="constrained")
        for axes, shown in _panels(figure, cells, titles):
            _draw_effects(axes, shown, rows)
        _label_rows(figure.axes[0], rows)
        figure.axes[0].set_xscale(**SCALE)
        _mark_effects(figure.axes[0].xaxis, FEW_TICKS)
        _finish(
            figure,
            "effect on test accuracy in points, with 95 % intervals; logarithmic beyond one point",
            path,
            VERDICT_MARKERS,
            {},
        )


def _mark_effects(axis: Axis, ticks: Sequence[int]) -> None:
    """Give an axis of effects its ticks."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FixedFormatter([f"{tick:+d}".replace("-", "−") if tick else "0" for tick in ticks]))
    axis.set_minor_locator(NullLocator())


def _panels(figure: Figure, cells: Sequence[Cell], titles: Mapping[str, str]) -> Iterator[tuple[Axes, list[Cell]]]:
    """Yield one panel with a title and the cells of each method, side by side."""
    panels = np.ravel(figure.subplots(1, len(titles), sharex=True, sharey=True))
    for axes, (method, title) in zip(panels, titles.items(), strict=True):
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10)
        yield axes, [cell for cell in cells if cell.method == method]


def _finish(
    figure: Figure, label: str, path: Path, verdict_markers: Mapping[str, str], data_markers: Mapping[str, str]
) -> None:
    """Add the title of the axis and the legend of verdicts and data sets, and write the picture."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=verdict_markers.get(name, ""), linewidth=2, label=name)
        for name, colour in VERDICT_COLOURS.items()
    ]
    handles += [
        Line2D([], [], color=REFERENCE, marker=marker, linestyle="", label=name)
        for name, marker in data_markers.items()
    ]
    figure.supxlabel(label, fontsize=9)
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False, fontsize=9)
    figure.savefig(path, dpi=130, metadata={"Software": "Assay"})


def _rows(cells: Sequence[Cell]) -> dict[tuple[str, str, str], int]:
    """Return the row of each condition by (data, model, condition), with an empty row before each group."""
    keys = list(dict.fromkeys((cell.data, cell.model, cell.condition) for cell in cells))
    rows: dict[tuple[str, str, str], int] = {}
    row, group = 0, None
    for key in sorted(keys, key=lambda key: (key[0], key[1], keys.index(key))):
        row += 2 if key[:2] != group else 1
        group = key[:2]
        rows[key] = row
    return rows


def _draw_effects(axes: Axes, cells: Sequence[Cell], rows: Mapping[tuple[str, str, str], int]) -> None:
    axes.axvline(0, color="#666666", linewidth=0.9, zorder=1)
    for cell in cells:
        row = rows[cell.data, cell.model, cell.condition]
        colour, marker = VERDICT_COLOURS[cell.verdict.verdict], VERDICT_MARKERS[cell.verdict.verdict]
        axes.plot(cell.interval, [row, row], color=colour, linewidth=1.4, zorder=2, solid_capstyle="butt")
        axes.plot(cell.effect, row, marker, color=colour, markersize=4.5, zorder=3)
    axes.set_ylim(max(rows.values()) + 1, 0)
    axes.grid(axis="x", color="#e8e8e8", linewidth=0.7, zorder=0)
    axes.tick_params(axis="y", length=0)


def _label_rows(axes: Axes, rows: Mapping[tuple[str, str, str], int]) -> None:
    places, names = list(rows.values()), [condition for _, _, condition in rows]
    groups: dict[tuple[str, str], int] = {}
    for (data, model, _), row in rows.items():
        groups.setdefault((data, model), row - 1)
    axes.set_yticks([*places, *groups.values()], [*names, *(f"{data}, {model}" for data, model in groups)])
    for label in axes.get_yticklabels()[len(places) :]:
        label.set_fontweight("bold")


def write_effects_by(path: Path, cells: Sequence[Cell], titles: Mapping[str, str], by: Property) -> None:
    """Write effects against a property of plain training, one panel per method.

    Args:
        path, cells, titles: see `write_effects`.
        by: the property.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    markers = dict(zip(dict.fromkeys(cell.data for cell in cells), "osD^v*", strict=False))
    with rc_context(MATPLOTLIB):
        figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
        for axes, shown in _panels(figure, cells, titles):
            axes.axhline(0, color="#666666", linewidth=0.9, zorder=1)
            for cell in shown:
                _draw_by(axes, cell, by.scale * float(getattr(cell.baseline, by.name)), markers[cell.data])
            axes.set_xscale("log" if by.logarithmic else "linear")
            axes.grid(color="#e8e8e8", linewidth=0.7, zorder=0)
        figure.axes[0].set_yscale(**SCALE)
        _mark_effects(figure.axes[0].yaxis, TICKS)
        figure.axes[0].set_ylabel("effect on test accuracy, points")
        _finish(figure, by.label, path, {}, markers)


def _draw_by(axes: Axes, cell: Cell, place: float, marker: str) -> None:
    colour = VERDICT_COLOURS[cell.verdict.verdict]
    axes.plot([place, place], cell.interval, color=colour, linewidth=1.2, zorder=2, solid_capstyle="butt")
    axes.plot(place, cell.effect, marker, color=colour, markersize=4.5, zorder=3)
