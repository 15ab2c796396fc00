"""A study's journal, loaded read-only into data frames. Works while the study runs."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.data.plan import Plan
from trainables import records
from trainables.errors import InputError

UNFINISHED = "unfinished"
RUN_COLUMNS = ("run", "phase", "condition", "arm", "method", "k", "seed", "audit", "parameters", "searched", "started")
FINAL_METRICS = (records.SELECTION, records.TEST_ACCURACY, records.TEST_LOSS)


@dataclass(frozen=True)
class Study:
    """All that a journal says, at one moment.

    Args:
        journal: path of the SQLite file; None of a study that was read from elsewhere.
        plan: what was fixed before the first run.
        facts: versions, machine and data, as the study noted them.
        runs: one row a run, in the order of creation. Columns: `run`, `phase`, `condition`, `arm`, `method`
            (str), `k`, `seed` (int), `audit` (bool), `parameters`, `searched` (dict), `started`, `ended` (POSIX
            seconds, `ended` NaN while unfinished), `outcome` (one of `records.OUTCOMES`, or `unfinished`), `epoch`
            (int, epochs finished), `reason` (str), and one float column for every final metric (NaN where
            there is none).
        curves: one row a run and epoch, sorted. Columns: `run` (category), `epoch` (int), one float column a
            metric.
        decisions: one row a decision, in order. Columns: `kind`, `run` (str or None), `detail` (dict), `at`.
        updated: POSIX time of the newest entry, None where there is none.
        links: addresses of runs in MLflow, by name, as far as they are known.
        examples: without a journal, of each run which test examples were right, as the journal packs it, and their
            number.
    """

    journal: Path | None
    plan: Plan
    facts: dict[str, Any]
    runs: pd.DataFrame
    curves: pd.DataFrame
    decisions: pd.DataFrame
    updated: float | None
    links: Mapping[str, str] = field(default_factory=dict)
    examples: Mapping[str, tuple[bytes, int]] = field(default_factory=dict)

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
        packed = (self.facts.get("data") or {}).get(records.TEST_LABELS)
        return None if packed is None else np.frombuffer(zlib.decompress(base64.b64decode(packed)), dtype="<u2")

    @cached_property
    def _run_rows(self) -> dict[Any, np.ndarray]:
        return _row_numbers(self.runs, ["phase", "condition", "method"])

    @cached_property
    def _curve_rows(self) -> dict[Any, np.ndarray]:
        return _row_numbers(self.curves, "run")

    def correctness(self, runs: Sequence[str]) -> dict[str, np.ndarray]:
        """Read which test examples the runs classified rightly; runs without that record are left out.

        Args:
            runs: names of confirmation runs.

        Returns:
            For each run a bool array (n,), in the order of the data.

        Raises:
            InputError: the journal cannot be read any more.
        """
        if self.journal is None:
            return {run: _unpacked(*self.examples[run]) for run in runs if run in self.examples}
        with _opened(self.journal) as connection:
            query = "SELECT correct, n FROM examples WHERE run = ?"
            found = {run: connection.execute(query, (run,)).fetchone() for run in runs}
            return {run: _unpacked(*row) for run, row in found.items() if row is not None}


def read_study(folder: Path) -> Study:
    """Load a study's journal.

    Args:
        folder: the study's folder (or the path of its `study.db`).

    Raises:
        InputError: there is no journal, it is damaged, or it was written by a newer version.
    """
    journal = folder if folder.is_file() else folder / records.JOURNAL_FILE
    if not journal.is_file():
        raise InputError(
            f"`{folder}` is no study's folder: it has no {records.JOURNAL_FILE}."
            " Give the folder that `assay run ... --output FOLDER` wrote."
        )
    with _opened(journal) as connection:
        connection.execute("BEGIN")  # one snapshot for all tables
        meta = _meta(connection, journal)
        plan = Plan.from_json(meta[records.META_PLAN])
        curves = _curves(connection)
        runs = _runs(connection, curves)
        decisions = _decisions(connection)
        times = [connection.execute(f"SELECT max(at) FROM {table}").fetchone()[0] for table in _TIMED]
    return Study(
        journal=journal,
        plan=plan,
        facts=dict(meta.get(records.META_FACTS) or {}),
        runs=runs,
        curves=curves,
        decisions=decisions,
        updated=max((at for at in times if at is not None), default=None),
    )


def study_from(
    plan: Plan,
    facts: dict[str, Any],
    runs: pd.DataFrame,
    histories: Sequence[pd.DataFrame],
    decisions: Sequence[Sequence[Any]],
    examples: Mapping[str, tuple[bytes, int]],
    links: Mapping[str, str],
) -> Study:
    """Make a study of what was kept outside a journal, so that it gives the same figures.

    Args:
        plan: the study's plan.
        facts: versions, machine and data.
        runs: one row a run, in order: the columns of `Study.runs` but the times, which the histories give, and the
            final metrics, which are dictionaries in a column `metrics`; `outcome` and `epoch` are None where they are
            not known.
        histories: frames with a row for each epoch: `run`, `epoch`, `at`, and a column a metric.
        decisions: (kind, run, detail, time) of each, in order.
        examples: as in `Study`.
        links: as in `Study`.
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
    table = pd.DataFrame([tuple(decision) for decision in decisions], columns=pd.Index(["kind", "run", "detail", "at"]))
    return Study(
        journal=None, plan=plan, facts=facts, runs=_completed(frame[list(_OUTCOME_COLUMNS)], curves), curves=curves,
        decisions=table, updated=last, links=links, examples=examples,
    )  # fmt: skip


