"""Usable runs: a run table reduced to what a question needs, and which runs were used and excluded."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from reports.judging.duplicates import ARM, CONDITION, KEYS, PAIR, SELECTION, SETTING, VALUE, distinct_runs
from reports.judging.epochs import curves_of_runs, one_row_per_run, with_last_epochs
from reports.judging.metrics import higher_is_better, inferred_direction, unit_of_runs
from reports.judging.question import Question
from reports.judging.run_table import (
    FACTORS,
    METRICS,
    RUN,
    RUN_NAMES,
    RunTable,
    count,
    find_column,
    joined,
    short_list,
    short_name,
)
from reports.judging.values import Level, level_codes, matching, numbers, with_named_columns
from trainables.errors import InputError
from trainables.records import Unit, number_of

Levels = tuple[Level, ...]
MOST_ARMS = 100
MOST_CONDITIONS = 200


@dataclass(frozen=True)
class UsableRuns:
    """Runs that a question can use, one row each.

    Args:
        runs: columns `arm`, `condition`, `setting`, `pair` (int codes of the lists below), `value`, `selection`
            (float), `run` (str), and `row` (int: row of `frame`); sorted by these codes.
        unmeasured: all runs of the source that have an arm and a condition and lack a metric: the same columns as
            `candidates`.
        arms, conditions, settings: values of their columns, by code.
        pairs: values of the pair columns, by code; empty if the runs are not to be paired.
        unit: unit of the metric.
        selection_higher: direction of the selection metric.
        metric, select: columns that were found for the metric and the selection metric.
        curves: the epochs of the usable runs as in `RunTable.curves`, where `run` is a row of `runs`; None without.
        frame: all runs of the source.
        candidates: all runs of the source that have an arm and a condition: columns `arm`, `condition`, `row`.
        used, left_out: sentences.
    """

    runs: pd.DataFrame
    arms: list[Levels]
    conditions: list[Levels]
    settings: list[Levels]
    pairs: list[Levels]
    unit: Unit
    selection_higher: bool
    metric: str
    select: str
    curves: pd.DataFrame | None
    frame: pd.DataFrame
    candidates: pd.DataFrame
    unmeasured: pd.DataFrame
    used: tuple[str, ...]
    left_out: tuple[str, ...]

    def unpaired(self) -> UsableRuns:
        """Return the same runs, not to be paired."""
        return replace(self, runs=self.runs.assign(**{PAIR: 0}), pairs=[])


def usable_runs(table: RunTable, question: Question) -> UsableRuns:
    """Return the runs that the question can use.

    Args:
        table: the runs.
        question: what is asked about them.

    Raises:
        InputError: a column is missing or not numeric, the table is empty, a value is not finite, scales are mixed,
            there are too many arms, or several runs cannot be told apart.
    """
    if table.frame.empty:
        raise InputError(" ".join((f"{table.source} has no runs.", *table.notes)))
    table = _prepared(table, question)
    metric, select = _metric_columns(table.frame, question)
    table = with_last_epochs(table, {metric, select}, question.last)
    coded, levels = _coded(table.frame, question)
    coded[VALUE], coded[SELECTION] = numbers(table.frame[metric], metric), numbers(table.frame[select], select)
    complete, without = _complete(coded, question)
    _check_levels(complete, levels, question)
    runs, repeated = distinct_runs(complete, table.frame, levels, question)
    runs = runs.sort_values(KEYS, kind="stable", ignore_index=True)
    known = table.directions.get(metric)
    higher = higher_is_better(metric, known if question.higher is None else question.higher)
    names = runs[ARM].map(dict(enumerate(map(joined, levels[ARM]))))
    candidates = coded[(coded[ARM] >= 0) & (coded[CONDITION] >= 0)]
    measured = candidates[[VALUE, SELECTION]].notna().all(axis=1)
    places = [ARM, CONDITION, "row"]
    return UsableRuns(
        runs=runs,
        arms=levels[ARM],
        conditions=levels[CONDITION],
        settings=levels[SETTING],
        pairs=levels[PAIR] if question.pair_columns else [],
        unit=unit_of_runs(short_name(metric), runs[VALUE], names, higher, question.percent),
        selection_higher=_select_higher(select, question, higher),
        metric=metric,
        select=select,
        curves=curves_of_runs(table, runs, (metric, select)),
        frame=table.frame,
        candidates=candidates[places],
        unmeasured=candidates.loc[~measured, places],
        used=(f"{len(runs):,} of {len(table.frame):,} runs of {table.source}.",),
        left_out=(*table.notes, *without, *repeated),
    )


def _metric_columns(frame: pd.DataFrame, question: Question) -> tuple[str, str]:
    """Return the columns of the judged metric and of the selection metric, the same unless --select names one."""
    metric = find_column(frame.columns, question.metric, "--metric", METRICS)
    select = find_column(frame.columns, question.select, "--select", METRICS) if question.select else metric
    if question.setting and select == metric:
        raise InputError(
            f"--select {question.select}: each arm would choose its setting on the judged metric, which favours the "
            "arm with more settings; name a validation metric"
        )
    return metric, select


def _select_higher(select: str, question: Question, higher: bool) -> bool:
    """Return the direction of the selection metric: as given, from its name, or that of the judged metric."""
    if not question.select:
        return higher
    found = inferred_direction(select) if question.select_higher is None else question.select_higher
    return higher if found is None else found


def _prepared(table: RunTable, question: Question) -> RunTable:
    """Return the rows that meet --where, one per run, with the columns of --names."""
    if question.names is not None:
        table = replace(table, frame=with_named_columns(table.frame, question.names))
    table = _filtered(table, question)
    return table if question.epoch is None else one_row_per_run(table, question)


def _filtered(table: RunTable, question: Question) -> RunTable:
    if not question.where:
        return table
    kept, unknown = matching(table.frame, question.where)
    if not kept.any():
        words = " ".join([f"--where {' --where '.join(question.where)} leaves none of {len(kept):,} rows.", *unknown])
        raise InputError(words)
    table = replace(table, notes=(*table.notes, *unknown))
    if kept.all():
        return table
    curves = table.curves
    if curves is not None:
        new = np.where(kept, np.cumsum(kept) - 1, -1)[curves[RUN].to_numpy()]
        curves = curves[new >= 0].assign(**{RUN: new[new >= 0]})
    notes = (*table.notes, f"{number_of(int((~kept).sum()), 'row')} excluded by --where.")
    return replace(table, frame=table.frame[kept].reset_index(drop=True), curves=curves, notes=notes)


def _coded(frame: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, dict[str, list[Levels]]]:
    """Return the codes of arm, condition, pair and setting of every row, and their values by code."""
    name = next((column for column in RUN_NAMES if column in frame), None)
    coded = pd.DataFrame({"row": np.arange(len(frame))})
    coded[RUN] = frame[name].astype(str) if name else [f"run {row}" for row in range(len(frame))]
    levels: dict[str, list[Levels]] = {}
    for key, names, option in _asked(question):
        columns = [find_column(frame.columns, name, option, FACTORS) for name in names]
        coded[key], levels[key] = level_codes(frame, columns)
    return coded, levels


def _asked(question: Question) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Return the key, the columns and the option of everything that identifies a run."""
    return (
        (ARM, question.arm, "--arm"),
        (CONDITION, question.condition, "--condition"),
        (PAIR, question.pair_columns, "--pair" if question.pair else "--seed"),
        (SETTING, question.setting, "--setting"),
    )


