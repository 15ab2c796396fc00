"""Data frames built from the journal of a study, which may still be running."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from trainables import records
from trainables.errors import InputError
from trainables.records import (
    DataFacts,
    Decision,
    DecisionRow,
    ExampleRow,
    Facts,
    JournalReader,
    PlanRecord,
    ReportRow,
    RunRow,
)

D = TypeVar("D", bound=Decision)
T = TypeVar("T")
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
    """Content of a study's journal at one moment.

    Args:
        journal: path of the SQLite file; None for a study that was read from another source.
        plan: settings that were fixed before the first run.
        facts: versions, machine and data.
        runs: one row per run, in the order of creation. Columns: `run`, `phase`, `condition`, `arm`, `method` (str),
            `index` (int: trial in the search, pooled point in the confirmation), `seed_index` (int), `audit` (bool),
            `parameters`, `searched` (dict), `started`, `ended` (POSIX seconds; `ended` is NaN while unfinished),
            `outcome` (one of `records.OUTCOMES`, or `unfinished`), `epoch` (int: epochs finished), `reason` (str), and
            one float column per final metric (NaN if missing).
        curves: one row per run and epoch, sorted. Columns: `run` (category), `epoch` (int), and one float column per
            metric.
        decisions: all decisions, in order.
        updated: POSIX time of the newest row, None if the journal is empty.
        links: URLs of runs in MLflow by run name, where known.
        examples: for a study without a journal: which test examples each run classified correctly.
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
        """Return all decisions of one kind as pairs (run, decision), in order."""
        return list(self._decisions_by_kind.get(kind, ()))

    @cached_property
    def runs_by_name(self) -> pd.DataFrame:
        """The rows of `runs`, indexed by the name of the run."""
        return self.runs.set_index("run")

    def runs_of(self, phase: str, condition: str, method: str) -> pd.DataFrame:
        """Return the rows of `runs` for one phase of one arm, in order."""
        key = (phase, condition, method)
        return self.remembered(
            ("runs of an arm", *key), lambda: self.runs.iloc[self._run_rows.get(key, np.empty(0, dtype=int))]
        )

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make`, called only the first time for a key, since several looks need the same runs."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]

    @property
    def core_seconds(self) -> float:
        """Time that all runs took, each on its core."""
        return float((self.runs["ended"] - self.runs["started"]).sum())

    def curves_of(self, runs: Iterable[str]) -> pd.DataFrame:
        """Return the rows of `curves` for the given runs, one run after another."""
        rows = [self._curve_rows[run] for run in runs if run in self._curve_rows]
        return self.curves.iloc[np.concatenate(rows) if rows else np.empty(0, dtype=int)]

    @cached_property
    def _decisions_by_kind(self) -> dict[type[Decision], list[tuple[str | None, Any]]]:
        found: dict[type[Decision], list[tuple[str | None, Any]]] = {}
        for row in self.decisions:
            found.setdefault(type(row.decision), []).append((row.run, row.decision))
        return found

    @cached_property
    def _memory(self) -> dict[Hashable, Any]:
        return {}

    def data_of(self, condition: str) -> DataFacts | None:
        """Return what is known of a condition's data set, or None."""
        return self.facts.data_of(self.plan.condition(condition).data)

    @cached_property
    def _run_rows(self) -> dict[Any, np.ndarray]:
        return _row_numbers(self.runs, ["phase", "condition", "method"])

    @cached_property
    def _curve_rows(self) -> dict[Any, np.ndarray]:
        return _row_numbers(self.curves, "run")

    def correctness(self, runs: Sequence[str]) -> dict[str, np.ndarray]:
        """Return which test examples the runs classified correctly.

        Args:
            runs: names of confirmation runs.

        Returns:
            A bool array (n,) by run, in the order of the test set. Runs without such a record are left out.

        Raises:
            InputError: the journal can no longer be read.
        """
        if self.journal is None:
            return {run: self.examples[run].unpacked() for run in runs if run in self.examples}
        with JournalReader.reopen(self.journal) as journal:
            return {row.run: row.unpacked() for row in journal.examples(runs)}


def read_study(folder: Path, curves: bool = True) -> StudyData:
    """Load the journal of a study.

    All rows are read in one transaction, so the data of a running study are consistent.

    Args:
        folder: the folder of the study, or the path of its `study.db`.
        curves: whether to read the epochs, which are most of a large study; verdicts do not need them. Without, `epoch`
            of runs that have not ended is 0.

    Raises:
        InputError: there is no journal, it is damaged, it was written by a newer version, or it is that of a final
            training.

    >>> study = read_study(Path("runs/s1"))  # doctest: +SKIP
    >>> study.runs.groupby(["method", "outcome"]).size()  # doctest: +SKIP
    """
    with JournalReader.open(folder) as journal, journal.snapshot():
        plan = journal.plan()
        if plan is None:
            raise InputError(f"{journal.path} does not contain a plan yet. Start the study with `assay run`.")
        if journal.is_final_training:
            place = journal.path.parent
            raise InputError(
                f"{place} is a final training, not a study; `assay status` shows its runs, and the cards in "
                f"{place / records.MODELS} show the accuracy of its models"
            )
        journal.check("examples")  # they are read later, by run
        runs, span = journal.runs(), journal.span()
        epochs = _curve_frame(journal.reports() if curves else [], runs)
        return StudyData(
            journal=journal.path,
            plan=plan,
            facts=journal.facts(),
            runs=_run_frame(journal, runs, epochs, plan),
            curves=epochs,
            decisions=tuple(journal.all_decisions()),
            updated=span[1] if span else None,
        )


def study_from_frames(
    plan: PlanRecord,
    facts: Facts,
    runs: pd.DataFrame,
    histories: Sequence[pd.DataFrame],
    decisions: Sequence[DecisionRow[Decision]],
    examples: Mapping[str, ExampleRow],
    links: Mapping[str, str],
) -> StudyData:
    """Build the data of a study that is stored outside a journal. All statistics equal those from the journal.

    Args:
        plan: the plan of the study.
        facts: versions, machine and data.
        runs: one row per run, in order. The columns are those of `StudyData.runs`, but without `started` and `ended`,
            which follow from `histories`, and with the final metrics as dictionaries in one column `metrics`. `outcome`
            and `epoch` are None if unknown.
        histories: frames with one row per epoch: `run`, `epoch`, `at` (POSIX seconds), and one column per metric.
        decisions, examples, links: as in `StudyData`.

    >>> plan = PlanRecord(
    ...     name="small", metric="validation_accuracy", smallest_effect=0.01, alpha=0.05, seeds=3, points=1,
    ...     trials_per_arm=0, conditions=(), arms=(), contrasts=(),
    ... )
    >>> run = {"run": "r1", "phase": "confirm", "condition": "all", "arm": "mixup, all", "method": "mixup", "index": 0,
    ...        "seed_index": 0, "audit": False, "parameters": {}, "searched": {}, "outcome": "completed", "epoch": 2,
    ...        "reason": "", "metrics": {"test_accuracy": 0.9}}
    >>> history = pd.DataFrame({"run": "r1", "epoch": [1, 2], "at": [10.0, 20.0], "validation_accuracy": [0.8, 0.9]})
    >>> study = study_from_frames(plan, Facts(), pd.DataFrame([run]), [history], [], {}, {})
    >>> study.runs[["run", "epoch", "started", "ended", "test_accuracy"]].to_numpy().tolist()
    [['r1', 2, 10.0, 20.0, 0.9]]
    >>> study.curves_of(["r1"])["validation_accuracy"].tolist()
    [0.8, 0.9]
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
        journal=None, plan=plan, facts=facts, runs=_completed(frame[list(_OUTCOME_COLUMNS)], curves, plan),
        curves=curves,
        decisions=tuple(decisions), updated=last, links=links, examples=examples,
    )  # fmt: skip


_OUTCOME_COLUMNS = (*RUN_COLUMNS, "ended", "outcome", "epoch", "reason", "metrics")
_EPOCH_COLUMNS = ("run", "epoch", "at")


def _run_frame(journal: JournalReader, runs: Sequence[RunRow], curves: pd.DataFrame, plan: PlanRecord) -> pd.DataFrame:
    """Return `StudyData.runs`."""
    outcomes = {row.run: row for row in journal.outcomes()}
    rows = []
    for _, run, at in runs:
        ended = outcomes.get(run.name)
        outcome = ended.outcome if ended else None
        rows.append(
            (
                run.name, run.phase, run.condition, run.arm, run.method, run.index, run.seed_index, run.audit,
                run.parameters, run.searched, at, ended.at if ended else None, outcome and outcome.outcome,
                outcome and outcome.epoch, outcome and outcome.reason, outcome.metrics if outcome else {},
            )
        )  # fmt: skip
    return _completed(pd.DataFrame(rows, columns=pd.Index(_OUTCOME_COLUMNS)), curves, plan)


def _completed(frame: pd.DataFrame, curves: pd.DataFrame, plan: PlanRecord) -> pd.DataFrame:
    """Return the frame of runs with missing values filled in, typed columns, and one column per final metric.

    The metric that is judged has a column even if no run has it yet.
    """
    columns = [str(name) for name in frame]
    frame["audit"] = frame["audit"].astype(bool)
    frame["outcome"] = frame["outcome"].fillna(UNFINISHED)
    frame["reason"] = frame["reason"].fillna("")
    frame["ended"] = frame["ended"].astype(float)
    reported = curves.groupby("run", observed=True)["epoch"].max()
    frame["epoch"] = frame["epoch"].fillna(frame["run"].map(reported).astype(float)).fillna(0).astype(int)
    metrics = pd.DataFrame(list(frame.pop("metrics")), index=frame.index)
    always = tuple(dict.fromkeys((*FINAL_METRICS, plan.unit.metric)))
    return frame.join(_numbers(metrics, always, columns))


def _curve_frame(reports: Sequence[ReportRow], announced: Sequence[RunRow]) -> pd.DataFrame:
    """Return `StudyData.curves`."""
    order = {row.run.name: row.id for row in announced}
    rows = sorted(reports, key=lambda row: (order[row.run], row.epoch))
    runs = pd.Series([row.run for row in rows], dtype="category", name="run")
    epochs = pd.Series([row.epoch for row in rows], dtype="int64", name="epoch")
    metrics = pd.DataFrame.from_records([row.metrics for row in rows])
    return pd.concat([runs, epochs, _numbers(metrics, records.EPOCH_METRICS, ("run", "epoch"))], axis=1)


def _row_numbers(frame: pd.DataFrame, by: str | list[str]) -> dict[Any, np.ndarray]:
    """Return the positions of the rows of each group."""
    indices = frame.groupby(by, observed=True).indices
    return {key: np.asarray(rows, dtype=int) for key, rows in indices.items()}


def _numbers(metrics: pd.DataFrame, always: Sequence[str], taken: Sequence[str]) -> pd.DataFrame:
    """Return the metrics as floats: first those in `always`, then all others except those in `taken`."""
    names = [*always, *(name for name in metrics if name not in (*always, *taken))]
    return metrics.reindex(columns=names).apply(pd.to_numeric, errors="coerce").astype(float)
