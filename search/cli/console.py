"""Output on stdout: tables, verdicts and JSON."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trainables.records.characters import CONTROL, visible

if TYPE_CHECKING:
    from reports.inference.wording import Row

COLOURS = {"helps": "green", "hurts": "red", "equivalent": "cyan"}


def console() -> Console:
    """Return a rich console on stdout, at least 140 columns wide if stdout is not a terminal."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=max(out.width, 140))


def print_json(value: Any) -> None:
    """Print a value as JSON; a dataclass is its fields.

    Characters that stdout cannot encode, or that control a terminal, are escaped.
    """
    utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    text = json.dumps(value, indent=2, ensure_ascii=not utf8, default=asdict)
    print(*(CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line) for line in text.split("\n")), sep="\n")


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """Print a table; cells are never interpreted as markup or as commands to the terminal.

    Args:
        headings: one per column.
        rows: cells, converted to text.
        right: headings of right-aligned columns.
    """
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        shown.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(_lines(str(cell))) for cell in row))
    console().print(shown)


def print_verdicts(rows: Sequence[Row], unit: str) -> None:
    """Print the verdict table with effects in the given unit, then the caveats."""
    effect = f"effect ({unit})"
    cells = [
        (
            row.condition,
            _method(row),
            row.effect,
            row.interval,
            row.seeds,
            Text(row.verdict, style=COLOURS.get(row.verdict.split()[0], "")),
        )
        for row in rows
    ]
    print_table(
        ("condition", "method", effect, "95 % interval", "seeds", "verdict"),
        cells,
        (effect, "seeds"),
    )
    for line in _notes(rows):
        console().print(Text(visible(line), style="dim"))


def _notes(rows: Sequence[Row]) -> list[str]:
    """Return the caveats, one per line, naming the affected claims unless all are affected."""
    affected: dict[str, list[Row]] = {}
    for row in rows:
        if row.notes:
            affected.setdefault(row.notes, []).append(row)
    return [
        f"note: {note}" if len(found) == len(rows) else f"note on {'; '.join(map(_claim, found))}: {note}"
        for note, found in affected.items()
    ]


def _method(row: Row) -> str:
    return row.method if row.against == "baseline" else f"{row.method} against {row.against}"


def _claim(row: Row) -> str:
    return f"{_method(row)}, {row.condition}"


def print_lines(*lines: str) -> None:
    """Print lines on stdout; characters that control a terminal are escaped."""
    for line in lines:
        print(_lines(line))


def _lines(text: str) -> str:
    """Return a text of one or more lines with its other control characters as escapes."""
    return "\n".join(map(visible, text.split("\n")))
