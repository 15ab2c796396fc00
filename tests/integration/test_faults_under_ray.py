"""What goes wrong around a study under Ray: workers that die, requests to end, no memory; and two studies at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import search
from tests.support.command_line import FAULTY, assay, command, holders, wait_for, write_study
from tests.support.faults import OTHER_NODE
from tests.support.studies_without_ray import SMALL, facts, written
from trainables import records
from trainables.records import JournalReader
from trainables.records.journal_schema import seal

UV = {**os.environ, "UV_RUN_RECURSION_DEPTH": "1"}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_worker_is_replaced_and_its_run_continues_from_its_checkpoint(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    study = write_study(tmp_path, **SMALL, resources={"checkpoint_seconds": 0.01, "concurrency": 1})
    folder = tmp_path / "study"
    run = command("run", study, "--replay", write_curves(wait=0.5), "-o", folder, program=FAULTY)
    driver = subprocess.Popen(run)
    log = folder / records.LOGS / "search_all_baseline_k000.log"
    wait_for(lambda: list((folder / records.CHECKPOINTS / log.stem).glob("epoch-000004")))
    for worker in holders(log):
        os.kill(worker, signal.SIGKILL)
    assert driver.wait(300) == 0
    assert "continuing after epoch" in log.read_text()
    assert {outcome for outcome, _ in facts(folder)[0].values()} == {records.COMPLETED}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "faults",
    [("died", "died again"), ("unfit", "unfit again", "unfit as well"), ("between", "between again")],
    ids=["worker", "node", "reuse"],
)
def test_a_worker_that_dies_while_it_starts_is_started_again(
    faults: tuple[str, ...], tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    """After the third unfit node Ray gives up the trial, and the run gets another one that avoids the node."""
    study = write_study(tmp_path, **SMALL, resources={"concurrency": 1})
    starts, folder = tmp_path / "starts", tmp_path / "study"
    starts.mkdir()
    for name in faults:
        (starts / name).touch()
    done = subprocess.run(
        command("run", study, "--replay", write_curves(), "-o", folder, program=FAULTY),
        env={**os.environ, "FAULTY_STARTS": str(starts)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(starts.iterdir()) == []
    assert done.stderr.count(f"node {OTHER_NODE} is excluded: it has no disk") == ("unfit" in faults)
    assert {outcome for outcome, _ in facts(folder)[0].values()} <= {records.COMPLETED, records.STOPPED}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_budget_terminate_and_ctrl_c_save_everything_and_say_how_to_go_on(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    study = write_study(tmp_path, **SMALL, resources={"budget_hours": 1e-6, "checkpoint_seconds": 0.1})
    folder = tmp_path / "study"
    first = assay("run", study, "--replay", write_curves(wait=0.4), "-o", folder, program=FAULTY)
    assert (first.returncode, "budget of 1e-06 hours" in first.stderr) == (130, True), first.stderr
    assert f"assay resume {folder}" in first.stderr
    with sqlite3.connect(folder / records.JOURNAL_FILE) as db:
        db.execute("UPDATE meta SET value = replace(value, '1e-06', 'null') WHERE key = ?", (records.META_STUDY,))
        seal(db)
    db.close()
    for number, send in ((signal.SIGTERM, os.kill), (signal.SIGINT, os.killpg), (signal.SIGTERM, os.killpg)):
        count = written(folder)
        driver = subprocess.Popen(
            command("resume", folder, program=FAULTY),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=UV,
        )
        wait_for(lambda count=count: written(folder) > count + 3)
        send(driver.pid, number)
        _, messages = driver.communicate(timeout=60)
        if (number, send) == (signal.SIGTERM, os.killpg) and driver.returncode == 1:
            continue  # the raylet was gone first, and Ray's core ended the driver
        assert driver.returncode == 130, messages
        assert f"uv run assay resume {folder}" in messages
        assert "Traceback" not in messages
        assert "***" not in messages
    assert assay("resume", folder).returncode == 0
    assert {outcome for outcome, _ in facts(folder)[0].values()} <= {records.COMPLETED, records.STOPPED}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_studies_from_python_at_once_answer_with_tables(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    study, curves = write_study(tmp_path, **SMALL), write_curves()
    code = "import sys, search; done = search.run(*sys.argv[1:3], replay=sys.argv[3]); print(done.verdicts.to_csv())"
    folders = [tmp_path / "one", tmp_path / "two"]
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(study), str(folder), str(curves)], stdout=subprocess.PIPE, text=True
        )
        for folder in folders
    ]
    said = [driver.communicate(timeout=500)[0] for driver in drivers]
    assert [driver.returncode for driver in drivers] == [0, 0]
    assert all("mixup" in table for table in said)
    again = search.report(folders[0])
    assert list(again.verdicts["method"]) == ["mixup"]
    assert again.report.is_file()
    assert again.recipe == folders[0] / records.RECIPE_FILE
    assert facts(folders[0])[0].keys() == facts(folders[1])[0].keys()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_workers_that_die_for_lack_of_memory_say_so_and_the_study_ends(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    """Ray's memory monitor is told that nearly everything is too much, so that it ends every worker."""
    study, folder = write_study(tmp_path, **SMALL), tmp_path / "study"
    scarce = {**os.environ, "RAY_memory_usage_threshold": "0.001", "RAY_memory_monitor_refresh_ms": "100"}
    done = subprocess.run(
        command("run", study, "--replay", write_curves(wait=0.2), "-o", folder, program=FAULTY),
        env=scarce, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, "all runs failed" in done.stderr) == (1, True), done.stderr
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        reasons = [row.outcome.reason for row in journal.outcomes()]
    assert reasons
    assert all("low on memory" in reason for reason in reasons)
