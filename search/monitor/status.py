"""How far a study is, seen from another process."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Any

from search.monitor.progress import Display, Seen, Tally, tally
from search.store.journal import Journal, Outcome, Run
from trainables import records
from trainables.errors import InputError
from trainables.registration.registry import unknown

WATCH_SECONDS = 1.0
LOG_LINES = 5


def running(folder: Path) -> bool:
    """Return whether a process is working on the study now."""
    lock = folder / Path(records.JOURNAL_FILE).with_suffix(".lock")
    if not lock.exists():
        return False
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


class Progress:
    """The progress of a study or a final training, from its journal; each look reads only what is new.

    Args:
        journal: open for reading.

    Raises:
        InputError: the journal holds no plan.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._runs: dict[str, Run] = {}
        self._epochs: dict[str, int] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._read = {"runs": 0, "reports": 0, "outcomes": 0}
        if journal.meta(records.META_PLAN) is None:
            raise InputError(f"the study in {journal.path.parent} was stopped before it was announced; nothing has run")

    def __call__(self) -> Tally:
        """Look again."""
        for number, name, outcome, _ in self._journal.outcomes(self._read["outcomes"]):
            self._outcomes[name], self._read["outcomes"] = outcome, number
        for number, name, epoch, _, _ in self._journal.reports(self._read["reports"]):
            self._epochs[name], self._read["reports"] = max(epoch, self._epochs.get(name, 0)), number
        for number, run in self._journal.runs(self._read["runs"]):
            self._runs[run.name], self._read["runs"] = run, number
        seen = [Seen(run, self._epochs.get(name, 0), self._outcomes.get(name)) for name, run in self._runs.items()]
        plan = self._journal.meta(records.META_PLAN)
        return tally(plan, seen, _confirmed(self._journal, plan["seeds"]))


def study_tally(folder: Path) -> Tally:
    """Return the progress of a study or a final training from its journal.

    Raises:
        InputError: there is none, or it is damaged.
    """
    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        return Progress(journal)()


def watch(folder: Path) -> None:
    """Show the progress until nothing works on the study any more.

    Raises:
        InputError: there is no study, or it is damaged.
    """
    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        name = journal.meta(records.META_PLAN)["name"] if journal.meta(records.META_PLAN) else ""
        with Display(Progress(journal), name):
            while running(folder):
                time.sleep(WATCH_SECONDS)


def _confirmed(journal: Journal, seeds: int) -> dict[str, tuple[int, int]]:
    """Return (points, seeds) of the confirmation by condition, as far as that is decided."""
    decisions = journal.decisions(records.POOL)
    pools = {(detail["condition"], detail.get("search", 0)): len(detail["points"]) for _, detail in decisions}
    settled: dict[str, int] = {}
    for _, detail in journal.decisions(records.LOOK):
        for condition in detail["settled"]:
            settled.setdefault(condition, detail["seeds"])
    points: dict[str, int] = {}
    for (condition, _), count in pools.items():
        points[condition] = points.get(condition, 0) + count
    return {condition: (count, settled.get(condition, seeds)) for condition, count in points.items()}


def run_facts(folder: Path, name: str) -> dict[str, Any]:
    """Return what is known of one run: its settings, how it ended and why, and its log file.

    Raises:
        InputError: there is no such study or run.
    """
    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        runs = {run.name: run for _, run in journal.runs()}
        if name not in runs:
            raise InputError(unknown("run of this study", name, list(runs)[:20]))
        outcomes = {run: outcome for _, run, outcome, _ in journal.outcomes()}
        epochs = [(epoch, metrics) for _, run, epoch, metrics, _ in journal.reports() if run == name]
        rungs = [detail for run, detail in journal.decisions(records.RUNG) if run == name]
        metric = (journal.meta(records.META_PLAN) or {}).get("metric", "")
    run, outcome = runs[name], outcomes.get(name)
    return {
        "run": name,
        "phase": run.phase,
        "condition": run.condition,
        "method": run.method,
        "outcome": outcome.outcome if outcome else "unfinished",
        "why": _why(outcome, rungs, metric, running(folder)),
        "reason": outcome.reason if outcome else "",
        "epochs": max((epoch for epoch, _ in epochs), default=0),
        "length": run.config.get("epochs"),
        "last": epochs[-1][1] if epochs else {},
        "figures": outcome.metrics if outcome else {},
        "rungs": rungs,
        "parameters": run.parameters,
        "log": str((folder / records.LOGS / f"{name}.log").absolute()),
    }


def _why(outcome: Outcome | None, rungs: list[dict[str, Any]], metric: str, alive: bool) -> str:
    """Return why a run ended, in a sentence."""
    if outcome is None:
        return "it has not ended yet" if alive else "it was interrupted, and a resumed study continues it"
    if outcome.outcome == records.STOPPED and rungs:
        last = rungs[-1]
        value, cutoff = (records.oriented(metric, last[key]) for key in ("value", "cutoff"))
        worse = "above" if metric in records.LOWER_IS_BETTER else "below"
        return f"stopped early after epoch {last['rung']}: {metric} {value:.4g} was {worse} its arm's {cutoff:.4g}"
    return outcome.reason or "it ran to its end"


def log_tail(facts: dict[str, Any]) -> list[str]:
    """Return the last lines of a run's log, none where it has no log."""
    path = Path(facts["log"])
    return path.read_text(errors="replace").splitlines()[-LOG_LINES:] if path.is_file() else []
