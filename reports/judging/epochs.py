"""Epochs: tables with one row per epoch, averages over the last epochs, and curves of the runs that count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from reports.judging.question import Question
from reports.judging.run_table import EPOCH, FACTORS, RUN, RUN_NAMES, RunTable, find_column, short_list
from reports.judging.values import level_codes, numbers
from trainables.errors import InputError


def one_row_per_run(table: RunTable, question: Question) -> RunTable:
    """Return a table with one row per run from one with one row per epoch: each metric at its last measurement.

    A metric that a run lacks in its last epoch, although others have it there, is infinite: recorded, but not finite,
    as of a run that diverged.
    """
    frame = table.frame
    epoch = find_column(frame.columns, str(question.epoch), "--epoch")
    identity = _identity(frame, question)
    run, _ = level_codes(frame, identity)
    at = numbers(frame[epoch], epoch)
    if at.isna().any():
        raise InputError(f"`{epoch}` is empty in {int(at.isna().sum()):,} rows; every row needs its epoch (--epoch)")
    order = np.lexsort((at.to_numpy(), run))
    run, at, ordered = run[order], at.to_numpy()[order], frame.iloc[order].reset_index(drop=True)
    if (run < 0).any():
        raise InputError(
            f"`{short_list(identity)}` is empty in {int((run < 0).sum()):,} rows; a run needs its name (--run)"
        )
    again = (run[1:] == run[:-1]) & (at[1:] == at[:-1])
    if again.any():
        row = ordered.iloc[int(np.flatnonzero(again)[0])]
        which = ", ".join(f"{name} {row[name]}" for name in identity)
        raise InputError(
            f"several rows have the same run and epoch ({which}, {epoch} {row[epoch]}). Name the column that "
            "identifies a run with --run."
        )
    first = np.r_[True, run[1:] != run[:-1]]
    final = np.r_[first[1:], True]
    numeric = [str(name) for name in ordered.columns if pd.api.types.is_numeric_dtype(ordered[name]) and name != epoch]
    curves = pd.DataFrame({RUN: np.cumsum(first) - 1, EPOCH: at})
    curves = pd.concat([curves, ordered[numeric].drop(columns=[RUN, EPOCH], errors="ignore")], axis=1)
    measured = [name for name in numeric if name not in (RUN, EPOCH)]
    latest = curves.groupby(RUN)[measured].last()  # of a metric that is not measured every epoch
    rows = ordered[final].reset_index(drop=True)
    return replace(table, frame=rows.assign(**_judged(curves, final, latest)), curves=curves)


def _identity(frame: pd.DataFrame, question: Question) -> list[str]:
    """Return the columns that identify a run: as named, of a usual name, or all that the question names."""
    if question.run is not None:
        return [find_column(frame.columns, question.run, "--run")]
    if named := next((name for name in RUN_NAMES if name in frame), None):
        return [named]
    asked = (*question.arm, *question.condition, *question.seed, *question.pair_columns, *question.setting)
    return [find_column(frame.columns, name, "--arm", FACTORS) for name in dict.fromkeys(asked)]


def _judged(curves: pd.DataFrame, final: np.ndarray, latest: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the value of each metric by run: the latest, or infinity where it was lost before the last epoch."""
    ends, found = curves.loc[final, EPOCH].to_numpy(), {}
    for name in map(str, latest.columns):
        known = curves[name].notna().to_numpy()
        values = latest[name].to_numpy(dtype=float)
        lost = ~known[final] & ~np.isnan(values) & np.isin(ends, curves.loc[known, EPOCH].to_numpy())
        found[name] = np.where(lost, np.inf, values)
    return found


def with_last_epochs(table: RunTable, metrics: set[str], last: int) -> RunTable:
    """Return the table with the metrics averaged over the last epochs.

    Raises:
        InputError: the metrics have no epochs.
    """
    if last == 1:
        return table
    curves = table.curves
    if curves is None or not metrics <= set(curves.columns):
        raise InputError(f"--last {last} needs the epochs of {short_list(sorted(metrics))}; {table.source} has none")
    from_end = curves.groupby(RUN).cumcount(ascending=False)
    means = curves[from_end < last].groupby(RUN)[sorted(metrics)].mean().reindex(range(len(table.frame)))
    lost = {name: np.isinf(numbers(table.frame[name], name)) for name in metrics}
    found = {name: np.where(lost[name], np.inf, means[name]) for name in sorted(metrics)}
    return replace(table, frame=table.frame.assign(**found))


def curves_of_runs(table: RunTable, runs: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame | None:
    """Return the epochs of the usable runs, numbered by row of `runs`; None if the metric has none."""
    curves = table.curves
    if curves is None or not set(metrics) & set(curves.columns):
        return None
    number = np.full(len(table.frame), -1)
    number[runs["row"].to_numpy()] = np.arange(len(runs))
    own = number[curves[RUN].to_numpy()]
    kept = own >= 0
    return curves[kept].assign(**{RUN: own[kept]}).sort_values([RUN, EPOCH], ignore_index=True)
