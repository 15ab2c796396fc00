"""Tables: one list of columns gives a table of the page and the data frame of its CSV file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import pandas as pd

from reports.inference import wording as text
from reports.statistics.estimators import Interval
from reports.statistics.group_sequential import Decision
from trainables.records import Unit


class TableCell(NamedTuple):
    """A cell of a table.

    Args:
        text: displayed text.
        value: sort key of a number column; None sorts last.
        colour: colour of the dot in front of a method's name; empty for no dot.
        link: address that the text links to; only the list of runs shows links.
    """

    text: str
    value: float | None = None
    colour: str = ""
    link: str = ""


T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Column(Generic[T_contra]):
    """A column of text, on the page, in the CSV file, or in both.

    The columns `condition` and `method` are also what the filters of the page use, even where they are not displayed.

    Args:
        name: name in the CSV file and in `report.json`; empty for a column of the page only.
        title: heading on the page; empty for a column of the CSV file only.
        value: from a row to its unrounded value; or to its cell, where the text depends on more than the value.
        format: from a value to its text on the page, where None and NaN are empty.
        scale: factor of the values in the CSV file; None to write them unchanged.
    """

    name: str
    title: str
    value: Callable[[T_contra], Any]
    format: Callable[[Any], str] = str
    scale: float | None = None
    number: ClassVar[bool] = False

    def recorded(self, row: T_contra) -> Any:
        """Return the entry of a row in the CSV file."""
        value = self.value(row)
        if isinstance(value, TableCell):
            return value.value
        return value if value is None or self.scale is None else self.scale * value

    def cell(self, row: T_contra, colours: Mapping[str, str]) -> TableCell:
        """Return the cell of a row on the page."""
        value = self.value(row)
        if isinstance(value, TableCell):
            return value
        if pd.isna(value):
            return TableCell("")
        if self.number:
            return TableCell(self.format(value), value)
        return TableCell(self.format(value), colour=colours.get(value, "") if self.name == "method" else "")


class Number(Column[T_contra]):
    """A column of numbers: right-aligned, and sorted by the value."""

    number: ClassVar[bool] = True


@dataclass(frozen=True)
class TableRow:
    """A row of a table; the filters of the page use its condition and method."""

    cells: tuple[TableCell, ...]
    condition: str = ""
    method: str = ""


@dataclass(frozen=True)
class Table:
    """A sortable table.

    Args:
        columns: columns with a heading.
        rows: rows with one cell per column.
        caption: explanation below the table.
        folded: whether the table is collapsed until the reader opens it.
    """

    columns: tuple[Column[Any], ...]
    rows: tuple[TableRow, ...]
    caption: str = ""
    folded: bool = True


def page_table(
    columns: Sequence[Column[T_contra]],
    rows: Iterable[T_contra],
    colours: Mapping[str, str],
    caption: str = "",
    *,
    folded: bool = True,
) -> Table:
    """Return a table of the page.

    Args:
        columns: all columns; those without a title are left out.
        rows: what the rows are about.
        colours: colour of every method, for the dot in front of its name.
        caption, folded: as in `Table`.
    """
    shown = tuple(column for column in columns if column.title)
    keys = [column for column in columns if column.name in ("condition", "method")]
    cells = [
        TableRow(tuple(column.cell(row, colours) for column in shown), **{key.name: key.value(row) for key in keys})
        for row in rows
    ]
    return Table(shown, tuple(cells), caption, folded)


def data_frame(columns: Sequence[Column[T_contra]], rows: Iterable[T_contra]) -> pd.DataFrame:
    """Return the unrounded values of the columns that have a name, one row per row of the table.

    >>> accuracy = Number("accuracy", "accuracy, %", lambda run: run["test"], lambda value: f"{100 * value:.1f}")
    >>> data_frame([Column("seed", "", lambda run: run["seed"]), accuracy], [{"seed": 0, "test": 0.875}])
       seed  accuracy
    0     0     0.875
    """
    named = [column for column in columns if column.name]
    records = [{column.name: column.recorded(row) for column in named} for row in rows]
    return pd.DataFrame(records, columns=pd.Index([column.name for column in named]))


def interval_columns(
    name: str, interval: Callable[[T_contra], Interval | None], scale: float | None = None
) -> tuple[Column[T_contra], ...]:
    """Return the ends of an interval in the CSV file: `NAME_low` and `NAME_high`; `low` and `high` without a name."""
    prefix = f"{name}_" if name else ""
    return (
        Column(f"{prefix}low", "", lambda row: found.low if (found := interval(row)) else None, scale=scale),
        Column(f"{prefix}high", "", lambda row: found.high if (found := interval(row)) else None, scale=scale),
    )


class Decided(Protocol):
    """Anything that a decision was made about."""

    @property
    def decision(self) -> Decision:
        """The decision with its estimate, if there is one."""
        ...


def decision_columns(name: str, title: str, digits: int, unit: Unit) -> tuple[Column[Decided], ...]:
    """Return estimate, interval and p-values of decisions.

    Args:
        name: name of the estimate in the CSV file, where it is given in the unit.
        title: heading of the estimate on the page.
        digits: number of decimals on the page.
        unit: unit of the estimates.
    """

    def mean(row: Decided) -> float | None:
        return row.decision.estimate.mean if row.decision.estimate else None

    def interval(row: Decided) -> Interval | None:
        return row.decision.estimate.interval if row.decision.estimate else None

    def interval_cell(row: Decided) -> TableCell:
        found = interval(row)
        return TableCell(text.interval(found, digits, unit), found.low) if found else TableCell("")

    def adjusted_p(row: Decided) -> TableCell:
        p = row.decision.p_adjusted
        return TableCell(text.p_value(p) if row.decision.estimate else "", p)

    return (
        Number(name, title, mean, lambda value: text.signed(value, digits, unit), unit.scale),
        *interval_columns(name, interval, unit.scale),
        Number("", "95 % interval", interval_cell),
        Column("p", "", lambda row: row.decision.p),
        Number("p_adjusted", "adjusted p", adjusted_p),
        Column("equivalence_p_adjusted", "", lambda row: row.decision.equivalence_p_adjusted),
    )
