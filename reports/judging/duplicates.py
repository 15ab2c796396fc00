"""Duplicates: runs with the same arm, condition, setting and pair, of which one counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from reports.judging.question import Question
from reports.judging.run_table import METRICS, RUN_NAMES, count, joined, short_list, short_name
from reports.judging.values import Level
from trainables.errors import InputError
from trainables.records import number_of

ARM, CONDITION, PAIR, SETTING, VALUE, SELECTION = "arm", "condition", "pair", "setting", "value", "selection"
KEYS = [CONDITION, ARM, SETTING, PAIR]
FEW = 0.1
"""Up to this share of keys with several different runs, the first run counts; beyond, the user must choose one."""
_EPOCH_NAMES = ("epoch", "step", "_step", "training_iteration", "iteration", "trainer/global_step")


def distinct_runs(
    runs: pd.DataFrame, frame: pd.DataFrame, found: Mapping[str, Sequence[tuple[Level, ...]]], question: Question
) -> tuple[pd.DataFrame, list[str]]:
    """Return at most one run per arm, condition, setting and pair; without pairs, all different runs.

    Without pairs, rows that are the same in all columns are one run, unless these are only those of the question:
    then two runs may look the same.
    """
    if not question.pair_columns:
        asked = {*question.arm, *question.condition, *question.setting, question.metric, question.select}
        telling = any(short_name(str(name)) not in asked and name not in asked for name in frame)
        exact = frame.iloc[runs["row"]].astype(str).duplicated().to_numpy() & telling
        return runs[~exact], _repeats(runs["row"][exact])
    exact = runs.duplicated([*KEYS, VALUE, SELECTION])
    left_out = _repeats(runs["row"][exact])
    runs = runs[~exact]
    again = runs.duplicated(KEYS)
    if not again.any():
        return runs, left_out
    repeated = runs[runs.duplicated(KEYS, keep=False)]
    if question.duplicates is None and len(repeated.drop_duplicates(KEYS)) > FEW * len(runs.drop_duplicates(KEYS)):
        raise _too_many(repeated, frame, found, question)
    which = question.duplicates or "first"
    chosen = "their mean counts" if which == "mean" else f"the {which} one counts"
    left_out.append(f"{count(again)} beyond one per arm and pair; {chosen}.")
    if which == "mean":
        means = runs.groupby(KEYS)[[VALUE, SELECTION]].transform("mean")
        return runs.assign(**{VALUE: means[VALUE], SELECTION: means[SELECTION]})[~again], left_out
    return runs[~runs.duplicated(KEYS, keep=which)], left_out


def _too_many(
    repeated: pd.DataFrame, frame: pd.DataFrame, found: Mapping[str, Sequence[tuple[Level, ...]]], question: Question
) -> InputError:
    """Return the error about the first runs that have the same arm and pair."""
    row = repeated.iloc[0]
    own = repeated[(repeated[KEYS] == row[KEYS]).all(axis=1)]
    values = zip(question.pair_columns, found[PAIR][row[PAIR]], strict=True)
    pair = ", ".join(f"{name} {value}" for name, value in values)
    return InputError(
        f"{len(own):,} different runs have the arm {joined(found[ARM][row[ARM]])} and {pair}"
        f"{_hint(frame.iloc[own['row']], question)} Or choose which run counts: --duplicates first, last or mean."
    )


def _repeats(rows: pd.Series) -> list[str]:
    return [f"{number_of(len(rows), 'run')} that repeat another run exactly."] if len(rows) else []


def _hint(rows: pd.DataFrame, question: Question) -> str:
    """Return what may distinguish runs with the same arm and pair."""
    epoch = next((name for name in _EPOCH_NAMES if name in rows and rows[name].nunique() == len(rows)), None)
    if epoch and question.epoch is None:
        return f". If the table has one row per epoch, give --epoch {epoch}."
    taken = {*question.arm, *question.condition, *question.pair_columns, question.metric, question.select, *RUN_NAMES}
    factors = [name for name in rows if name not in taken and 1 < rows[name].astype(str).nunique() < len(rows) + 1]
    factors = [str(name) for name in factors if not str(name).startswith(METRICS)]
    varying = f" These columns differ: {short_list(factors, 6)}." if factors else ""
    return f".{varying} Name what distinguishes them with --condition, --setting or --pair."
