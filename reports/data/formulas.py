"""Formulas: text that a spreadsheet would run gets an apostrophe in CSV tables, which reading removes."""

from __future__ import annotations

import re

import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""Start of text that spreadsheets take for a formula, and of text that is already behind an apostrophe."""
OWN_COLUMNS = frozenset({"run", "phase", "condition", "arm", "method", "k", "seed", "audit", "outcome"})
"""Columns by which the table of runs of a report is recognised."""


def escape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without formulas; `unescape_formulas` returns the original.

    >>> list(escape_formulas(pd.DataFrame({"method": ["=1+1", "mixup", "'-x"]}))["method"])
    ["'=1+1", 'mixup', "''-x"]
    """
    return table.map(_escaped).rename(columns=_escaped)


def unescape_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of runs as it was before `escape_formulas`; tables of other origin are returned unchanged.

    >>> own = pd.DataFrame({**{name: [""] for name in OWN_COLUMNS}, "method": ["'=1+1"]})
    >>> list(unescape_formulas(own)["method"]), list(unescape_formulas(own[["method"]])["method"])
    (['=1+1'], ["'=1+1"])
    """
    return table.map(_unescaped).rename(columns=_unescaped) if set(table.columns) >= OWN_COLUMNS else table


def _escaped(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def _unescaped(cell: object) -> object:
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _FORMULA.match(cell) else cell
