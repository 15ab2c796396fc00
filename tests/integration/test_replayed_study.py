"""Whole studies through the command line and Ray on replayed curves, without TensorFlow, in seconds."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import FAULTY, assay, command, ended, wait_for_outcomes, write_study
from trainables import records
from trainables.records import EndDecision, JournalReader

pytestmark = pytest.mark.timeout(240)


def test_a_replayed_study_from_the_command_line(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    folder = tmp_path / "study"
    recipe = {"model": "resnet8", "augmentation": "crop", "epochs": 12, "precision": "auto"}
    done = assay("run", write_study(tmp_path, recipe=recipe), "--replay", write_curves(), "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [verdict["method"] for verdict in answer["verdicts"]] == ["mixup", "maxup"] * 2
    assert Path(answer["report"]).is_file()
    assert Path(answer["recipe"]).is_file()
    assert "Traceback" not in done.stderr
    assert "WARNING" not in done.stderr
    assert "timing float32 and mixed precision" not in done.stderr
    with (folder / "report" / "verdicts.csv").open() as table:
        assert len(list(csv.DictReader(table))) == 4
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        assert [row.decision.runs for row in journal.decisions(EndDecision)] == [len(journal.runs())]
    count = json.loads(assay("status", folder, "--json").stdout)
    assert count["running"] is False
    assert count["done"] == pytest.approx(count["total"])
    assert count["precision"] == "float32, since a replay trains nothing"
    assert "precision: float32" in (folder / records.STUDY_FILE).read_text()
    again = assay("run", write_study(tmp_path), "--replay", write_curves(), "-o", folder)
    assert (again.returncode, "assay resume" in again.stderr) == (2, True)
    run = next(iter(ended(folder)))
    facts = json.loads(assay("status", folder, "--run", run, "--json").stdout)
    assert facts["outcome"] in records.OUTCOMES
    assert Path(facts["log"]).is_file()


@pytest.mark.parametrize(
    ("resources", "options", "message"),
    [
        ({"cpus": 4096}, (), "lower `resources.cpus`"),
        ({}, ("--address", "127.0.0.1:9"), "no Ray cluster can be reached at `127.0.0.1:9`"),
    ],
    ids=["no run fits", "no cluster"],
)
def test_a_study_that_cannot_run_leaves_no_folder(
    resources: dict[str, int], options: tuple[str, ...], message: str, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    folder, study = tmp_path / "study", write_study(tmp_path, resources=resources)
    done = assay("run", study, "--replay", write_curves(), "-o", folder, *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not folder.exists()


@pytest.mark.slow
def test_a_worker_that_dies_fails_only_its_own_run(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    study = write_study(
        tmp_path,
        conditions={},
        search={"trials_per_arm": 2},
        methods=["baseline", "mixup", "maxup"],
        recipe={"augmentation": "crop", "epochs": 24},
    )
    curves = write_curves(epochs=24, ks=2, mixup="kill", maxup="omit")
    folder = tmp_path / "study"
    done = assay("run", study, "--replay", curves, "-o", folder, program=FAULTY)
    assert done.returncode == 0, done.stderr
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        outcomes = {row.run: row.outcome for row in journal.outcomes()}
    died = [o for name, o in outcomes.items() if "_mixup_" in name]
    omitted = [o for name, o in outcomes.items() if "_maxup_" in name]
    assert {o.outcome for o in died + omitted} == {records.FAILED}
    assert all("the worker process died" in o.reason for o in died)
    assert all("reported no `validation_accuracy`" in o.reason for o in omitted)
    assert all(o.outcome == records.COMPLETED for name, o in outcomes.items() if "_baseline_" in name)


def test_ctrl_c_saves_everything_and_prints_how_to_resume(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    study, curves, folder = write_study(tmp_path), write_curves(wait=0.2), tmp_path / "study"
    driver = subprocess.Popen(
        command("run", study, "--replay", curves, "-o", folder, program=FAULTY),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_outcomes(folder, more_than=1)
    driver.send_signal(signal.SIGINT)
    _, messages = driver.communicate(timeout=60)
    assert driver.returncode == 130, messages
    assert f"assay resume {folder}" in messages
    assert "Traceback" not in messages
    assert len(ended(folder)) > 1
