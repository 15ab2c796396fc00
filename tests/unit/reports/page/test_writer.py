"""CSV tables hold nothing that a spreadsheet runs."""

import io

import pandas as pd
import pytest

from reports.page.writer import csv_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_starts_a_formula_is_escaped(start: str) -> None:
    table = pd.DataFrame({f"{start}x": [f"{start}1", "a" + start, None], "n": [-1, 2, -3], "f": [-0.5, None, 1e-17]})
    back = pd.read_csv(io.StringIO(csv_text(table), newline=""))
    assert list(back.columns) == [f"'{start}x", "n", "f"]
    assert back.iloc[:2, 0].tolist() == [f"'{start}1", "a" + start]
    assert back["n"].tolist() == [-1, 2, -3]
    assert back["f"].dropna().tolist() == [-0.5, 1e-17]
