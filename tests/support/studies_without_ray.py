"""Whole studies without Ray, in one process: journal, controller, dispatcher, the trainable and its checkpoints."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.ray_tune.dispatcher import ExecutionContext, Reply, RunDispatcher
from search.store.journal import Journal
from tests.support.faults import FaultyTrainable
from tests.support.studies import make_study
from trainables import records
from trainables.records import JournalReader, PoolDecision, RungDecision
from trainables.worker import trainable
from trainables.worker.requests import FINAL

FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload([__name__])
SMALL = {
    "conditions": {},
    "methods": ["baseline", "mixup"],
    "search": {"trials_per_arm": 2},
    "confirm": {"points": 1, "seeds": 2},
}


def drive(
    folder: Path, curves: Path, changes: dict[str, Any], deadline: float | None = None, life: tuple[int, float] = (0, 0)
) -> None:
    """Start a study, or go on with it, to its end.

    Args:
        folder: the study's.
        curves: what is replayed.
        changes: to the small study.
        deadline: of the place.
        life: after how many results, and how many seconds more, the process is killed; by default it is not.
    """
    enough = threading.Event()
    threading.Thread(target=kill, args=(enough, life[1]), daemon=True).start()
    results = itertools.count(1)
    plan = make_plan(make_study(**changes))
    path = folder / records.JOURNAL_FILE
    journal_file = Journal.open(path) if path.exists() else Journal.create(path)
    with patch.object(trainable, "STEP_SECONDS", 0.0), journal_file as journal:
        controller = StudyController(plan, journal)
        dispatcher = RunDispatcher(
            controller, ExecutionContext(folder, plan.study.resources, curves=curves, deadline=deadline), lambda: 1
        )
        while not controller.done:
            job = dispatcher.next_request()
            assert job
            train(dispatcher, job, lambda: enough.set() if next(results) == life[0] else None)
        dispatcher.remove_checkpoints()


def kill(enough: threading.Event, delay: float) -> None:
    enough.wait()
    time.sleep(delay)
    os.kill(os.getpid(), signal.SIGKILL)


def train(dispatcher: RunDispatcher, job: dict[str, Any], heard: Callable[[], None] = lambda: None) -> None:
    trial = FaultyTrainable.__new__(FaultyTrainable)
    trial.setup(job)
    try:
        result: dict[str, Any] = {}
        while FINAL not in result:
            result = trial.step()
            heard()
            if dispatcher.handle_result(job["run"], result) is not Reply.CONTINUE:
                return
    finally:
        trial.cleanup()


def written(folder: Path) -> int:
    """Return how much the journal holds."""
    path = folder / records.JOURNAL_FILE
    if not path.exists():
        return 0
    with JournalReader.open(path) as journal:
        return len(journal.reports()) + len(journal.outcomes())


def facts(folder: Path) -> tuple[dict[str, tuple[str, dict[str, float]]], list[Any], list[Any]]:
    """Return how runs ended, and the decisions in order."""
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        outcomes = {row.run: (row.outcome.outcome, row.outcome.metrics) for row in journal.outcomes()}
        rungs = [(row.run, row.decision) for row in journal.decisions(RungDecision)]
        return outcomes, rungs, [row.decision for row in journal.decisions(PoolDecision)]
