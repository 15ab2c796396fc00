"""Run table: what every source of runs is read into, and the look-up of its columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from trainables.errors import InputError
from trainables.records import number_of

RUN = "run"
EPOCH = "epoch"
RUN_NAMES = ("run", "run_id", "trial_id", "run_name", "name", "Name", "ID", "id")
METRICS = ("metrics.", "summary.", "summary/", "user_attrs.")
FACTORS = ("params.", "config.", "config/", "tags.", "user_attrs.", "hparams/")
_MOST_LISTED = 20
_SEPARATOR = re.compile(r"[./]")


@dataclass(frozen=True)
class RunTable:
    """Runs of any origin.

    Args:
        source: description of the origin, for messages.
        frame: one row per run. NaN means not recorded; infinity means recorded, but not finite. Column names are those
            of the source; `params.`, `tags.`, `metrics.`, `config/` and similar prefixes need not be typed by the user.
        curves: one row per run and epoch, sorted: `run` (int64: row of `frame`), `epoch` and one float column per
            metric; None without curves.
        notes: what the reader has left out, as sentences.
        directions: whether a higher value is better, by metric, where the source states it.
    """

    source: str
    frame: pd.DataFrame
    curves: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    directions: Mapping[str, bool] = field(default_factory=dict)


def stacked_curves(curves: Sequence[Mapping[str, np.ndarray]]) -> pd.DataFrame:
    """Return the curves of all runs as one frame, as `RunTable.curves`.

    Args:
        curves: by row of the frame of runs: `epoch` and metrics, float (E,) each; metrics may differ between runs.
    """
    lengths = [len(curve[EPOCH]) for curve in curves]
    ends = np.cumsum([0, *lengths])
    names = dict.fromkeys(name for curve in curves for name in curve)
    columns = {name: np.full(ends[-1], np.nan) for name in names}
    for start, end, curve in zip(ends, ends[1:], curves, strict=False):
        for name, values in curve.items():
            columns[name][start:end] = values
    return pd.DataFrame({RUN: np.repeat(np.arange(len(curves)), lengths), **columns})


def find_column(columns: Iterable[object], asked: str, option: str, prefer: Sequence[str] = ()) -> str:
    """Return the column that a user means: the name itself, or a unique column that ends with `.NAME` or `/NAME`.

    Args:
        columns: existing columns.
        asked: name that the user has given.
        option: the option in which it was given, for messages.
        prefer: prefixes that win if several columns end with the name.

    Raises:
        InputError: no column or several columns match; the message lists similar names.

    >>> find_column(["params.method", "metrics.test_accuracy"], "method", "--arm")
    'params.method'
    """
    names = [str(name) for name in columns]
    if asked in names:
        return asked
    found = [name for name in names if len(asked) < len(name) and name.endswith((f".{asked}", f"/{asked}"))]
    preferred = [name for name in found if name.startswith(tuple(prefer))] if prefer else []
    found = preferred[:1] or found
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(f"{option} {asked}: several columns match: {short_list(found)}. Give the whole name.")
    raise InputError(
        f"{option} {asked}: there is no such column.{_near(names, asked)} The columns are {short_list(names)}."
    )


def _near(names: Sequence[str], asked: str) -> str:
    """Return a hint at similar names, with a leading space; empty if there are none."""
    plain = {name.lower(): name for name in names} | {_SEPARATOR.split(name.lower())[-1]: name for name in names}
    near = get_close_matches(asked.lower(), plain, n=3)
    hints = dict.fromkeys(plain[name] for name in near)
    return f" Did you mean {' or '.join(f'`{name}`' for name in hints)}?" if hints else ""


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted.

    >>> repeated(["seed", "method", "seed"])
    ['seed']
    """
    return sorted(name for name, number in Counter(names).items() if number > 1)


def short_list(names: Iterable[object], most: int = _MOST_LISTED) -> str:
    """Return names as a list in words, shortened if there are many.

    >>> short_list(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = [str(name) for name in names]
    if not every:
        return "(none)"
    if len(every) <= most:
        return ", ".join(every)
    return f"{', '.join(every[:most])} and {len(every) - most:,} more"


def recorded(value: Any) -> Any:
    """Return infinity for NaN, which was recorded, unlike a missing value; any other value unchanged."""
    return np.inf if isinstance(value, float) and np.isnan(value) else value


def short_name(column: str) -> str:
    """Return a column's name without the prefix of its source.

    >>> short_name("params.model"), short_name("validation/accuracy")
    ('model', 'validation/accuracy')
    """
    return next((column.removeprefix(prefix) for prefix in (*METRICS, *FACTORS) if column.startswith(prefix)), column)


def joined(levels: Iterable[object], separator: str = ", ") -> str:
    """Return the levels of several columns as one name: `sgd, 0.1`."""
    return separator.join(map(str, levels))


def count(which: pd.Series) -> str:
    """Return the number of true values as a number of runs."""
    return number_of(int(which.sum()), "run")
