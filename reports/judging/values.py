"""Column values: numbers, levels, filters, with errors that name what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from reports.judging.run_table import RUN, find_column, short_list
from trainables.errors import InputError

Level = int | float | str
_BOOLEANS = ("True", "False")
"""Levels of a boolean column, which users write in either case."""
_FILTER = re.compile(r"(?P<column>.+?)(?P<operator>!=|=)(?P<value>.*)", re.DOTALL)
_EXACT = 2.0**53
"""From here on, a float does not distinguish whole numbers."""
_FIELD = re.compile(r"\{(\w+)\}")
_TOUCHING = re.compile(r"\{(\w+)\}\{(\w+)\}")


def numbers(column: pd.Series, name: str) -> pd.Series:
    """Return a column as floats; empty values become NaN.

    Raises:
        InputError: some values are text.

    >>> numbers(pd.Series(["0.5", "", None]), "accuracy").tolist()
    [0.5, nan, nan]
    """
    if pd.api.types.is_complex_dtype(column):
        raise InputError(f"`{name}` must be numbers, but its values are complex; choose another column")
    if pd.api.types.is_bool_dtype(column):
        return column.astype(float)
    if not pd.api.types.is_numeric_dtype(column):
        text = column.astype("string").str.strip()
        column = text.mask(text == "")
    found = pd.Series(pd.to_numeric(column, errors="coerce"), index=column.index)
    wrong = column[found.isna() & column.notna()]
    wrong = wrong[~wrong.astype("string").str.lower().isin(["nan"])]
    if len(wrong):
        examples = short_list([f"`{value}`" for value in wrong.unique()], 3)
        raise InputError(
            f"`{name}` must be numbers, but {len(wrong):,} of {len(column):,} values are text: {examples}. Choose "
            "another column, correct the values, or leave the rows out with --where."
        )
    return found.astype(float)


def column_codes(column: pd.Series) -> tuple[np.ndarray, list[Level]]:
    """Return a code for every level of a column: numbers if all levels are numbers, otherwise text.

    Whole numbers become int, so that seed 1.0 equals seed 1; numbers with leading zeros remain text, and floats that
    are too large to tell whole numbers apart.

    Returns:
        Codes, int (n,), -1 where the value is missing or empty; and the levels by code, sorted.

    >>> column_codes(pd.Series(["10", "2", None, "2"]))
    (array([ 1,  0, -1,  0]), [2, 10])
    """
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        text = column.astype("string").str.strip()
        column = text.mask(text == "")
    places, unique = pd.factorize(column)
    known = pd.Series(unique)
    as_numbers = pd.Series(pd.to_numeric(known, errors="coerce"))
    padded = known.astype("string").str.fullmatch(r"0\d+").any()
    inexact = pd.api.types.is_float_dtype(as_numbers) and (as_numbers.abs() >= _EXACT).any()
    as_text = as_numbers.isna().any() or padded or inexact
    found = known.map(str).tolist() if as_text else [_plain(one) for one in as_numbers.tolist()]
    levels = sorted(set(found))  # text or numbers, never both
    rank = {level: code for code, level in enumerate(levels)}
    table = np.array([*(rank[level] for level in found), -1], dtype=int)
    return table[places], levels


def is_numbers(column: pd.Series) -> bool:
    """Return whether all values of a column that are not missing are numbers, also as text."""
    known = column.dropna()
    return bool(pd.Series(pd.to_numeric(known, errors="coerce")).notna().all())


def _plain(value: Any) -> int | float:
    """Return a number as an int if it is whole."""
    return int(value) if isinstance(value, int) or float(value).is_integer() else float(value)


def level_codes(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[np.ndarray, list[tuple[Level, ...]]]:
    """Return a code for every combination of levels of several columns.

    Args:
        frame: the rows.
        columns: the columns of the levels; without any, all rows have the code 0.

    Returns:
        Codes, int (n,), -1 where a level is missing; and the combinations by code, sorted.

    >>> codes, found = level_codes(pd.DataFrame({"arm": ["b", "a"], "seed": [1, 2]}), ["arm", "seed"])
    >>> codes.tolist(), found
    ([1, 0], [('a', 2), ('b', 1)])
    """
    if not columns:
        return np.zeros(len(frame), dtype=int), [()]
    each = [column_codes(frame[name]) for name in columns]
    codes = np.stack([codes for codes, _ in each])
    known = (codes >= 0).all(axis=0)
    unique, places = np.unique(codes[:, known], axis=1, return_inverse=True)
    combined = np.full(len(frame), -1)
    combined[known] = places.ravel()
    return combined, [tuple(each[row][1][code] for row, code in enumerate(column)) for column in unique.T.tolist()]


def matching(frame: pd.DataFrame, conditions: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return which rows meet all conditions, bool (n,), and sentences about values that no row has.

    Args:
        frame: the rows.
        conditions: such as `phase=confirm` or `status!=FAILED`; several values are separated by `|`.

    Raises:
        InputError: a condition has another form, or there is no such column.

    >>> kept, unknown = matching(pd.DataFrame({"lr": [0.1, 0.2, 0.3]}), ["lr=0.10|0.3|7"])
    >>> kept.tolist(), unknown
    ([True, False, True], ['--where lr=0.10|0.3|7: no row has the value 7; `lr` has 0.1, 0.2, 0.3.'])
    """
    kept, unknown = np.ones(len(frame), dtype=bool), []
    for condition in conditions:
        found = _FILTER.fullmatch(condition)
        if not found:
            raise InputError(f"--where {condition}: write COLUMN=VALUE or COLUMN!=VALUE")
        column = find_column(frame.columns, found["column"].strip(), "--where")
        codes, levels = column_codes(frame[column])
        asked = [text.strip() for text in found["value"].split("|")]
        wanted = [code for code, level in enumerate(levels) if any(_equals(level, text) for text in asked)]
        strange = [text for text in asked if text and not any(_equals(level, text) for level in levels)]
        if strange:
            has = f"`{column}` has {short_list(levels, 6)}"
            unknown.append(f"--where {condition}: no row has the value {' or '.join(strange)}; {has}.")
        same = np.isin(codes, [*wanted, *([-1] if "" in asked else [])])
        kept &= same if found["operator"] == "=" else ~same
    return kept, unknown


