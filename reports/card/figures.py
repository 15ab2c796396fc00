"""Figures of the model card: confusion matrix and training curves, drawn with Matplotlib and written as SVG.

Matplotlib is imported only when a figure is drawn, and without pyplot, so that no display and no global state are
involved.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reports.figures.palette import COLOURS, REFERENCE
from reports.figures.style import MATPLOTLIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED = 20
"""Largest number of classes for which cells show their percentages."""
MOST_LABELS = 100
"""With more classes, only every second, third, ... class is labelled."""
LONGEST_LABEL = 24
PANEL = (4.6, 3.0)
"""Size of a panel of curves in inches."""
KINDS = {"training": REFERENCE, "validation": COLOURS[0]}

Line = tuple[Sequence[int], Sequence[float]]
"""Epochs and values of one seed."""


def write_confusion(path: Path, counts: np.ndarray, class_names: Sequence[str]) -> None:
    """Write a confusion matrix as SVG: one row per true class, in percent of the row.

    Args:
        path: file to write.
        counts: int (classes, classes), true class by predicted class.
        class_names: names of the classes.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = 0.34 if classes <= NUMBERED else max(0.11, 7.0 / classes) if classes <= MOST_LABELS else 11 / classes
    with rc_context(MATPLOTLIB):
        figure = Figure(figsize=(cell * classes + 2.2, cell * classes + 2.2), layout="constrained")
        axes = figure.add_subplot()
        axes.imshow(_cell_colours(shares), interpolation="nearest")
        axes.set_title("Share of each true class in %" if classes <= NUMBERED else "Share of each true class")
        axes.set_xlabel("predicted class")
        axes.set_ylabel("true class")
        axes.spines[:].set_visible(False)
        _label_classes(axes, class_names)
        if classes <= NUMBERED:
            _number_cells(axes, shares)
        _save(figure, path, "Confusion matrix, in percent of each true class")


def _cell_colours(shares: np.ndarray) -> np.ndarray:
    """Return the colours of all cells, float (classes, classes, 3): blue on the diagonal, orange elsewhere."""
    from matplotlib.colors import to_rgb

    strength = np.sqrt(shares)[..., None]  # the square root keeps small shares visible
    right, wrong = np.array(to_rgb(COLOURS[0])), np.array(to_rgb(COLOURS[1]))
    full = np.where(np.eye(len(shares), dtype=bool)[..., None], right, wrong)
    return 1 - strength * (1 - full)


def _label_classes(axes: Axes, class_names: Sequence[str]) -> None:
    step = -(-len(class_names) // MOST_LABELS)
    places = range(0, len(class_names), step)
    names = [_shortened(class_names[place]) for place in places]
    size = 9 if len(class_names) <= NUMBERED else 7
    axes.set_xticks(places, names, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(places, names, fontsize=size, parse_math=False)
    axes.tick_params(length=0)


def _shortened(name: str) -> str:
    one_line = " ".join(name.split())
    return one_line if len(one_line) <= LONGEST_LABEL else one_line[: LONGEST_LABEL - 1] + "…"


def _number_cells(axes: Axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.35 else "#222222"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=8)


def write_curves(path: Path, panels: Mapping[str, Mapping[str, Sequence[Line]]]) -> None:
    """Write training curves as SVG: panels side by side, one line per seed.

    Args:
        path: file to write.
        panels: by axis title, and within a panel by kind (`training`, `validation`), the lines of all seeds.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with rc_context(MATPLOTLIB):
        figure = Figure(figsize=(PANEL[0] * len(panels), PANEL[1]), layout="constrained")
        for axes, (title, kinds) in zip(np.ravel(figure.subplots(1, len(panels))), panels.items(), strict=True):
            for kind, lines in kinds.items():
                for number, (epochs, values) in enumerate(lines):
                    marker = "o" if len(epochs) == 1 else ""
                    label = kind if number == 0 else None
                    axes.plot(epochs, values, color=KINDS[kind], linewidth=1.4, marker=marker, label=label)
            axes.set_title(title, loc="left", fontweight="bold")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(color="#e4e4e4", linewidth=0.8)
            if any(kinds.values()):
                axes.legend(frameon=False)
        _save(figure, path, "Training curves by epoch, one line per seed")


def _save(figure: Figure, path: Path, title: str) -> None:
    with warnings.catch_warnings():
        # Matplotlib measures text with its own font; the browser that shows the file has others.
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from", category=UserWarning)
        figure.savefig(path, format="svg", dpi=150, metadata={"Title": title, "Date": None, "Creator": "Assay"})
