"""Data frames built from a study's journal, which may still be growing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from trainables import records
from trainables.errors import InputError
from trainables.records import Decision, DecisionRow, ExampleRow, Facts, JournalReader, PlanRecord

D = TypeVar("D", bound=Decision)
UNFINISHED = "unfinished"
RUN_COLUMNS = (
    "run",
    "phase",
    "condition",
    "arm",
    "method",
    "index",
    "seed_index",
    "audit",
    "parameters",
    "searched",
    "started",
)
FINAL_METRICS = (records.SELECTION, records.TEST_ACCURACY, records.TEST_LOSS)


@dataclass(frozen=True)
class StudyData:
    """The content of a journal at one moment.

    Args:
        journal: path of the SQLite file; None of a study that was read from elsewhere.
        plan: what was fixed before the first run.
        facts: versions, machine and data, as the study noted them.
        runs: one row per run, in the order of their announcement. Columns: `run`, `phase`, `condition`, `arm`, `method`
            (str), `index` (int: the trial in the search, the pooled point in the confirmation), `seed_index` (int),
            `audit` (bool), `parameters`, `searched` (dict), `started`, `ended` (POSIX
            seconds, `ended` NaN while unfinished), `outcome` (one of `records.OUTCOMES`, or `unfinished`), `epoch`
            (int, epochs finished), `reason` (str), and one float column for every final metric (NaN where
            there is none).
        curves: one row per run and epoch, sorted. Columns: `run` (category), `epoch` (int), one float column per
            metric.
        decisions: every decision, in order.
        updated: POSIX time of the newest row, None if there is none.
        links: addresses of runs in MLflow, by name, as far as they are known.
        examples: for a study without a journal, which test examples each run classified correctly.
    """

    journal: Path | None
    plan: PlanRecord
    facts: Facts
    runs: pd.DataFrame
    curves: pd.DataFrame
    decisions: tuple[DecisionRow[Decision], ...]
    updated: float | None
    links: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, ExampleRow] = field(default_factory=dict)

    def decisions_of(self, kind: type[D]) -> list[tuple[str | None, D]]:
        """Return (run, decision) of the decisions of one kind, in order."""
        return [(row.run, row.decision) for row in self.decisions if isinstance(row.decision, kind)]

    def runs_of(self, phase: str, condition: str, method: str) -> pd.DataFrame:
        """Return the rows of `runs` of one phase of one arm, in order."""
        key = (phase, condition, method)
        if key not in self._runs_by_arm:
            self._runs_by_arm[key] = self.runs.iloc[self._run_rows.get(key, np.empty(0, dtype=int))]
        return self._runs_by_arm[key]

    def curves_of(self, runs: Iterable[str]) -> pd.DataFrame:
        """Return the rows of `curves` of some runs, run by run."""
        rows = [self._curve_rows[run] for run in runs if run in self._curve_rows]
        return self.curves.iloc[np.concatenate(rows) if rows else np.empty(0, dtype=int)]

    @cached_property
    def _runs_by_arm(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        return {}

    @cached_property
    def test_labels(self) -> np.ndarray | None:
        """The label of each test image, uint16 (n,); None where the study did not note them."""
        return self.facts.data.unpacked_test_labels() if self.facts.data else None

    @cached_property
    def _run_rows(self) -> dict[Any, np.ndarray]:
        return _row_numbers(self.runs, ["phase", "condition", "method"])

    @cached_property
    def _curve_rows(self) -> dict[Any, np.ndarray]:
        return _row_numbers(self.curves, "run")

    def correctness(self, runs: Sequence[str]) -> dict[str, np.ndarray]:
        """Read which test examples the runs classified correctly; runs without that record are left out.

        Args:
            runs: names of confirmation runs.

        Returns:
            For each run a bool array (n,), in the order of the data.

        Raises:
            InputError: the journal cannot be read any more.
        """
        if self.journal is None:
            return {run: self.examples[run].unpacked() for run in runs if run in self.examples}
        with JournalReader.open(self.journal) as journal:
            return {row.run: row.unpacked() for row in journal.examples(runs)}


def read_study(folder: Path) -> StudyData:
    """Load the journal of a study.

    Args:
        folder: the study's folder (or the path of its `study.db`).

    Raises:
        InputError: there is no journal, it is damaged, or it was written by a newer version.
    """
    with JournalReader.open(folder) as journal, journal.snapshot():
        plan = journal.plan()
        if plan is None:
            raise InputError(f"{journal.path} holds no plan yet; start the study with `assay run`")
        curves, span = _curve_frame(journal), journal.span()
        return StudyData(
            journal=journal.path,
            plan=plan,
            facts=journal.facts(),
            runs=_run_frame(journal, curves),
            curves=curves,
            decisions=tuple(journal.all_decisions()),
            updated=span[1] if span else None,
        )


def study_from(
    plan: PlanRecord,
    facts: Facts,
    runs: pd.DataFrame,
    histories: Sequence[pd.DataFrame],
    decisions: Sequence[DecisionRow[Decision]],
    examples: Mapping[str, ExampleRow],
    links: Mapping[str, str],
) -> StudyData:
    """Return the data of a study that was kept outside a journal, such that every statistic is the same.

    Args:
        plan: the study's plan.
        facts: versions, machine and data.
        runs: one row per run, in order: the columns of `StudyData.runs` without the times, which the histories give,
            and with the final metrics as dictionaries in a column `metrics`; `outcome` and `epoch` are None where
            they are not known.
        histories: frames with one row per epoch: `run`, `epoch`, `at`, and one column per metric.
        decisions, examples, links: as in `StudyData`.
    """
    epochs = pd.concat(histories, ignore_index=True) if histories else pd.DataFrame(columns=pd.Index(_EPOCH_COLUMNS))
    epochs["run"] = pd.Categorical(epochs["run"], categories=runs["run"].tolist())
    epochs = epochs.dropna(subset="run").sort_values(["run", "epoch"], ignore_index=True)
    epochs["epoch"] = epochs["epoch"].astype("int64")
    metrics = epochs.drop(columns=["run_id", "run", "epoch", "at"], errors="ignore")
    curves = pd.concat([epochs[["run", "epoch"]], _numbers(metrics, records.EPOCH_METRICS, ())], axis=1)
    times = epochs.groupby("run", observed=True)["at"]
    last = float(epochs["at"].max()) if len(epochs) else None
    ended = runs["run"].map(times.max()).astype(float).fillna(last or 0.0).where(runs["outcome"].notna())
    frame = runs.assign(started=runs["run"].map(times.min()).astype(float), ended=ended)
    return StudyData(
        journal=None, plan=plan, facts=facts, runs=_completed(frame[list(_OUTCOME_COLUMNS)], curves), curves=curves,
        decisions=tuple(decisions), updated=last, links=links, examples=examples,
    )  # fmt: skip


_OUTCOME_COLUMNS = (*RUN_COLUMNS, "ended", "outcome", "epoch", "reason", "metrics")
_EPOCH_COLUMNS = ("run", "epoch", "at")


def _run_frame(journal: JournalReader, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of runs; see `StudyData`."""
    outcomes = {row.run: row for row in journal.outcomes()}
    rows = []
    for _, run, at in journal.runs():
        ended = outcomes.get(run.name)
        outcome = ended.outcome if ended else None
        rows.append(
            (
                run.name, run.phase, run.condition, run.arm, run.method, run.index, run.seed_index, run.audit,
                run.parameters, run.searched, at, ended.at if ended else None, outcome and outcome.outcome,
                outcome and outcome.epoch, outcome and outcome.reason, outcome.metrics if outcome else {},
            )
        )  # fmt: skip
    return _completed(pd.DataFrame(rows, columns=pd.Index(_OUTCOME_COLUMNS)), curves)


