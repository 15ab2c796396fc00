"""Condition grid: a heat map of effects over all conditions, with a verdict mark in each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.figures.palette import COLOURS, translucent
from reports.figures.style import TOOLBAR, Figure, rounded, shown

ROW_HEIGHT = 70
LABEL_HEIGHT = 22
BETTER, WORSE = COLOURS[0], COLOURS[1]


@dataclass(frozen=True)
class Tile:
    """One cell of the grid.

    Args:
        row: row number, from 0.
        column: column number, from 0.
        effect: effect in the unit of the study, None if not available yet.
        text: label of the cell.
        hover: hover text, plain text.
    """

    row: int
    column: int
    effect: float | None
    text: str
    hover: str


def grid_figure(
    tiles: Sequence[Tile], rows: Sequence[str], columns: Sequence[str], factor: str, largest: float
) -> Figure:
    """Return a heat map: blue where the method is better, orange where it is worse, paler towards zero.

    Args:
        tiles: conditions of the study; all other cells stay empty.
        rows: names of the rows; an empty name gets no label.
        columns: levels of the factor on the horizontal axis.
        factor: name of that factor.
        largest: effect drawn in full colour, in the unit of the study.
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
            "height": (ROW_HEIGHT if labelled else ROW_HEIGHT - LABEL_HEIGHT) * len(rows) + TOOLBAR + 52,
            "margin": {"l": 4, "r": 4, "t": TOOLBAR, "b": 52},
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
