"""What sections are made of: blocks of sentences, pictures and a table. One partial lays all of them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from reports.figures.learning_curves import Figure


@dataclass(frozen=True)
class Picture:
    """A Plotly figure.

    Args:
        name: unique on the page; stem of its SVG file.
        figure: data and layout.
        label: what it shows, for those who cannot see it.
    """

    name: str
    figure: Figure
    label: str

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.figure["layout"]["height"])

    @property
    def json(self) -> str:
        """The figure for embedding: nothing in it can end a `script` element."""
        content = json.dumps(self.figure, allow_nan=False, separators=(",", ":"))
        for mark in ("<", ">", "&", "\u2028", "\u2029"):
            content = content.replace(mark, f"\\u{ord(mark):04x}")
        return content


class Column(NamedTuple):
    """A column of a table; numbers stand to the right."""

    title: str
    number: bool = False


class Cell(NamedTuple):
    """A cell of a table.

    Args:
        text: what it says.
        value: what it is sorted by; a cell that has none is sorted by its text.
        colour: of the dot before a method's name.
    """

    text: str
    value: float | None = None
    colour: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a table; the filters of the page go by condition and method."""

    cells: tuple[Cell, ...]
    condition: str = ""
    method: str = ""


@dataclass(frozen=True)
class Table:
    """A table that can be sorted.

    Args:
        columns: its headings.
        lines: as wide as the headings.
        caption: how to read it.
        folded: shown on demand.
    """

    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    caption: str = ""
    folded: bool = True


@dataclass(frozen=True)
class Panel:
    """A small picture that belongs to one method or one setting.

    Args:
        title: above it.
        picture: the picture.
        method: display name, for the filters and the colour; empty if it belongs to all.
        colour: the method's, empty without a dot.
        source: what it was measured on.
    """

    title: str
    picture: Picture
    method: str = ""
    colour: str = ""
    source: str = ""


@dataclass(frozen=True)
class Block:
    """A part of a section, one a condition or one for all.

    Args:
        heading: empty for none.
        condition: for the filters; empty if it belongs to all.
        sentences: what the pictures show, in words.
        legend: colour and name of what its pictures tell apart by colour alone.
        picture: over the whole width.
        panels: side by side.
        table: below the pictures.
    """

    heading: str = ""
    condition: str = ""
    sentences: tuple[str, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    picture: Picture | None = None
    panels: tuple[Panel, ...] = ()
    table: Table | None = None

    @property
    def has_words(self) -> bool:
        """Whether anything is left of it without pictures."""
        return bool(self.sentences or self.table)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All of its pictures."""
        return (*([self.picture] if self.picture else []), *(panel.picture for panel in self.panels))


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Args:
        name: its anchor, a plain word.
        title: a question.
        blocks: its content.
        lead: what comes before the blocks.
        caption: how to read the pictures.
        empty: what stands there instead, where there is no block.
        partial: the templates `sections/PARTIAL.html.j2` and `sections/PARTIAL.md.j2`.
        content: what a partial of its own needs, beside the blocks.
        data: all figures, unrounded, by the name of their CSV file.
    """

    name: str
    title: str
    blocks: tuple[Block, ...] = ()
    lead: tuple[str, ...] = ()
    caption: str = ""
    empty: str = ""
    partial: str = "blocks"
    content: Any = None
    data: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All of its pictures."""
        return tuple(picture for block in self.blocks for picture in block.pictures)
