"""Optuna storages: databases and journals are read without being changed; damaged ones are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from reports.judging.judgement import judge_runs
from reports.judging.question import Question
from reports.judging.sources.recognise import read_source
from tests.unit.reports.judging.tables import Refusal, confirmed
from tests.unit.reports.judging.writers import (
    write_optuna,
)
from trainables.errors import InputError


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["database", "journal"])
def test_an_optuna_storage_is_read_without_being_changed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "optuna.store"
    if kind == "database":
        storage: Any = f"sqlite:///{path}"
    else:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    for arm, direction in (("baseline", "minimize"), ("mixup", "minimize")):
        study = optuna.create_study(storage=storage, study_name=arm, direction=direction)
        for seed in range(4):
            trial = study.ask({"lr": optuna.distributions.FloatDistribution(0, 1)})
            trial.set_user_attr("seed", seed)
            trial.report(0.5, 1)
            trial.report(0.4, 2)
            study.tell(
                trial, 0.3 - 0.1 * (arm == "mixup") + 0.01 * seed + 0.001 * (trial.number % 2) * (arm == "mixup")
            )
        study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)
    before = path.read_bytes()
    table = read_source(path)
    assert path.read_bytes() == before
    assert table.directions == {"value": False}
    assert table.notes == ("2 trials pruned, failed or not ended.",)
    judged = judge_runs(table, Question(arm=("study",), metric="value", seed=("seed",)), "runs")
    assert [(one.method, one.verdict) for one in judged.verdicts] == [("mixup", "helps")]
    assert table.curves is not None
    assert table.curves["value"].tolist() == [0.5, 0.4] * 8


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "a%41.db"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_database_of_any_name_is_read_without_writing_beside_it(native: Path, tmp_path: Path, name: str) -> None:
    write_optuna(confirmed(native).head(3), tmp_path)
    (tmp_path / "optuna.db").rename(tmp_path / name)
    assert len(read_source(tmp_path / name).frame) == 3
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_damaged_optuna_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "optuna.db"
    optuna.create_study(storage=f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE studies RENAME COLUMN study_name TO other")
    with pytest.raises(InputError, match=r"optuna\.db cannot be read: .*no such column: studies\.study_name"):
        read_source(path)


JOURNAL = b'{"op_code": 0, "worker_id": "w", "study_name": "mine", "directions": [1]}\n'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"[1]", "it is not a JSON object"),
        (b"garbage", "Expecting value"),
        (b'{"op_code": 99}', "its `op_code` is not known"),
        (b'{"worker_id": "w"}', "'op_code' is missing"),
        (b'{"op_code": 4, "worker_id": "w"}', "'study_id' is missing"),
        (b'{"op_code": 0, "worker_id": "w", "study_name": "other", "directions": [7]}', "7 is not a valid"),
    ],
)
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_an_odd_line_of_an_optuna_journal_is_refused(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "journal.log"
    path.write_bytes(JOURNAL + line + b"\n")
    with pytest.raises(InputError) as error:
        read_source(path)
    Refusal(f"{path}, line 2 is not an entry of an Optuna journal", problem, "restore the file").holds_for(error)
