"""Tests of artifacts in MLflow: histories, long values, reports and recipes, all without credentials."""

import json
import shlex
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from search.store.delivery_state import DeliveryState, read_delivery
from search.store.tracking_uri import own_store, relative_artifacts
from search.tracking.backlog import Backlog
from search.tracking.history import read_histories, read_runs
from search.tracking.supervisor import sync
from search.tracking.synchronizer import Synchronizer
from search.tracking.ui import ui_command
from tests.support.mlflow_stores import Study
from trainables import records
from trainables.records import JournalReader, Outcome

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_long_values_are_stored_completely_as_artifacts(study):
    long = "x" * 7000
    study.train("one", Outcome(records.FAILED, 1, long, {}), note=long)
    assert study.deliver().complete
    run = study.runs()["one"]
    assert run.data.params["note"] == long[:6000]
    client = MlflowClient(study.uri)
    for name, expected in (
        (records.LONG_PARAMETERS_ARTIFACT, {"note": long}),
        (records.LONG_TAGS_ARTIFACT, {records.TAG_OUTCOME: f"failed: {long}"}),
    ):
        assert json.loads(Path(client.download_artifacts(run.info.run_id, name)).read_text()) == expected


def test_the_store_in_the_folder_has_no_credentials_and_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = Study(tmp_path / "my study", "")
    secret = "http://me:geheim@host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token-geheim")
    study.train("one", Outcome(records.FAILED, 1, f"no answer from {secret}/x", {}), server=secret, key="token-geheim")
    (study.folder / records.STUDY_FILE).write_text(f"tracking: {{uri: '{secret}'}}\n")
    report = study.folder / records.REPORT
    (report / "figures").mkdir(parents=True)
    (report / "index.html").write_text(f"<p>{secret}")
    (report / "figures" / "one.png").write_bytes(b"\x89PNG")
    state = sync(study.folder, timeout=60)
    study.journal.close()
    assert state == DeliveryState(complete=True, runs=0, epochs=0)
    kept = [path for path in (study.folder / records.ARTIFACTS).rglob("*") if path.is_file()]
    names = {"study.yaml", "facts.json", "journal.json", "index.html", "one.png", "history.parquet"}
    assert {path.name for path in kept} == names
    assert [path.parent.name for path in kept if path.name == "one.png"] == ["figures"]
    for path in [
        study.folder / records.MLFLOW_FILE,
        study.folder / records.LOGS / records.DELIVERY_LOG,
        *kept,
    ]:
        assert b"geheim" not in path.read_bytes(), path
    words = shlex.split(ui_command(study.folder))
    assert words[words.index("--backend-store-uri") + 1] == f"sqlite:///{study.folder}/mlflow.db"
    check_moved(study.folder, study.id)


def check_moved(folder, name):
    """Move a study folder: its store finds the artifacts in the new place, and nothing is written to the old one."""
    moved = folder.rename(folder.with_name("after it"))
    with closing(JournalReader.open(moved)) as source:
        synchronizer = Synchronizer(moved, own_store(moved), Backlog(source), lambda: True)
        synchronizer.round(last=True)
        assert synchronizer.complete
    assert not folder.exists()
    runs = read_runs(own_store(moved), name)
    assert read_delivery(moved).run_ids == dict(zip(runs["run"], runs.index, strict=True))
    for run_id, place in runs["artifact_uri"].items():
        history = relative_artifacts(place, own_store(moved)) / records.HISTORY_ARTIFACT
        assert history.is_relative_to(moved)
        assert history.is_file()
        found = MlflowClient(own_store(moved)).download_artifacts(run_id, records.HISTORY_ARTIFACT)
        assert Path(found).read_bytes() == history.read_bytes()
    [frame] = read_histories(own_store(moved), runs)
    assert list(frame["epoch"]) == [1]


def test_histories_are_read_back_as_frames(study):
    study.train("one")
    study.train("two", Outcome(records.STOPPED, 2, "", {}))
    study.announce("three")
    study.deliver()
    study.report("three", 1, 2)
    study.deliver()
    study.announce("living")
    study.report("living", 1, 4)
    with study.synchronizer() as synchronizer, pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.tracking.synchronizer.PATIENCE", 0.0)
        synchronizer.round(last=False)
    runs = read_runs(study.uri, study.id)
    assert dict(zip(runs["run"], runs["status"], strict=True))["living"] == "RUNNING"
    assert set(runs["params.learning_rate"]) == {"0.1"}
    assert set(runs["tags.assay.method"]) == {"mixup"}
    frames = list(read_histories(study.uri, runs, at_once=2))
    assert max(frame["run"].nunique() for frame in frames) == 2
    table = pd.concat(frames).set_index(["run", "epoch"])
    rows = {(run, epoch): metrics for _, run, epoch, metrics, _ in study.journal.reports()}
    assert set(table.index) == set(rows)
    for place, metrics in rows.items():
        assert {name: table.loc[place, name] for name in metrics} == metrics
    assert list(read_runs(study.uri, study.id, "attributes.status = 'FAILED'").index) == []


def test_a_missing_experiment_cannot_be_read(store):
    with pytest.raises(LookupError, match="no experiment 'nothing'"):
        read_runs(store, "nothing")


def test_the_recipe_and_the_report_are_artifacts_of_the_study(study):
    study.train("one")
    study.finish()
    (study.folder / records.RECIPE_FILE).write_text("assay_recipe: 1\n")
    (study.folder / records.REPORT).mkdir()
    (study.folder / records.REPORT / "index.html").write_text("<p>verdicts")
    assert study.deliver().complete
    client, parent = MlflowClient(study.uri), study.runs()[study.id].info.run_id
    names = {file.path for file in client.list_artifacts(parent)}
    assert names == {"study.yaml", "recipe.yaml", "facts.json", "journal.json", "report"}
    assert [file.path for file in client.list_artifacts(parent, "report")] == ["report/index.html"]


def test_relative_artifacts_need_the_store_that_refers_to_them(tmp_path):
    from mlflow import MlflowException

    from search.tracking.artifact_repository import RelativeArtifactRepository

    here = RelativeArtifactRepository("assay:/artifacts/1", f"sqlite:///{tmp_path}/mlflow.db")
    assert here.artifact_dir == str(tmp_path / "artifacts" / "1")
    with pytest.raises(MlflowException, match=r"the tracking URI is http://\*\*\*@host"):
        RelativeArtifactRepository("assay:/artifacts/1", "http://me:geheim@host")