def _completed(frame: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of runs with the right types, and with a column for every final metric."""
    columns = [str(name) for name in frame]
    frame["audit"] = frame["audit"].astype(bool)
    frame["outcome"] = frame["outcome"].fillna(UNFINISHED)
    frame["reason"] = frame["reason"].fillna("")
    frame["ended"] = frame["ended"].astype(float)
    reported = curves.groupby("run", observed=True)["epoch"].max()
    frame["epoch"] = frame["epoch"].fillna(frame["run"].map(reported).astype(float)).fillna(0).astype(int)
    metrics = pd.DataFrame(list(frame.pop("metrics")), index=frame.index)
    return frame.join(_numbers(metrics, FINAL_METRICS, columns))


def _curve_frame(journal: JournalReader) -> pd.DataFrame:
    """Return the frame of epochs; see `StudyData`."""
    order = {row.run.name: row.id for row in journal.runs()}
    rows = sorted(journal.reports(), key=lambda row: (order[row.run], row.epoch))
    runs = pd.Series([row.run for row in rows], dtype="category", name="run")
    epochs = pd.Series([row.epoch for row in rows], dtype="int64", name="epoch")
    metrics = pd.DataFrame.from_records([row.metrics for row in rows])
    return pd.concat([runs, epochs, _numbers(metrics, records.EPOCH_METRICS, ("run", "epoch"))], axis=1)


def _row_numbers(frame: pd.DataFrame, by: str | list[str]) -> dict[Any, np.ndarray]:
    """Return for each group the positions of its rows."""
    indices = frame.groupby(by, observed=True).indices
    return {key: np.asarray(rows, dtype=int) for key, rows in indices.items()}


def _numbers(metrics: pd.DataFrame, always: Sequence[str], taken: Sequence[str]) -> pd.DataFrame:
    """Return the metrics as floats: those that always have a column, then any others that are not `taken`."""
    names = [*always, *(name for name in metrics if name not in (*always, *taken))]
    return metrics.reindex(columns=names).apply(pd.to_numeric, errors="coerce").astype(float)
