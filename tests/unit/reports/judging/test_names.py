"""Columns from the names of runs (`--names`)."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from reports.judging.values import with_named_columns
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("{0}/seed{1a}", "logs/mixup/seed3", ["mixup", "3"]),
        ("{a}-{b}", "runs/mixup-light-3", ["mixup", "light-3"]),
        ("{a}-{b}X", "p-qXrX", ["p", "qXr"]),
        ("run{a}_{b}", "logs/run1run2_3", ["1run2", "3"]),
        ("s/{a}", "xs/1s/2", ["2"]),
        ("{a}/{b}", "mixup", [None, None]),
        ("{a}-{b}", "mixup-", [None, None]),
    ],
)
def test_names_are_divided_at_the_first_separator(pattern: str, name: str, expected: list[str | None]) -> None:
    fields = re.findall(r"\{(\w+)\}", pattern)
    usual = "/".join(re.sub(r"\{\w+\}", "v", part) for part in pattern.split("/"))
    found = with_named_columns(pd.DataFrame({"run": [name, usual]}), pattern)
    assert [None if pd.isna(value) else value for value in found.loc[0, fields]] == expected


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["{a}-{b}-{c}-{d}-{e}-{f}X", "x{a}-{b}-{c}y"])
def test_long_names_that_do_not_fit_take_no_time(pattern: str) -> None:
    long = pd.DataFrame({"run": ["-" * 20_000, "-x/" * 5000, "x-" * 10_000]})
    with pytest.raises(InputError, match="no run has a name of this form"):
        with_named_columns(long, pattern)
