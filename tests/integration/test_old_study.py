"""A study folder and a recipe written before the records were typed still open, resume, report, export and train."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from reports.page.writer import write_report
from search.export.recipe import Recipe, read_recipe
from search.export.selection import select_best
from search.lifecycle import journal_plan
from search.monitor.status import study_progress
from search.orchestration.controller import StudyController
from search.plan.record import study_record
from search.store.journal import Journal
from trainables import records

OLD = Path(__file__).parents[1] / "data" / "study_before_typed_records"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "study"))


def assay(*arguments: object) -> str:
    command = [sys.executable, "-m", "search.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_read_and_reported(folder: Path) -> None:
    study = read_study(folder)
    assert study.runs["outcome"].value_counts().to_dict() == {"completed": 26, "stopped": 3, "unfinished": 2}
    assert [verdict.verdict for verdict in judge(study)][:2] == ["undecided", "helps"]
    data = study.data_of(study.plan.conditions[0].name)
    assert data is not None
    assert data.unpacked_test_labels() is not None
    assert len(study.correctness(list(study.runs["run"]))) == 11
    assert (write_report(folder).folder / "runs.csv").is_file()
    progress = study_progress(folder)
    assert sum(arm.ended[records.CONFIRM] for arm in progress.arms) == 11


def test_it_exports_the_recipe_that_it_exported_then(folder: Path) -> None:
    old = read_recipe(folder / records.RECIPE_FILE)
    new = select_best(folder).recipe
    others = {"metrics", "warning"}
    assert [old.promise.model_dump(exclude=others), *_metrics(old)] == [
        pytest.approx(figures, rel=1e-12) for figures in [new.promise.model_dump(exclude=others), *_metrics(new)]
    ]
    assert new.promise.warning == ""
    assert (list(new.promise.metrics), bool(new.checksum)) == (list(old.promise.metrics), True)
    assert new.model_copy(update={"promise": old.promise, "checksum": old.checksum}) == old


def _metrics(recipe: Recipe) -> list[dict[str, float]]:
    """Return the estimates of a recipe's metrics; the last digit of an interval depends on the order of operations."""
    return [estimate.model_dump() for _, estimate in sorted(recipe.promise.metrics.items())]


def test_its_plan_is_what_its_study_file_gives_today(folder: Path) -> None:
    with Journal.open(folder) as journal:
        plan = journal_plan(journal, folder)
        rules = {"variances": "own", "choice": "best"}  # those of its time
        assert journal.plan() == study_record(plan).model_copy(update=rules)


def test_it_continues_with_the_runs_that_were_interrupted(folder: Path) -> None:
    with Journal.open(folder) as journal:
        controller = StudyController(journal_plan(journal, folder), journal)
        unfinished = {name for name, state in controller.states.items() if state.outcome is None}
        assert {run.name for run in (controller.next_run(), controller.next_run()) if run} == unfinished
        added = controller.next_run()
        assert added
        assert (added.phase, added.condition) == (records.CONFIRM, "train_fraction=0.3")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_resumes_and_its_recipe_trains(folder: Path, tmp_path: Path) -> None:
    assay("resume", folder)
    assert set(read_study(folder).runs["outcome"]) == {"completed", "stopped"}
    assay("train", folder / records.RECIPE_FILE, "--seeds", "1", "-o", tmp_path / "final")
    assert len(list((tmp_path / "final" / records.MODELS).glob("*.keras"))) == 1