def _complete(coded: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs that have all that is needed, and sentences about the others."""
    left_out: list[str] = []
    rest = coded
    for key, names, option in _asked(question):
        missing = rest[key] < 0
        if missing.any():
            left_out.append(f"{count(missing)} without {short_list(names)} ({option}).")
        rest = rest.loc[~missing]
    missing = rest[[VALUE, SELECTION]].isna().any(axis=1)
    if missing.any():
        metrics = short_list(dict.fromkeys((question.metric, question.select or question.metric)))
        left_out.append(f"{count(missing)} without {metrics}.")
    rest = rest.loc[~missing]
    infinite = rest[[VALUE, SELECTION]].abs().max(axis=1) == np.inf
    if infinite.any() and not question.drop_nan:
        raise InputError(
            f"`{question.metric}` is not finite (NaN or infinite) in {count(infinite)}, such as "
            f"`{rest[RUN][infinite].iloc[0]}`. If they diverged, excluding them favours their arm: assign them an "
            "appropriate value, or exclude them with --drop-nan."
        )
    if infinite.any():
        left_out.append(f"{count(infinite)} whose metric is not finite (--drop-nan).")
    rest = rest.loc[~infinite]
    if rest.empty:
        raise InputError(f"no run can be used. Left out: {' '.join(left_out)}")
    return rest, left_out


def _check_levels(runs: pd.DataFrame, levels: dict[str, list[Levels]], question: Question) -> None:
    arms, conditions = (runs[key].nunique() for key in (ARM, CONDITION))
    first = [joined(levels[ARM][arm]) for arm in sorted(runs[ARM].unique())[:3]]
    if arms > MOST_ARMS:
        raise InputError(
            f"--arm {','.join(question.arm)} has {arms:,} different values ({', '.join(first)}, ...); at most "
            f"{MOST_ARMS} can be compared. Name the column of the method, or use a few rows (--where)."
        )
    if conditions > MOST_CONDITIONS:
        raise InputError(
            f"--condition {','.join(question.condition)} has {conditions:,} different values; at most "
            f"{MOST_CONDITIONS} can be judged. Name fewer columns, or use a few rows (--where)."
        )
    if arms < 2:
        raise InputError(
            f"all usable runs have the same arm, {first[0]} (--arm {','.join(question.arm)}); at least two "
            "arms are required"
        )
