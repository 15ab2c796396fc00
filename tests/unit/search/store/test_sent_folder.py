"""A study's folder that somebody sent changes and sends no file outside of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app
from search.monitor.status import is_running
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.store.journal import Journal
from search.tracking.supervisor import start_delivery
from tests.support.journal_builder import simulate_study
from tests.support.runs import run_of
from tests.support.studies import make_study
from trainables.errors import InputError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A file of the user's, outside the study folder."""
    path = tmp_path / "own.txt"
    path.write_text("mine")
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    simulate_study(tmp_path / "study", search=False, seeds=1)
    for name in ("logs", "report"):
        (tmp_path / "study" / name).mkdir()
    return tmp_path / "study"


@pytest.mark.parametrize("name", ["study.lock", "delivery.lock", "logs/mlflow.log", "logs/r1.log", "report/notes.txt"])
@pytest.mark.parametrize("command", ["resume", "sync", "report"])
def test_a_link_to_a_file_outside_is_refused(study: Path, own: Path, name: str, command: str) -> None:
    (study / name).symlink_to(own)
    done = CliRunner().invoke(app, [command, str(study)])
    assert done.exit_code == 2
    assert "outside the study folder" in done.output
    assert own.read_text() == "mine"


def test_a_link_to_a_folder_outside_is_refused(study: Path, own: Path) -> None:
    (study / "checkpoints").symlink_to("..", target_is_directory=True)
    for use in (lambda: Journal.open(study), lambda: start_delivery(study)):
        with pytest.raises(InputError, match=rf"checkpoints links outside the study folder \({own.parent}"):
            use()


def test_a_new_study_does_not_write_through_a_link_that_is_called_like_its_lock(tmp_path: Path, own: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "study.lock").symlink_to(own)
    with pytest.raises(InputError, match="links outside the study folder"):
        Journal.create(tmp_path / "new" / "study.db")
    assert own.read_text() == "mine"


@pytest.mark.timeout(60)
def test_a_pipe_in_the_place_of_the_lock_does_not_block(study: Path) -> None:
    (study / "study.lock").unlink(missing_ok=True)
    os.mkfifo(study / "study.lock")
    assert is_running(study) is False
    with pytest.raises(InputError, match="cannot be written"):
        Journal.open(study)


def test_links_inside_the_folder_and_to_it_are_allowed(study: Path) -> None:
    (study / "latest").symlink_to("logs")
    place = study.with_name("place")
    place.symlink_to(study)
    Journal.open(place).close()


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "..", ".", "", "a/b", "a\\b", "a\0b"])
def test_a_run_whose_name_is_another_place_is_refused(tmp_path: Path, name: str) -> None:
    plan = make_plan(make_study())
    with Journal.create(tmp_path / "study.db") as journal:
        journal.add_runs([run_of(name, "confirm", "all", "none of these", "mixup", 0, 0, False, {}, {}, {})])
        with pytest.raises(InputError, match="which is not an Assay run name"):
            StudyController(plan, journal)
