"""Effects over the grid of conditions, as a heat map with verdict marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.figures.learning_curves import Figure, rounded, shown
from reports.figures.palette import COLOURS, translucent

ROW_HEIGHT = 70
LABEL_HEIGHT = 22
BETTER, WORSE = COLOURS[0], COLOURS[1]


@dataclass(frozen=True)
class Tile:
    """One cell of the grid.

    Args:
        row: number of its row, from 0.
        column: number of its column, from 0.
        effect: in the unit of the study, None where there is none yet.
        text: what stands in it.
        hover: what is said of it, plain text.
    """

    row: int
    column: int
    effect: float | None
    text: str
    hover: str


def grid_figure(
    tiles: Sequence[Tile], rows: Sequence[str], columns: Sequence[str], factor: str, largest: float
) -> Figure:
    """Draw a heat map: blue where the effect is good, orange where it is bad, paler towards zero.

    Args:
        tiles: the cells that the study has; others stay empty.
        rows: names of the rows; one that is empty gets no label.
        columns: levels of the factor that runs across.
        factor: its name.
        largest: the effect that gets the full colour, in the unit of the study.
    """
    effects: list[list[float | None]] = [[None] * len(columns) for _ in rows]
    for tile in tiles:
        effects[tile.row][tile.column] = None if tile.effect is None else rounded([tile.effect])[0]
    labelled = any(rows)
    return {
        "data": [
            {
                "type": "heatmap", "z": effects, "zmin": -largest, "zmax": largest, "showscale": False,
                "colorscale": [
                    [0, translucent(WORSE, 0.6)], [0.5, translucent("#8a8a8a", 0.08)], [1, translucent(BETTER, 0.6)],
                ],
                "xgap": 3, "ygap": LABEL_HEIGHT if labelled else 3, "hoverinfo": "text",
                "hovertext": _hovers(tiles, len(rows), len(columns)), "hoverongaps": False,
            }
        ],
        "layout": {
            "height": (ROW_HEIGHT if labelled else ROW_HEIGHT - LABEL_HEIGHT) * len(rows) + 56,
            "margin": {"l": 4, "r": 4, "t": 4, "b": 52},
            "annotations": [*map(_tile_text, tiles), *(_row_label(row, name) for row, name in enumerate(rows) if name)],
            "xaxis": {
                "tickmode": "array", "tickvals": list(range(len(columns))),
                "ticktext": [shown(name, 14) for name in columns], "title": {"text": shown(factor), "standoff": 8},
                "showgrid": False, "zeroline": False, "fixedrange": True, "range": [-0.5, len(columns) - 0.5],
            },
            "yaxis": {"visible": False, "fixedrange": True, "range": [len(rows) - 0.5, -0.5]},
        },
    }  # fmt: skip


def _hovers(tiles: Sequence[Tile], rows: int, columns: int) -> list[list[str]]:
    texts = [[""] * columns for _ in range(rows)]
    for tile in tiles:
        texts[tile.row][tile.column] = shown(tile.hover, 200)
    return texts


def _tile_text(tile: Tile) -> Mapping[str, Any]:
    return {
        "x": tile.column, "y": tile.row, "text": tile.text, "showarrow": False, "font": {"size": 13},
        "align": "center",
    }  # fmt: skip


def _row_label(row: int, name: str) -> Mapping[str, Any]:
    return {
        "x": 0, "xref": "paper", "xanchor": "left", "y": row - 0.5, "yref": "y", "yanchor": "middle", "yshift": -2,
        "showarrow": False, "text": shown(name, 44), "font": {"size": 12},
    }  # fmt: skip
