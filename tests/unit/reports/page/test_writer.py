"""CSV tables hold nothing that a spreadsheet runs, and are judged as they were before that."""

import io
from pathlib import Path

import pandas as pd
import pytest

from reports.data.formulas import OWN_COLUMNS
from reports.judging.sources.recognise import read_source
from reports.page.writer import csv_text


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_starts_a_formula_is_escaped(start: str) -> None:
    table = pd.DataFrame({f"{start}x": [f"{start}1", "a" + start, None], "n": [-1, 2, -3], "f": [-0.5, None, 1e-17]})
    back = pd.read_csv(io.StringIO(csv_text(table), newline=""))
    assert list(back.columns) == [f"'{start}x", "n", "f"]
    assert back.iloc[:2, 0].tolist() == [f"'{start}1", "a" + start]
    assert back["n"].tolist() == [-1, 2, -3]
    assert back["f"].dropna().tolist() == [-0.5, 1e-17]


def test_names_that_start_formulas_are_judged_as_they_were(tmp_path: Path) -> None:
    names = ["=1+1", "-x", "@x", "'=x", "''+x", "'quoted", "mixup"]
    own = pd.DataFrame({**{name: range(len(names)) for name in sorted(OWN_COLUMNS)}, "method": names, "-p": names})
    foreign = own.drop(columns="audit")
    for table, name in ((own, "own.csv"), (foreign, "foreign.csv")):
        (tmp_path / name).write_text(csv_text(table))
    assert list(read_source(str(tmp_path / "own.csv")).frame["method"]) == names
    assert list(read_source(str(tmp_path / "own.csv")).frame["-p"]) == names
    assert list(read_source(str(tmp_path / "foreign.csv")).frame["method"])[:2] == ["'=1+1", "'-x"]
