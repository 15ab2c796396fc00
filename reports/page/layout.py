"""Building blocks of a section: figures, panels and blocks. One pair of templates renders all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from reports.figures.style import Figure
from reports.page.tables import Table


@dataclass(frozen=True)
class Picture:
    """A named Plotly figure.

    Args:
        name: unique on the page; the element's id and the name of the SVG file that the reader can download.
        figure: data and layout.
        label: text alternative for screen readers.
    """

    name: str
    figure: Figure
    label: str

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.figure["layout"]["height"])

    @property
    def json(self) -> str:
        """The figure as JSON that is safe inside a `script` element."""
        content = json.dumps(self.figure, allow_nan=False, separators=(",", ":"))
        for mark in ("<", ">", "&", "\u2028", "\u2029"):
            content = content.replace(mark, f"\\u{ord(mark):04x}")
        return content


@dataclass(frozen=True)
class Panel:
    """A small figure about one method or one setting.

    Args:
        title: heading of the panel.
        picture: the figure.
        method: display name of the method, for the filters; empty if the panel concerns all methods.
        colour: colour of the dot in front of the title; empty for no dot.
        source: what the figure is based on.
    """

    title: str
    picture: Picture
    method: str = ""
    colour: str = ""
    source: str = ""


@dataclass(frozen=True)
class Block:
    """A part of a section: one per condition, or one for all conditions.

    Args:
        heading: heading; empty for none.
        condition: name of the condition, for the filters; empty if the block concerns all conditions.
        sentences: findings in words.
        legend: (colour, name) of every method that the figures distinguish by colour alone.
        picture: figure over the full width.
        panels: small figures side by side.
        table: table below the figures.
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
        """Whether the block has content without its figures."""
        return bool(self.sentences or self.table)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures of the block."""
        return (*([self.picture] if self.picture else []), *(panel.picture for panel in self.panels))


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Args:
        name: anchor; a single word.
        title: heading, a question if possible.
        blocks: content.
        lead: paragraphs before the blocks.
        caption: explanation of the figures.
        empty: text shown if there are no blocks.
        template: name of the templates `sections/TEMPLATE.html.j2` and `sections/TEMPLATE.md.j2`.
        content: further data for a template other than `blocks`.
        data: tables with unrounded values, by the name of their CSV file.
    """

    name: str
    title: str
    blocks: tuple[Block, ...] = ()
    lead: tuple[str, ...] = ()
    caption: str = ""
    empty: str = ""
    template: str = "blocks"
    content: Any = None
    data: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All figures of the section."""
        return tuple(picture for block in self.blocks for picture in block.pictures)
