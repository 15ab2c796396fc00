"""Tables of runs: CSV, TSV and Parquet files, also with the columns `config` and `summary` of Weights & Biases."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from reports.data.formulas import unescape_formulas
from reports.judging.run_table import RunTable, count, repeated
from trainables.errors import InputError

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
_PACKED = ("config", "summary")
"""Columns in which the export of Weights & Biases keeps one mapping per run."""
_NOT_A_NUMBER = re.compile(r"\b(?:nan|NaN|inf|Infinity)\b")
_STATES = ("finished", "crashed", "failed", "killed", "pending", "preempted", "preempting", "running")
_SAMPLE = 65_536


def read_table(path: Path) -> RunTable:
    """Read a table with a heading line.

    Raises:
        InputError: the file is not a table, is empty, or has unnamed or repeated columns.
    """
    try:
        table = (
            pyarrow.parquet.read_table(path)
            if path.suffix.lower() in (".parquet", ".pq")
            else _read_text(path, _delimiter(path))
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a table: {str(error).splitlines()[0][:200]}") from None
    binary = [field.name for field in table.schema if pa.types.is_binary(field.type)]
    if binary:
        raise InputError(f"{path}: the column `{binary[0]}` is not UTF-8 text; save the table as UTF-8")
    names = table.column_names
    if names and not names[0]:  # the index of a data frame
        table, names = table.drop_columns([names[0]]), names[1:]
    twice = repeated(names)
    if twice or not all(names):
        what = f"several columns called `{twice[0]}`" if twice else "a column without a name"
        raise InputError(f"{path} has {what}; every column needs a name of its own in the first line")
    frame, notes = _finished(_unpacked(unescape_formulas(_with_infinite_nans(table)), path))
    return RunTable(str(path), frame.reset_index(drop=True), notes=notes)


def _read_text(path: Path, delimiter: str) -> pa.Table:
    convert = pyarrow.csv.ConvertOptions(null_values=[""], strings_can_be_null=True)
    return pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=convert,
    )


def _delimiter(path: Path) -> str:
    """Return the delimiter that the heading line contains most often."""
    with pa.input_stream(str(path)) as stream:
        first = stream.read(_SAMPLE).decode("utf-8-sig", errors="replace").splitlines()
    if not first:
        raise InputError(f"{path} is empty; a table needs a heading line and one row per run")
    return max((",", ";", "\t"), key=first[0].count)


def _with_infinite_nans(table: pa.Table) -> pd.DataFrame:
    """Return the table as a frame, with infinity for a NaN that was written, which differs from an empty value."""
    frame = table.to_pandas()
    for name, field in zip(table.column_names, table.schema, strict=True):
        if pa.types.is_floating(field.type):
            written = frame[name].isna() & np.asarray(table[name].is_valid())
            if written.any():
                frame[name] = frame[name].mask(written, np.inf)
    return frame


def _finished(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the finished runs of a table that has the column `State` of Weights & Biases."""
    if "State" not in frame or not frame["State"].isin(_STATES).all():
        return frame, ()
    others = frame["State"] != _STATES[0]
    notes = (f"{count(others)} whose State is not {_STATES[0]}.",) if others.any() else ()
    return frame[~others], notes


def _unpacked(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the frame with columns `config/NAME` and `summary/NAME` in place of mappings that are written as text."""
    for name in _PACKED:
        column = frame.get(name)
        if column is None or not column.astype("string").str.startswith("{").any():
            continue
        rows = [_mapping(str(text), name, path) if pd.notna(text) else {} for text in column]
        unpacked = pd.DataFrame(rows, index=frame.index).add_prefix(f"{name}/")
        frame = pd.concat([frame.drop(columns=name), unpacked], axis=1)
    return frame


def _mapping(text: str, name: str, path: Path) -> dict[str, Any]:
    """Parse a mapping that was written as JSON or as a Python literal; nothing is executed."""
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = ast.literal_eval(_NOT_A_NUMBER.sub("1e999", text))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise InputError(
                f"{path}: the column `{name}` has a value that is neither JSON nor a Python literal: {text[:60]!r}"
            ) from None
    if not isinstance(found, Mapping):
        raise InputError(f"{path}: the column `{name}` has a value that is not a mapping: {text[:60]!r}")
    return {
        str(key): value if isinstance(value, str | int | float | None) else json.dumps(value, default=str)
        for key, value in found.items()
        if not str(key).startswith("_")
    }
