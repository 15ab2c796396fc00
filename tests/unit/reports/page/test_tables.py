"""Tables: one list of columns gives the table of the page and the data frame of the CSV file."""

from __future__ import annotations

import math

import pytest

from reports.page.tables import Column, Number, TableCell, data_frame, interval_columns, page_table
from reports.statistics.estimators import Interval

COLUMNS: tuple[Column[dict], ...] = (
    Column("condition", "", lambda row: row["condition"]),
    Column("method", "method", lambda row: row["method"]),
    Column("", "against", lambda _: "baseline"),
    Number("effect", "effect, points", lambda row: row["effect"], lambda effect: f"{100 * effect:+.1f}", scale=100.0),
    Number("p", "adjusted p", lambda row: TableCell("< 0.001", row["p"])),
    *interval_columns("effect", lambda row: row["interval"], scale=100.0),
)
ROWS = [
    {"condition": "c", "method": "mixup", "effect": 0.5, "p": 0.0001, "interval": Interval(0.25, 0.75)},
    {"condition": "d", "method": "maxup", "effect": None, "p": 1.0, "interval": None},
]


def test_the_page_shows_the_columns_with_a_title() -> None:
    table = page_table(COLUMNS, ROWS, {"mixup": "blue", "maxup": "red"}, "A caption.")
    assert [(column.title, column.number) for column in table.columns] == [
        ("method", False),
        ("against", False),
        ("effect, points", True),
        ("adjusted p", True),
    ]
    first, second = table.rows
    assert first.cells == (
        TableCell("mixup", colour="blue"),
        TableCell("baseline"),
        TableCell("+50.0", 0.5),
        TableCell("< 0.001", 0.0001),
    )
    assert second.cells[2] == TableCell("")
    assert (table.caption, table.folded) == ("A caption.", True)


def test_filters_use_condition_and_method_even_if_they_are_not_displayed() -> None:
    rows = page_table(COLUMNS, ROWS, {}).rows
    assert [(row.condition, row.method) for row in rows] == [("c", "mixup"), ("d", "maxup")]
    (row,) = page_table([Column("seeds", "seeds", str)], [6], {}).rows
    assert (row.condition, row.method) == ("", "")


def test_the_data_frame_contains_the_named_columns_unrounded_and_scaled() -> None:
    frame = data_frame(COLUMNS, ROWS)
    assert list(frame) == ["condition", "method", "effect", "p", "effect_low", "effect_high"]
    assert frame.iloc[0].tolist() == ["c", "mixup", 50.0, 0.0001, 25.0, 75.0]
    assert frame.loc[1, ["effect", "effect_low", "effect_high"]].isna().all()


def test_a_data_frame_without_rows_has_its_columns() -> None:
    assert list(data_frame(COLUMNS, [])) == ["condition", "method", "effect", "p", "effect_low", "effect_high"]
    assert page_table(COLUMNS, [], {}).rows == ()


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_missing_number_is_an_empty_cell_that_sorts_last(missing: float | None) -> None:
    (row,) = page_table([Number("share", "share", lambda value: value, "{:.1f}".format)], [missing], {}).rows
    assert row.cells == (TableCell("", None),)
