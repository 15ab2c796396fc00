"""Tables of runs: CSV, TSV and Parquet files, also with the columns `config` and `summary` of Weights & Biases."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pyarrow.compute import call_function

from reports.data.formulas import unescape_formulas
from reports.judging.run_table import RunTable, count, repeated
from reports.judging.sources.extras import first_line
from reports.judging.sources.frames import with_index_columns
from trainables.errors import InputError

ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".parquet", ".pq")
_PACKED = ("config", "summary")
"""Columns in which the export of Weights & Biases keeps one mapping per run."""
_NOT_A_NUMBER = re.compile(r"\b(?:nan|NaN|inf|Infinity)\b")
_STATES = ("finished", "crashed", "failed", "killed", "pending", "preempted", "preempting", "running")
_SAMPLE = 65_536
_DELIMITERS = (",", ";", "\t")
_DECLARED = re.compile(r'"?sep=(?P<delimiter>(?=[\x00-\x7f])[^\w"])"?', re.IGNORECASE)
"""First line by which Excel is told the delimiter."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_AS_UTF_8 = "save the table as UTF-8 (in Excel: CSV UTF-8)"


@dataclass(frozen=True)
class _Form:
    """How a table is written as text.

    Args:
        delimiter: what separates the columns.
        encoding: of the whole file.
        skipped: lines above the heading.
    """

    delimiter: str
    encoding: str
    skipped: int


def read_table(path: Path) -> RunTable:
    """Read a table with a heading line.

    Raises:
        InputError: the file is not a table, is damaged or empty, or has unnamed or repeated columns.
    """
    try:
        table = _arrow_table(path)
    except (pa.ArrowException, UnicodeError) as error:
        raise InputError(f"{path} cannot be read as a table: {first_line(error)[:200]}") from None
    except OSError as error:
        if error.errno is not None:  # of the file system
            raise
        raise InputError(
            f"{path} is cut off or damaged: {first_line(error)[:200]}; write or copy the file again"
        ) from None
    binary = [field.name for field in table.schema if pa.types.is_binary(field.type)]
    if binary:
        raise InputError(f"{path}: the column `{binary[0]}` is not UTF-8 text; {_AS_UTF_8}")
    names = table.column_names
    if names and not names[0]:  # the index of a data frame
        table, names = table.drop_columns([names[0]]), names[1:]
    _check_names(names, path)
    frame = with_index_columns(_frame(_with_infinite_nans(table)))
    _check_names(frame.columns.tolist(), path)
    frame, notes = _finished(_unpacked(unescape_formulas(frame), path))
    return RunTable(str(path), frame.reset_index(drop=True), notes=notes)


def _check_names(names: list[str], path: Path) -> None:
    twice = repeated(names)
    if twice or not all(names):
        what = f"several columns called `{twice[0]}`" if twice else "a column without a name"
        raise InputError(f"{path} has {what}; every column needs a unique name in the first line")


def _arrow_table(path: Path) -> pa.Table:
    if path.suffix.lower() in (".parquet", ".pq"):
        return pyarrow.parquet.read_table(path)
    with _content(path) as stream:
        form = _form(stream.read(_SAMPLE), path)
    with _content(path) as stream:
        return pyarrow.csv.read_csv(
            stream,
            read_options=pyarrow.csv.ReadOptions(encoding=form.encoding, skip_rows=form.skipped),
            parse_options=pyarrow.csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(null_values=[""], strings_can_be_null=True),
        )


def _content(path: Path) -> pa.NativeFile:
    return pa.input_stream(str(path), compression="gzip" if path.suffix.lower() == ".gz" else None)


def _form(sample: bytes, path: Path) -> _Form:
    """Return how a table is written, from its first bytes."""
    encoding = "utf-16" if sample.startswith(_UTF_16) else "utf-8"
    if encoding == "utf-8" and b"\0" in sample:
        raise InputError(f"{path} is not UTF-8 text, but perhaps UTF-16 without a byte order mark; {_AS_UTF_8}")
    text = sample.decode(encoding, errors="replace").removeprefix("\ufeff")
    lines = text.splitlines()
    if not lines:
        raise InputError(f"{path} is empty; a table needs a heading line and one row per run")
    declared = _DECLARED.fullmatch(lines[0])
    if declared:
        return _Form(declared["delimiter"], encoding, 1)
    return _Form(max(_DELIMITERS, key=lambda delimiter: _columns(text, delimiter)), encoding, 0)


def _columns(text: str, delimiter: str) -> int:
    """Return how many columns the heading has with a delimiter; 0 if its quotes are not around whole names.

    >>> _columns('"loss, train";"acc, val";seed', ";"), _columns('"loss, train";"acc, val";seed', ",")
    (3, 0)
    """
    try:
        return len(next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)))
    except (csv.Error, StopIteration):
        return 0


def _with_infinite_nans(table: pa.Table) -> pa.Table:
    """Return the table with infinity for a NaN that was written, which differs from an empty value."""
    for position, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            column = table.column(position)
            written = call_function("is_nan", [column])
            if call_function("any", [written]).as_py():
                infinite = call_function("if_else", [written, pa.scalar(np.inf, field.type), column])
                table = table.set_column(position, field, infinite)
    return table


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return the table with the index that pandas has recorded in a Parquet file, or without if this is damaged."""
    try:
        return table.to_pandas()
    except (ValueError, LookupError, TypeError, AttributeError):
        return table.to_pandas(ignore_metadata=True)


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