def _equals(level: Level, text: str) -> bool:
    """Return whether a level is what a user wrote; numbers are compared as numbers."""
    if isinstance(level, str):
        return level == text or (level in _BOOLEANS and level.lower() == text.lower())
    try:
        return float(text) == level
    except ValueError:
        return False


def with_named_columns(frame: pd.DataFrame, pattern: str) -> pd.DataFrame:
    """Return the frame with additional columns that are taken from the names of the runs.

    Args:
        frame: one row per run, with the column `run`.
        pattern: the form of the end of a name, such as `{method}/seed{seed}`.

    Raises:
        InputError: the pattern has no field, there are no names, or no name has this form.

    >>> runs = pd.DataFrame({"run": ["logs/mixup/seed3", "logs/notes"]})
    >>> with_named_columns(runs, "{method}/seed{seed}")[["method", "seed"]].values.tolist()
    [['mixup', '3'], [<NA>, <NA>]]
    """
    fields = _FIELD.findall(pattern)
    if not fields or len(set(fields)) < len(fields):
        raise InputError(f"--names {pattern}: name each column once in braces, such as `{{method}}/seed{{seed}}`")
    if touching := _TOUCHING.search(pattern):
        first, second = touching.groups()
        raise InputError(
            f"--names {pattern}: it is ambiguous where `{first}` ends and `{second}` begins; write between them what "
            f"separates them in the names, such as `{{{first}}}-{{{second}}}`"
        )
    name = next((column for column in (RUN, "name", "Name") if column in frame), None)
    if name is None:
        raise InputError(f"--names: the table has no run names; its columns are {short_list(frame.columns)}")
    names = frame[name].astype("string")
    found = names.str.extract(_expression(pattern)).set_axis(fields, axis="columns")
    if found[fields[0]].isna().all():
        raise InputError(f"--names {pattern}: no run has a name of this form; they are called {short_list(names, 4)}")
    return frame.drop(columns=[field for field in fields if field in frame]).assign(
        **{field: found[field] for field in fields}
    )


def _expression(pattern: str) -> str:
    """Return the regular expression of names that end like the pattern, with one group per field.

    The atomic groups never give back what they have matched, so that the time is linear in the length of a name: if
    any place of a separator leads to a match, its first place does.
    """
    first, *others = pattern.split("/")
    parts = [_part(first, r"[^/]*?"), *(_part(other, "") for other in others)]
    return rf"^(?s:.*/)?{'/'.join(parts)}\Z"


def _part(pattern: str, before: str) -> str:
    """Return the expression of a part of a pattern without slashes; `before` matches what may precede it."""
    start, *others = (re.escape(text) for text in _FIELD.split(pattern)[::2])
    if not others:
        return before + start
    lead = f"(?>{before}{start})" if start else ""
    *inner, end = others
    return "".join((lead, *(f"(?>([^/]+?){separator})" for separator in inner), f"([^/]+){end}"))
