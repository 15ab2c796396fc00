"""Damaged checkpoints, and those left behind: a run goes on from the one before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search import session
from search.orchestration.controller import StudyController
from search.plan.builder import make_plan
from search.ray_tune.dispatcher import ExecutionContext, RunDispatcher
from search.store.journal import Journal
from search.study.resources import Resources
from tests.support.faults import FaultyReplay, FaultyTrainable
from tests.support.studies import make_study
from tests.support.studies_without_ray import SMALL
from trainables import records
from trainables.engine import checkpoints
from trainables.worker import trainable


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


def test_checkpoints_left_after_the_last_run_are_removed_when_nothing_is_to_be_done(tmp_path: Path) -> None:
    """A driver may be killed between the end of its last run and the removal of its checkpoints."""
    done: Any = SimpleNamespace(done=True)
    (tmp_path / records.CHECKPOINTS / "run").mkdir(parents=True)
    assert session._prepared(ExitStack(), done, tmp_path, Resources(), session.Options(), {}, 0.0) is None
    assert not (tmp_path / records.CHECKPOINTS).exists()
