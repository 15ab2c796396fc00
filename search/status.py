"""How far a study is, seen from another process."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import Any

from search.journal import Journal
from search.progress import Seen, Tally, tally
from trainables import records
from trainables.errors import InputError
from trainables.registry import unknown


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


def study_tally(folder: Path) -> Tally:
    """Return the progress of a study or a final training from its journal.

    Raises:
        InputError: there is none, or it is damaged.
    """
    with Journal.open(folder / records.JOURNAL_FILE, write=False) as journal:
        plan = journal.meta(records.META_PLAN)
        if plan is None:
            raise InputError(f"the study in {folder} was stopped before it was announced; nothing has run")
        outcomes = {name: outcome.outcome for _, name, outcome, _ in journal.outcomes()}
        last: dict[str, tuple[int, float]] = {}
        for _, name, epoch, metrics, _ in journal.reports():
            value = records.oriented(plan["metric"], metrics.get(plan["metric"], float("nan")))
            before = last.get(name, (0, value))
            last[name] = (max(epoch, before[0]), max(value, before[1]))
        seen = [
            Seen(run.phase, run.arm, *last.get(run.name, (0, float("nan"))), outcomes.get(run.name))
            for _, run in journal.runs()
        ]
        confirmed = _confirmed(journal, plan["seeds"])
    return tally(plan, seen, confirmed)


def _confirmed(journal: Journal, seeds: int) -> dict[str, tuple[int, int]]:
    """Return (points, seeds) of the confirmation by condition, as far as that is decided."""
    decisions = journal.decisions(records.POOL)
    pools = {(detail["condition"], detail["search"]): len(detail["points"]) for _, detail in decisions}
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
    run, outcome = runs[name], outcomes.get(name)
    return {
        "run": name,
        "phase": run.phase,
        "condition": run.condition,
        "method": run.method,
        "outcome": outcome.outcome if outcome else "unfinished",
        "reason": outcome.reason if outcome else "",
        "epochs": max((epoch for epoch, _ in epochs), default=0),
        "last": epochs[-1][1] if epochs else {},
        "figures": outcome.metrics if outcome else {},
        "rungs": rungs,
        "parameters": run.parameters,
        "log": str((folder / records.LOGS / f"{name}.log").absolute()),
    }
