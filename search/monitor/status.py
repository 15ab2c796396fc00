"""Status of a study or a run, read from its journal by another process."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.monitor.counts import RunProgress, StudyProgress, count_runs
from search.monitor.progress import Display
from trainables import records
from trainables.errors import InputError
from trainables.records import (
    JournalReader,
    LookDecision,
    Outcome,
    PoolDecision,
    Run,
    RungDecision,
)
from trainables.registration.registry import lacks

WATCH_SECONDS = 1.0
LOG_LINES = 5


def is_running(folder: Path) -> bool:
    """Return whether a process is working on the study in a folder."""
    lock = folder / Path(records.JOURNAL_FILE).with_suffix(".lock")
    if not lock.exists():
        return False
    handle = os.open(lock, os.O_RDONLY | os.O_NONBLOCK)  # without blocking, should it be a pipe
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


class JournalProgress:
    """Progress of a study or a final training from its journal; each call reads only new rows.

    Args:
        journal: the journal, open for reading.

    Raises:
        InputError: the journal has no plan.
    """

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal
        self._runs: dict[str, Run] = {}
        self._epochs: dict[str, int] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._read = {"runs": 0, "reports": 0, "outcomes": 0}
        journal.required_plan()

    def __call__(self) -> StudyProgress:
        """Return the current progress."""
        for ended in self._journal.outcomes(self._read["outcomes"]):
            self._outcomes[ended.run], self._read["outcomes"] = ended.outcome, ended.id
        for report in self._journal.arrivals(self._read["reports"]):
            self._epochs[report.run] = max(report.epoch, self._epochs.get(report.run, 0))
            self._read["reports"] = report.id
        for row in self._journal.runs(self._read["runs"]):
            self._runs[row.run.name], self._read["runs"] = row.run, row.id
        runs = [
            RunProgress(run, self._epochs.get(name, 0), self._outcomes.get(name)) for name, run in self._runs.items()
        ]
        decisions = [
            *(row.decision for row in self._journal.decisions(PoolDecision)),
            *(row.decision for row in self._journal.decisions(LookDecision)),
        ]
        counted = count_runs(self._journal.required_plan(), runs, decisions)
        return replace(counted, finished=self._journal.is_finished())


def study_progress(folder: Path) -> StudyProgress:
    """Return the progress of a study or a final training from its journal.

    Raises:
        InputError: there is no journal, or it is damaged.
    """
    with JournalReader.open(folder) as journal:
        journal.check("examples")
        return JournalProgress(journal)()


def watch(folder: Path) -> None:
    """Show the progress until no process is working on the study.

    Raises:
        InputError: there is no study, or it is damaged.
    """
    with JournalReader.open(folder) as journal:
        plan = journal.plan()
        with Display(JournalProgress(journal), plan.name if plan else ""):
            while is_running(folder):
                time.sleep(WATCH_SECONDS)


@dataclass(frozen=True)
class RunFacts:
    """What is known about a run.

    Args:
        run: its name.
        phase, condition, method: what it belongs to.
        outcome: how it ended, or `unfinished`.
        why: why it ended, in words.
        reason: the recorded reason for its outcome, or empty.
        epochs: number of epochs that it has reported.
        length: its training length in epochs.
        last: metrics of the last report.
        figures: metrics of the outcome.
        rungs: its decisions at rungs, as the journal keeps them.
        parameters: its settings by plain name.
        log: absolute path of its log file.
    """

    run: str
    phase: str
    condition: str
    method: str
    outcome: str
    why: str
    reason: str
    epochs: int
    length: int | None
    last: dict[str, float]
    figures: dict[str, float]
    rungs: list[dict[str, Any]]
    parameters: dict[str, Any]
    log: str

    def log_tail(self) -> list[str]:
        """Return the last lines of its log; none if there is no log."""
        path = Path(self.log)
        return path.read_text(errors="replace").splitlines()[-LOG_LINES:] if path.is_file() else []


def run_facts(folder: Path, name: str) -> RunFacts:
    """Return the facts about a run.

    Raises:
        InputError: there is no such study or run.
    """
    with JournalReader.open(folder) as journal:
        runs = {row.run.name: row.run for row in journal.runs()}
        if name not in runs:
            raise InputError(lacks("this study", "run", name, list(runs)[:20]))
        outcomes = {row.run: row.outcome for row in journal.outcomes()}
        reports = journal.reports(run=name)
        rungs = [row.decision for row in journal.decisions(RungDecision) if row.run == name]
        plan = journal.plan()
    run, outcome = runs[name], outcomes.get(name)
    return RunFacts(
        run=name,
        phase=run.phase,
        condition=run.condition,
        method=run.method,
        outcome=outcome.outcome if outcome else "unfinished",
        why=_reason(outcome, rungs, plan.metric if plan else "", is_running(folder)),
        reason=outcome.reason if outcome else "",
        epochs=max((report.epoch for report in reports), default=0),
        length=run.config.get("epochs"),
        last=reports[-1].metrics if reports else {},
        figures=outcome.metrics if outcome else {},
        rungs=[rung.dump() for rung in rungs],
        parameters=run.parameters,
        log=str((folder / records.LOGS / f"{name}.log").absolute()),
    )


def _reason(outcome: Outcome | None, rungs: Sequence[RungDecision], metric: str, alive: bool) -> str:
    """Return why a run ended, in words."""
    if outcome is None:
        return "still running" if alive else "interrupted; `assay resume` continues it"
    if outcome.outcome == records.STOPPED and rungs:
        last = rungs[-1]
        value, cutoff = (records.as_maximized(metric, float(found or 0.0)) for found in (last.value, last.cutoff))
        worse = "above" if metric in records.LOWER_IS_BETTER else "below"
        comparison = f"{metric} {value:.4g} was {worse} the cutoff of its arm, {cutoff:.4g}"
        return f"stopped early after epoch {last.rung}: {comparison}"
    return outcome.reason or "completed"
