"""Results of Ray Tune: a folder with `result.json` and `params.json` in the folder of every trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.judging.run_table import EPOCH, RUN, RunTable, recorded, stacked_curves
from trainables.errors import InputError
from trainables.records import is_number, number_of

RESULT = "result.json"
PARAMETERS = "params.json"
ERROR = "error.txt"
ITERATION = "training_iteration"
_OWN = {
    "checkpoint_dir_name", "config", "date", "done", "experiment_tag", "hostname", "iterations_since_restore",
    "node_ip", "pid", "should_checkpoint", "time_since_restore", "timestamp", ITERATION,
}  # fmt: skip
"""What Ray adds to every result, in addition to what the trial reports."""


def read_ray_results(folder: Path, files: list[Path]) -> RunTable:
    """Read the trials of one or several experiments. Ray is not imported.

    The configuration of a trial becomes columns `config/NAME`; of every metric the last result counts. Trials with an
    error and those without results are left out.

    Args:
        folder: the folder that the user has named.
        files: its `result.json` files.

    Raises:
        InputError: no trial has a result.
    """
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, np.ndarray]] = []
    failed = empty = damaged = 0
    for path in files:
        if (path.parent / ERROR).exists():
            failed += 1
            continue
        results, cut = _results(path)
        damaged += cut
        if not results:
            empty += 1
            continue
        rows.append(
            {RUN: str(path.parent.relative_to(folder)), **_configuration(path.parent, results[-1]), **_last(results)}
        )
        curves.append(_curve(results))
    notes = [
        f"{number_of(number, 'trial')} {what}."
        for number, what in (
            (failed, "that ended with an error"),
            (empty, "without results"),
            (damaged, f"whose {RESULT} ends in the middle of a line, without that line"),
        )
        if number
    ]
    if not rows:
        raise InputError(f"no trial in {folder} has a result: {' '.join(notes)}")
    return RunTable(f"the Ray Tune results in {folder}", pd.DataFrame(rows), stacked_curves(curves), tuple(notes))


def _results(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the results of a trial, and whether its last line is cut off; a repeated iteration replaces the first."""
    lines = path.read_bytes().splitlines()
    try:
        results, cut = json.loads(b"[%s]" % b",".join(lines)), False
    except ValueError:
        results, cut = _line_by_line(path, lines)
    by_iteration = {_iteration(result, number, path): result for number, result in enumerate(results, start=1)}
    return list(by_iteration.values()), cut


def _line_by_line(path: Path, lines: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
    results = []
    for number, line in enumerate(lines, start=1):
        try:
            results.append(json.loads(line))
        except ValueError:
            if number == len(lines):
                return results, True
            raise InputError(f"{path}, line {number} is not JSON: {line[:60]!r}") from None
    return results, False


def _iteration(result: Any, number: int, path: Path) -> float:
    """Return the iteration of a result; its number if it has none.

    Raises:
        InputError: this is not a result of Ray Tune.
    """
    if not isinstance(result, dict):
        raise InputError(
            f"{path}, line {number} is not a result of Ray Tune, which is a JSON object: {str(result)[:60]}"
        )
    iteration = result.get(ITERATION, number)
    if not is_number(iteration):
        raise InputError(f"{path}, line {number}: `{ITERATION}` must be a number, but is {str(iteration)[:60]!r}")
    return iteration


def _configuration(folder: Path, last: Mapping[str, Any]) -> dict[str, Any]:
    path = folder / PARAMETERS
    found = last.get("config", {})
    if path.is_file():
        try:
            found = json.loads(path.read_text("utf-8"))
        except ValueError:
            raise InputError(f"{path} is not JSON; restore it, or remove the folder of the trial") from None
    if not isinstance(found, Mapping):
        raise InputError(
            f"the configuration of the trial {folder} must be a JSON object, but is {str(found)[:60]}; restore "
            f"{PARAMETERS}, or remove the folder of the trial"
        )
    return flat(found, "config/")


def _last(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the last value of everything that the trial reported."""
    found: dict[str, Any] = {}
    for result in results[-1:] if len(results) == 1 else (results[0], results[-1]):
        found.update(flat({name: value for name, value in result.items() if name not in _OWN}))
    return {name: recorded(value) for name, value in found.items()}


def _curve(results: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Return the numeric metrics of a trial by iteration."""
    names = [name for name, value in results[-1].items() if name not in _OWN and is_number(value)]
    columns = {name: _floats([result.get(name) for result in results]) for name in names}
    epochs = [result.get(ITERATION, number) for number, result in enumerate(results, start=1)]
    return {EPOCH: np.array(epochs, dtype=float), **columns}


def _floats(values: list[Any]) -> np.ndarray:
    """Return reported values as floats, NaN for those that are no numbers."""
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError, OverflowError):
        return np.array([value if isinstance(value, float) else np.nan for value in values])


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with names joined by slashes.

    >>> flat({"optimizer": {"lr": 0.1}}, "config/")
    {'config/optimizer/lr': 0.1}
    """
    return dict(_pairs(values, prefix))


def _pairs(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _pairs(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else value
