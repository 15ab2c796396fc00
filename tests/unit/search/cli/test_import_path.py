"""Programs that Assay starts take no module from the working directory, which may be a folder that somebody sent."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import assay
from search.cli import app
from search.doctor import ray_view, tracking_view
from search.store.journal import Journal
from search.tracking.ui import ui_arguments
from trainables.backends.process import MODULE, bounded
from trainables.devices import framework


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "module_sent_here.py").write_text("print('executed')")


def test_a_module_in_the_working_directory_is_not_found() -> None:
    assert bounded([*MODULE, "module_sent_here"], 60).out == ""


@pytest.mark.parametrize(
    "program",
    [
        framework.PROGRAM,
        ray_view.PROGRAM,
        tracking_view.PROGRAM,
        tuple(ui_arguments("sqlite:////x/mlflow.db", 5001)[0]),
    ],
)
def test_programs_start_without_the_working_directory(program: tuple[str, ...]) -> None:
    assert program[:3] == MODULE


def test_the_pages_of_mlflow_are_served_from_a_folder_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Journal.create(tmp_path / "study.db").close()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (name)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    seen: list[tuple[Path, str]] = []
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(os, "execve", lambda _, __, variables: seen.append((Path.cwd(), variables["PYTHONSAFEPATH"])))
    done = CliRunner().invoke(app, ["ui", str(tmp_path), "--no-browser", "--port", port])
    assert seen == [(Path("/"), "1")], done.output


@pytest.mark.parametrize(("written", "kept"), [(":", None), ("", None), (":here:", "here")])
def test_an_empty_part_of_the_path_is_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, kept: str | None
) -> None:
    monkeypatch.setenv("PYTHONPATH", written)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *sys.path])
    assay._tidy_path()
    assert not {"", str(tmp_path)} & set(sys.path)
    assert os.environ.get("PYTHONPATH") == (kept and str(tmp_path / kept))
