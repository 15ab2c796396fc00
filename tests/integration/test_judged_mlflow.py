"""`assay judge` on MLflow experiments: Assay's own, a foreign one with failed runs, and what is refused."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from reports.judging.judgement import judge_runs
from reports.judging.question import Question
from reports.judging.sources.recognise import Access, read_source
from tests.support.mlflow_stores import deliver
from tests.unit.reports.judging.tables import NATIVE, assert_same_verdicts, native_study, runs_frame
from trainables import records
from trainables.errors import InputError
from trainables.records.journal_schema import seal, write_entry

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
ASKED = Question(arm=("method",), metric="test_accuracy", seed=("seed",))


def log_runs(client: MlflowClient, experiment: str, change: Callable[[int], str] = lambda _: "FINISHED") -> None:
    """Log runs as a script would: the method as a tag, the seed as a parameter, three epochs, a parent run."""
    id_ = client.create_experiment(experiment)
    parent = client.create_run(id_, run_name="sweep").info.run_id
    for number, row in enumerate(runs_frame({"baseline": 0.0, "mixup": 0.02}, seeds=5).itertuples()):
        run = client.create_run(
            id_, run_name=f"run {number}", tags={"mlflow.parentRunId": parent, "method": row.method}
        )
        client.log_param(run.info.run_id, "seed", row.seed)
        for epoch, share in enumerate((0.5, 0.9, 1.0), start=1):
            client.log_metric(run.info.run_id, "test_accuracy", share * row.test_accuracy, step=epoch)
        client.set_terminated(run.info.run_id, change(number))
    client.set_terminated(parent)


def test_a_native_study_read_from_its_experiment_has_the_same_verdicts(tmp_path: Path, store: str) -> None:
    folder = native_study(tmp_path / "study", "judged again")
    with closing(sqlite3.connect(folder / records.JOURNAL_FILE)) as journal, journal:
        write_entry(journal, records.META_ID, json.dumps("judged-again-1"))
        seal(journal)
    deliver(folder, store)
    table = read_source(store, Access("judged again", "tags.assay.phase = 'confirm'", ["test_accuracy", "selection"]))
    question = Question(
        arm=("assay.method",), metric="test_accuracy", seed=("assay.seed",), condition=("assay.condition",),
        setting=("assay.trial",), select=NATIVE.select,
    )  # fmt: skip
    judged = judge_runs(table, question, "runs")
    assert_same_verdicts(judged.verdicts, folder)


def test_foreign_runs_are_read_with_their_epochs_and_without_those_that_failed(store: str) -> None:
    log_runs(MlflowClient(store), "foreign", lambda number: "FAILED" if number == 7 else "FINISHED")
    table = read_source(store.removeprefix("sqlite:///"), Access("foreign", metrics=["test_accuracy"]))
    judged = judge_runs(table, ASKED, "runs")
    [verdict] = judged.verdicts
    assert (verdict.verdict, verdict.seeds, verdict.planned_seeds) == ("helps", 4, 5)
    assert judged.evidence.left_out == (
        "1 run whose status is not FINISHED.",
        "1 run without method (--arm).",
    )
    assert judged.study.curves.groupby("run", observed=True).size().tolist() == [3] * 9
    [few] = judge_runs(read_source(store, Access("foreign", "params.seed != '0'")), ASKED, "runs").verdicts
    assert few.seeds == 3


@pytest.mark.parametrize(
    ("experiment", "where", "message"),
    [
        ("nothing", "", "--experiment nothing: MLflow at sqlite:.* has no such experiment; it has .*Default"),
        ("foreign", "this is = no filter", "cannot be read: "),
    ],
)
def test_bad_experiments_and_filters_are_refused(store: str, experiment: str, where: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_source(store, Access(experiment, where))


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%41"])
def test_a_folder_of_any_name_is_read_without_writing_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    log_runs(MlflowClient(folder.as_uri()), "foreign")
    (folder / ".trash").rmdir()
    shutil.rmtree(folder / "0")
    before = sorted(tmp_path.rglob("*"))
    for _ in range(2):  # MLflow remembers stores
        table = read_source(folder, Access(None, metrics=["test_accuracy"]))
        assert [(one.method, one.verdict) for one in judge_runs(table, ASKED, "runs").verdicts] == [("mixup", "helps")]
        assert table.curves is not None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_database_of_an_older_mlflow_is_read_without_bringing_it_up_to_date(store: str, tmp_path: Path) -> None:
    """An older database lacks tables that this MLflow has, or the folder has a name that is not an address."""
    log_runs(MlflowClient(store), "older")
    path = tmp_path / "a#b" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(store.removeprefix("sqlite:///"), path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE trace_tags")
    before = path.read_bytes()
    assert len(read_source(path.parent, Access("older")).frame) == 11
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.rglob("*")] == ["a#b", "mlflow.db"]