_OUTCOME_COLUMNS = (*RUN_COLUMNS, "ended", "outcome", "epoch", "reason", "metrics")
_EPOCH_COLUMNS = ("run", "epoch", "at")
_TIMED = ("runs", "reports", "decisions", "outcomes")


@contextmanager
def _opened(journal: Path) -> Iterator[sqlite3.Connection]:
    """Open the journal for reading only, and turn SQLite's errors into ours."""
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(_address(journal), uri=True, timeout=30)
        yield connection
    except sqlite3.OperationalError as error:
        raise InputError(f"`{journal}` cannot be read: {error}.") from None
    except (sqlite3.DatabaseError, zlib.error, json.JSONDecodeError) as error:
        raise InputError(
            f"`{journal}` is damaged or no journal of Assay: {error}. Restore it from a copy, or run the study again."
        ) from None
    finally:
        if connection is not None:
            connection.close()


def _address(journal: Path) -> str:
    """Return the SQLite URI; in a folder where SQLite may not make its lock file, a closed journal is read as
    it is."""
    address = f"{journal.absolute().as_uri()}?mode=ro"
    closed = not journal.with_name(f"{journal.name}-wal").exists()
    return f"{address}&immutable=1" if closed and not os.access(journal.parent, os.W_OK) else address


def _meta(connection: sqlite3.Connection, journal: Path) -> dict[str, Any]:
    try:
        rows = connection.execute("SELECT key, value FROM meta").fetchall()
    except sqlite3.OperationalError:
        raise InputError(f"`{journal}` is a database, but no journal of Assay: it has no table `meta`.") from None
    meta = {key: json.loads(value) for key, value in rows}
    schema = meta.get(records.META_SCHEMA)
    if not isinstance(schema, int):
        raise InputError(f"`{journal}` does not say which schema it has; it was not written by Assay.")
    if schema > records.SCHEMA_VERSION:
        raise InputError(
            f"`{journal}` has schema {schema}; this version of Assay reads up to {records.SCHEMA_VERSION}."
            " Update Assay to the version that ran the study."
        )
    if records.META_PLAN not in meta:
        raise InputError(f"`{journal}` holds no plan yet. Start the study with `assay run`.")
    return meta


def _runs(connection: sqlite3.Connection, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of runs; see `Study`."""
    query = (
        "SELECT r.run, r.phase, r.condition, r.arm, r.method, r.k, r.seed, r.audit, r.parameters, r.searched, r.at,"
        " o.at, o.outcome, o.epoch, o.reason, o.metrics FROM runs r LEFT JOIN outcomes o ON o.run = r.run"
        " ORDER BY r.id"
    )
    rows = connection.execute(query).fetchall()
    frame = pd.DataFrame(rows, columns=pd.Index(_OUTCOME_COLUMNS))
    for name in ("parameters", "searched"):
        frame[name] = _objects(frame[name])
    frame["metrics"] = _objects(frame["metrics"].fillna("{}"))
    return _completed(frame, curves)


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


def _curves(connection: sqlite3.Connection) -> pd.DataFrame:
    """Return the frame of epochs; see `Study`."""
    query = "SELECT p.run, p.epoch, p.metrics FROM reports p JOIN runs r ON r.run = p.run ORDER BY r.id, p.epoch"
    rows = connection.execute(query).fetchall()
    runs = pd.Series([run for run, _, _ in rows], dtype="category", name="run")
    epochs = pd.Series([epoch for _, epoch, _ in rows], dtype="int64", name="epoch")
    metrics = pd.DataFrame.from_records(_objects(text for _, _, text in rows))
    return pd.concat([runs, epochs, _numbers(metrics, records.EPOCH_METRICS, ("run", "epoch"))], axis=1)


def _decisions(connection: sqlite3.Connection) -> pd.DataFrame:
    rows = connection.execute("SELECT kind, run, detail, at FROM decisions ORDER BY id").fetchall()
    frame = pd.DataFrame(rows, columns=pd.Index(["kind", "run", "detail", "at"]))
    frame["detail"] = _objects(frame["detail"])
    return frame


def _row_numbers(frame: pd.DataFrame, by: str | list[str]) -> dict[Any, np.ndarray]:
    """Return for each group the positions of its rows."""
    indices = frame.groupby(by, observed=True).indices
    return {key: np.asarray(rows, dtype=int) for key, rows in indices.items()}


def _numbers(metrics: pd.DataFrame, always: Sequence[str], taken: Sequence[str]) -> pd.DataFrame:
    """Return the metrics as floats: those that always have a column, then any others that are not `taken`."""
    names = [*always, *(name for name in metrics if name not in (*always, *taken))]
    return metrics.reindex(columns=names).apply(pd.to_numeric, errors="coerce").astype(float)


def _objects(texts: Iterable[str]) -> list[Any]:
    """Parse many JSON texts at once."""
    return json.loads(f"[{','.join(texts)}]")


def _unpacked(packed: bytes, n: int) -> np.ndarray:
    return np.unpackbits(np.frombuffer(zlib.decompress(packed), dtype=np.uint8), count=n).astype(bool)
