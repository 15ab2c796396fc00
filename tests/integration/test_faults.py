"""What goes wrong around a run, for real: killed drivers, damaged journals, runs of every bad kind.

Without Ray (see `tests.support.studies_without_ray`); faults under Ray are in `test_faults_under_ray.py`,
`test_killed_driver.py` and `test_cluster.py`.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.ray_tune.dispatcher import ExecutionContext, Reply, RunDispatcher
from search.store.journal import Journal
from tests.support.faults import FaultyTrainable
from tests.support.studies import make_study
from tests.support.studies_without_ray import FORK, SMALL, drive, facts, train, written
from trainables import records
from trainables.errors import BudgetError, InputError
from trainables.records import JournalReader


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
