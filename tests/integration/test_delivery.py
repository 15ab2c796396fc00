"""Tests of the delivery to real MLflow stores: what MLflow's client reads equals the journal."""

import math
from collections import Counter
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.support.mlflow_stores import COMPLETED, Study
from tests.support.runs import plan_of
from trainables import records
from trainables.records import ExtensionDecision, Outcome

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.mark.usefixtures("server")
def test_every_run_is_delivered_once_and_completely(study):
    study.train("one")
    study.train("two", Outcome(records.STOPPED, 2, "", {"selection": 0.25}))
    study.train("three", Outcome(records.DIVERGED, 1, "", {}))
    study.train("four", Outcome(records.FAILED, 0, "out of memory", {}))
    study.finish()
    synchronizer = study.deliver()
    assert (synchronizer.finished, synchronizer.complete, synchronizer.error) == (True, True, "")
    runs = study.runs()
    parent = runs.pop(study.id)
    assert {name: (run.info.status, run.data.tags[records.TAG_OUTCOME]) for name, run in runs.items()} == {
        "one": ("FINISHED", "completed"),
        "two": ("FINISHED", "stopped at epoch 2"),
        "three": ("FAILED", "diverged at epoch 1"),
        "four": ("FAILED", "failed: out of memory"),
    }
    assert study.points() == study.truth()
    one = runs["one"]
    assert one.data.params == {"learning_rate": "0.1", "mixup.alpha": "0.2"}
    assert one.data.tags[records.TAG_PARENT] == parent.info.run_id
    [(_, _, _, ended)] = [row for row in study.journal.outcomes() if row[1] == "one"]
    assert one.info.end_time == int(ended * 1000)
    assert parent.info.start_time <= one.info.start_time <= one.info.end_time
    assert (parent.info.status, parent.data.tags[records.TAG_OUTCOME]) == ("FINISHED", "completed")
    assert parent.data.params == {}
    assert parent.data.tags[records.TAG_PLAN + "seeds"] == "2"
    assert parent.data.tags[records.TAG_VERSION + "keras"] == "3"


def test_delivering_again_changes_nothing(study):
    study.train("one")
    study.train("two")
    study.deliver()
    before = {name: run.to_dictionary() for name, run in study.runs().items()}
    client = MlflowClient(study.uri)
    client.update_run(study.runs()["one"].info.run_id, status="RUNNING")  # as if killed before the last step
    assert study.deliver().complete
    assert {name: run.to_dictionary() for name, run in study.runs().items()} == before
    assert study.points() == study.truth()


def test_a_resumed_study_keeps_its_ids(study):
    study.announce("one")
    study.report("one", 1, 2)
    study.deliver()
    first = study.runs()
    assert first["one"].info.status == first[study.id].info.status == "KILLED"
    assert first["one"].data.tags[records.TAG_OUTCOME] == "interrupted at epoch 2"
    assert first[study.id].data.tags[records.TAG_OUTCOME] == "interrupted"
    with study.synchronizer() as synchronizer:
        synchronizer.round(last=False)
        assert study.runs()[study.id].info.status == "RUNNING"
        assert study.runs()["one"].info.status == "KILLED", "it has no new reports yet"
        study.report("one", 3, 3)
        study.journal.end("one", COMPLETED)
        study.finish()
        synchronizer.round(last=True)
    second = study.runs()
    assert {name: run.info.run_id for name, run in second.items()} == {
        name: run.info.run_id for name, run in first.items()
    }
    assert {run.info.status for run in second.values()} == {"FINISHED"}
    assert study.points() == study.truth()


def test_an_active_run_is_running_and_its_reports_are_collected(study, monkeypatch):
    study.announce("one")
    study.report("one", 1, 1)
    with study.synchronizer() as synchronizer:
        synchronizer.round(last=False)
        assert set(study.runs()) == {study.id}, "the first report is not old enough"
        monkeypatch.setattr("search.tracking.synchronizer.PATIENCE", 0.0)
        synchronizer.round(last=False)
        assert study.runs()["one"].info.status == "RUNNING"
        assert study.runs()["one"].data.tags[records.TAG_OUTCOME] == "running"
        assert study.points() == study.truth()
        assert not synchronizer.finished


def test_what_a_user_deletes_in_mlflow_stays_deleted(study):
    study.train("one")
    study.train("two")
    study.deliver()
    MlflowClient(study.uri).delete_run(study.runs()["one"].info.run_id)
    assert study.deliver().complete
    assert set(study.runs()) == {study.id, "two"}


def test_a_deleted_experiment_gets_a_successor(study):
    study.train("one")
    study.deliver()
    client = MlflowClient(study.uri)
    client.delete_experiment(client.get_experiment_by_name(study.id).experiment_id)
    assert study.deliver().complete
    experiment = client.get_experiment_by_name(f"{study.id} {study.id[:8]}")
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_non_finite_values_are_delivered_once(study):
    study.announce("one")
    study.journal.report("one", [(1, {"train_loss": math.nan}), (2, {"train_loss": math.inf})])
    study.journal.end("one", Outcome(records.DIVERGED, 2, "", {}))
    study.deliver()
    (study.folder / "again").mkdir()
    before = [(step, str(value)) for _, _, step, value, _ in study.points().elements()]
    MlflowClient(study.uri).update_run(study.runs()["one"].info.run_id, status="RUNNING")
    assert study.deliver().complete
    after = [(step, str(value)) for _, _, step, value, _ in study.points().elements()]
    assert sorted(after) == sorted(before)
    assert [step for step, _ in sorted(after)] == [1, 2]


def test_an_extended_study_is_reopened_with_its_new_plan(study):
    study.train("one")
    study.finish()
    study.deliver()
    assert study.runs()[study.id].info.status == "FINISHED"
    before = study.journal.plan()
    assert before
    plan = plan_of(study.id, metric="validation_loss", seeds=9)
    study.journal.extend({}, plan, ExtensionDecision(what=("seeds",), exploratory=True, plan=before))
    study.deliver()
    assert study.runs()[study.id].data.tags[records.TAG_OUTCOME] == "interrupted"
    study.train("two")
    study.deliver()
    assert study.runs()[study.id].data.tags[records.TAG_OUTCOME] == "interrupted"
    study.finish()
    assert study.deliver().complete
    assert study.runs()[study.id].data.tags[records.TAG_OUTCOME] == "completed"
    assert study.runs()[study.id].data.tags[records.TAG_PLAN + "seeds"] == "9"


def test_two_studies_of_one_name_share_an_experiment_and_nothing_else(tmp_path, store):
    one, two = (Study(tmp_path / place / "study", store, name=tmp_path.name) for place in ("one", "two"))
    for study in (one, two):
        study.train("run", COMPLETED if study is one else Outcome(records.STOPPED, 2, "", {}))
        study.finish()
        assert study.deliver().complete
    experiment = MlflowClient(store).get_experiment_by_name(tmp_path.name)
    runs = MlflowClient(store).search_runs([experiment.experiment_id])
    assert len(runs) == 4
    assert Counter(run.data.tags[records.TAG_STUDY_ID] for run in runs) == {one.id: 2, two.id: 2}
    place = Path(store.removeprefix("sqlite:///")).parent / records.ARTIFACTS
    assert experiment.artifact_location == place.as_uri(), "artifacts belong to the store, not to the first study"
    assert one.deliver().complete
    assert len(MlflowClient(store).search_runs([experiment.experiment_id])) == 4
    for study in (one, two):
        study.journal.close()
