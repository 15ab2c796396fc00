"""What goes wrong around a run, for real: killed drivers, damaged checkpoints, full disks, runs of every bad kind.

The driver here is the whole of it but Ray: journal, conductor, dispatcher, the trainable and its checkpoints, in one
process. Faults under Ray are in `test_faults_under_ray.py`, `test_killed_driver.py` and `test_cluster.py`.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from search import session
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.ray_tune.dispatcher import ExecutionContext, Reply, RunDispatcher
from search.store.journal import Journal
from search.store.study_folder import refuse_used
from search.study.resources import Resources
from tests.conftest import make_study
from tests.faults import FaultyReplay, FaultyTrainable
from trainables import records
from trainables.engine import checkpoints
from trainables.errors import BudgetError, InputError, StoppedError
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
        conductor = StudyController(plan, journal)
        dispatcher = RunDispatcher(
            conductor, ExecutionContext(folder, plan.study.resources, curves=curves, deadline=deadline), lambda: 1
        )
        while not conductor.done:
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


@pytest.mark.parametrize("early_stopping", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_driver_killed_again_and_again_loses_nothing(
    early_stopping: bool, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    curves, chance, folder = write_curves(), random.Random(11), tmp_path / "killed"
    changes = {
        "search": {"trials_per_arm": 4, "early_stopping": early_stopping},
        "resources": {"checkpoint_seconds": 1e-9},
    }
    drive(tmp_path / "whole", curves, changes)
    kills: list[str] = []
    after: tuple[Any, Any, Any] = ({}, [], [])
    while True:
        life = chance.randint(1, 90), chance.uniform(0, 0.01)
        driver = FORK.Process(target=drive, args=(folder, curves, changes, None, life))
        driver.start()
        driver.join()
        if driver.exitcode == 0:
            break
        before = facts(folder) if written(folder) else ({}, [], [])
        kills.append(records.CONFIRM if before[2] else records.SEARCH)
        after = before
    assert min(kills.count(phase) for phase in (records.SEARCH, records.CONFIRM)) >= 2, kills
    outcomes, rungs, pools = facts(folder)
    assert after[0].items() <= outcomes.items()
    assert after[1] == rungs[: len(after[1])]
    assert after[2] == pools[: len(after[2])]
    whole = facts(tmp_path / "whole")
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        assert len(outcomes) == len(journal.runs())
    if not early_stopping:
        assert outcomes == whole[0]
        assert pools == whole[2]
    assert not (folder / records.CHECKPOINTS).exists()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise", "TrialError: the table says that epoch 6 fails"),
        ("memory", "MemoryError: "),
        ("omit", "reported no `validation_accuracy`"),
        ("infinite", "`validation_accuracy` = nan"),
    ],
)
def test_a_run_that_goes_wrong_fails_with_its_reason_and_nothing_else_does(
    fault: str, reason: str, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    drive(tmp_path / "study", write_curves(mixup=fault), SMALL)
    with JournalReader.open(tmp_path / "study" / records.JOURNAL_FILE) as journal:
        outcomes = {row.run: row.outcome for row in journal.outcomes()}
    bad = {name: outcome for name, outcome in outcomes.items() if "_mixup_" in name}
    assert len(bad) == 2
    assert all(outcome.outcome == records.FAILED and reason in outcome.reason for outcome in bad.values())
    good = [outcome.outcome for name, outcome in outcomes.items() if name not in bad]
    assert good == [records.COMPLETED] * 4


def test_a_run_that_hangs_ends_its_worker_and_fails_when_it_comes_again(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    curves, folder = write_curves(mixup="hang"), tmp_path / "study"
    deaths = 0
    while True:
        worker = FORK.Process(target=drive, args=(folder, curves, {**SMALL, "resources": {"epoch_minutes": 0.03}}))
        worker.start()
        worker.join()
        if worker.exitcode == 0:
            break
        deaths += 1
    assert deaths == 2
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        failed = [row.outcome.reason for row in journal.outcomes() if row.outcome.outcome == records.FAILED]
    assert failed == ["TrialError: an epoch took longer than 1.8 s (`resources.epoch_minutes`)"] * 2


def first_job(folder: Path, curves: Path, journal: Journal) -> dict[str, Any]:
    plan = make_plan(make_study(**SMALL, resources={"checkpoint_seconds": 1e-9}))
    job = RunDispatcher(
        StudyController(plan, journal), ExecutionContext(folder, plan.study.resources, curves=curves), lambda: 1
    ).next_request()
    assert job
    return job


def go_on(job: dict[str, Any], epochs: int) -> int:
    """Train some epochs in a new worker; return after which epoch it began."""
    trial = FaultyTrainable.__new__(FaultyTrainable)
    trial.setup(job)
    first = trial.step()["epochs"][0][0]
    for _ in range(epochs - 1):
        trial.step()
    trial.cleanup()
    return first - 1


def test_a_damaged_checkpoint_costs_the_epochs_since_the_one_before(
    tmp_path: Path, write_curves: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "STEP_SECONDS", 0.0)
    with Journal.create(tmp_path / "study" / records.JOURNAL_FILE) as journal:
        job = first_job(tmp_path / "study", write_curves(), journal)
    folder = Path(job["checkpoints"])
    assert go_on(job, 5) == 0
    assert [path.name for path in checkpoints.found(folder)] == ["epoch-000003", "epoch-000004"]
    (folder / "epoch-000004" / "replay.json").write_text('{"epo')
    assert go_on(job, 1) == 3
    for path in checkpoints.found(folder):
        (path / "replay.json").unlink()
    assert go_on(job, 1) == 0


def garbled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        garbled,
        Path.unlink,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-20]),
        lambda path: path.write_text(path.read_text().replace('"epoch": 4', '"epoch": 5')),
        lambda path: (path.parent / checkpoints.CHECKSUMS).write_text("{"),
        lambda path: (path.parent / checkpoints.CHECKSUMS).write_bytes(b"\xff"),
    ],
)
def test_whatever_is_wrong_with_a_checkpoint_the_one_before_is_used(
    damage: Callable[[Path], Any], tmp_path: Path, write_curves: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "STEP_SECONDS", 0.0)
    with Journal.create(tmp_path / "study" / records.JOURNAL_FILE) as journal:
        job = first_job(tmp_path / "study", write_curves(), journal)
    assert go_on(job, 5) == 0
    damage(Path(job["checkpoints"]) / "epoch-000004" / "replay.json")
    assert go_on(job, 1) == 3


@pytest.mark.parametrize("error", [MemoryError("4 EiB"), EOFError(), OverflowError("header"), UnicodeError("bad")])
def test_an_engine_may_fail_to_restore_in_any_way(
    error: Exception, tmp_path: Path, write_curves: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainable, "STEP_SECONDS", 0.0)
    with Journal.create(tmp_path / "study" / records.JOURNAL_FILE) as journal:
        job = first_job(tmp_path / "study", write_curves(), journal)
    assert go_on(job, 5) == 0
    restore = FaultyReplay.restore

    def failing(engine: FaultyReplay, folder: Path) -> None:
        if folder.name == "epoch-000004":
            raise error
        restore(engine, folder)

    monkeypatch.setattr(FaultyReplay, "restore", failing)
    assert go_on(job, 1) == 3


def test_a_run_that_ended_and_is_revived_changes_nothing(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    folder = tmp_path / "study"
    plan = make_plan(make_study(**SMALL))
    with Journal.create(folder / records.JOURNAL_FILE) as journal:
        dispatcher = RunDispatcher(
            StudyController(plan, journal),
            ExecutionContext(folder, plan.study.resources, curves=write_curves()),
            lambda: 1,
        )
        job = dispatcher.next_request()
        assert job
        train(dispatcher, job)
        before = facts(folder), written(folder)
        trial = FaultyTrainable.__new__(FaultyTrainable)
        trial.setup(job)
        assert dispatcher.handle_result(job["run"], trial.step()) is Reply.FREE
        dispatcher.worker_died(job["run"], "the worker process died")
        dispatcher.run_lost(job["run"])
        trial.cleanup()
        assert (facts(folder), written(folder)) == before


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: what a full disk does to a writer, without filling one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Heavy:
    """An engine whose state takes a megabyte."""

    epoch = 2

    def save(self, folder: Path) -> None:
        (folder / "state").write_bytes(bytes(1_000_000))


def test_a_full_disk_costs_a_checkpoint_and_leaves_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "epoch-000001").mkdir()
    engine: Any = Heavy()
    with largest_file(100_000), pytest.raises(OSError, match="too large"):
        checkpoints.save(engine, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-000001"]
    checkpoints.save(engine, tmp_path)
    assert [path.name for path in checkpoints.found(tmp_path)] == ["epoch-000001", "epoch-000002"]


def test_a_study_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    curves, folder = write_curves(), tmp_path / "study"
    changes = {**SMALL, "search": {"trials_per_arm": 2, "early_stopping": False}}
    drive(tmp_path / "whole", curves, changes)
    stops = []
    for size in (150_000, 200_000):
        with largest_file(size), pytest.raises(StoppedError, match=r"study\.db cannot be written") as stopped:
            drive(folder, curves, changes)
        stops.append((written(folder), str(stopped.value)))
    assert 0 < stops[0][0] < stops[1][0]
    drive(folder, curves, changes)
    assert facts(folder) == facts(tmp_path / "whole")


def test_a_disk_that_is_full_from_the_start_refuses_the_study_and_leaves_the_folder_free(tmp_path: Path) -> None:
    with largest_file(1000), pytest.raises(InputError, match="nothing was started"):
        Journal.create(tmp_path / "study" / records.JOURNAL_FILE)
    refuse_used(tmp_path / "study")
    Journal.create(tmp_path / "study" / records.JOURNAL_FILE).close()
    with pytest.raises(InputError, match="assay resume"):
        refuse_used(tmp_path / "study")


def test_a_study_stops_when_its_budget_is_used_up(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    changes: dict[str, Any] = {**SMALL, "resources": {"budget_hours": 2}}
    with pytest.raises(BudgetError, match=r"the budget of 2 hours \(`resources.budget_hours`\) is used up"):
        drive(tmp_path / "study", write_curves(), changes, deadline=time.monotonic())
    drive(tmp_path / "study", write_curves(), changes)
    assert len(facts(tmp_path / "study")[0]) == 8


@pytest.mark.parametrize("early_stopping", [False, True])
def test_damaged_runs_are_done_again_and_give_the_same_study(
    early_stopping: bool, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    curves, chance = write_curves(), random.Random(5)
    changes = {"search": {"trials_per_arm": 4, "early_stopping": early_stopping}}
    drive(tmp_path / "whole", curves, changes)
    outcomes, _, pools = facts(tmp_path / "whole")
    for table in ("runs", "reports", "outcomes", "decisions"):
        folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / f"damaged {table}"))
        with closing(sqlite3.connect(folder / records.JOURNAL_FILE)) as db, db:
            (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
            changed, removed = chance.sample(range(1, count + 1), 2)
            db.execute(f"UPDATE {table} SET at = 1 WHERE id = ?", (changed,))
            db.execute(f"DELETE FROM {table} WHERE id = ?", (removed,))
        with pytest.raises(InputError, match=f"row {min(changed, removed)} of `{table}`.*--repair"):
            drive(folder, curves, changes)
        Journal.repair(folder)
        drive(folder, curves, changes)
        again, _, pools_again = facts(folder)
        assert pools_again == pools
        if not early_stopping:  # else a run that comes to a rung later may be stopped by what came before
            assert again == outcomes
        assert again.keys() == outcomes.keys()


def test_checkpoints_left_after_the_last_run_are_removed_when_nothing_is_to_be_done(tmp_path: Path) -> None:
    """A driver may be killed between the end of its last run and the removal of its checkpoints."""
    done: Any = SimpleNamespace(done=True)
    (tmp_path / records.CHECKPOINTS / "run").mkdir(parents=True)
    assert session._prepared(ExitStack(), done, tmp_path, Resources(), session.Options(), {}, 0.0) is None
    assert not (tmp_path / records.CHECKPOINTS).exists()
