"""Tests of the mapping to MLflow, tracking URIs and the state of the delivery."""

import json
import math
import shlex
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import make_url

from search.store.journal import Journal
from search.store.sqlite_uri import sqlite_path, sqlite_uri
from search.study.loading import validate
from search.tracking import mapping, uri as tracking_uris
from search.tracking.browser import can_open, open_later
from search.tracking.import_study import read_experiment
from search.tracking.mapping import Point, StudyCard
from search.tracking.state import DeliveryState, write_state
from search.tracking.ui import check_port, page_address, ui_arguments, ui_command
from tests.conftest import study_document
from tests.integration.mlflow_stores import wait_until
from trainables import records
from trainables.errors import InputError
from trainables.records import ArmRecord, ConditionRecord, DataFacts, Facts, Outcome, PlanRecord, ReportRow, Run

RUN = Run(
    name="s-mixup-3",
    phase=records.SEARCH,
    condition="small",
    arm="small: mixup",
    method="mixup",
    trial_index=3,
    point_index=None,
    seed_index=0,
    audit=True,
    config={},
    parameters={
        "learning_rate": 0.1,
        "mixup.alpha": 1,
        "optimizer": "sgd",
        "milestones": [0.5, 0.75],
        "flip": False,
    },
)
PLAN = PlanRecord(
    name="digits",
    metric="validation_accuracy",
    smallest_effect=0.005,
    alpha=0.05,
    seeds=12,
    points=2,
    trials_per_arm=8,
    looks=(6, 12),
    look_alphas=(0.02, 0.03),
    conditions=(
        ConditionRecord(name="small", values={"train_fraction": 0.1}, epochs=12, selection_epochs=3, rungs=()),
    ),
    arms=(
        ArmRecord(name="small: mixup", method="mixup", condition="small", cost=1.0, reference=False),
        ArmRecord(name="small: baseline", method="baseline", condition="small", cost=1.0, reference=True),
    ),
    contrasts=(),
)


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_parameters_keep_their_plain_names():
    assert mapping.parameters(RUN) == {
        "learning_rate": "0.1",
        "mixup.alpha": "1",
        "optimizer": "sgd",
        "milestones": "[0.5, 0.75]",
        "flip": "false",
    }


def test_the_study_run_has_tags_of_the_plan():
    facts = Facts(
        versions={"keras": "3.15"}, machine={"cpus": 2}, data=DataFacts(fingerprint="abc"), git={"commit": "f00"}
    )
    card = StudyCard.from_plan("id-1", PLAN, facts)
    assert card.name == "digits"
    assert card.tags() == {
        "assay.study": "digits",
        "assay.study_id": "id-1",
        "assay.phase": "study",
        "assay.plan.metric": "validation_accuracy",
        "assay.plan.smallest_effect": "0.005",
        "assay.plan.alpha": "0.05",
        "assay.plan.seeds": "12",
        "assay.plan.points": "2",
        "assay.plan.trials_per_arm": "8",
        "assay.plan.designed": "8",
        "assay.plan.replicates": "1",
        "assay.plan.open_ended": "false",
        "assay.plan.match": "epochs",
        "assay.plan.test": "official",
        "assay.plan.variances": "own",
        "assay.plan.choice": "best",
        "assay.plan.look_alphas": "[0.02, 0.03]",
        "assay.plan.looks": "[6, 12]",
        "assay.version.keras": "3.15",
        "assay.machine.cpus": "2",
        "assay.data": "abc",
        "mlflow.source.git.commit": "f00",
    }


def test_a_run_has_tags_of_its_place_in_the_study():
    assert StudyCard.from_plan("id-1", PLAN, Facts()).run_tags(RUN, "parent-1") == {
        "mlflow.parentRunId": "parent-1",
        "assay.study": "digits",
        "assay.study_id": "id-1",
        "assay.run": "s-mixup-3",
        "assay.phase": "search",
        "assay.method": "mixup",
        "assay.condition": "small",
        "assay.condition.train_fraction": "0.1",
        "assay.arm": "small: mixup",
        "assay.seed": "0",
        "assay.trial": "3",
        "assay.audit": "true",
    }


def test_of_several_data_sets_a_run_has_the_fingerprint_of_its_own():
    condition = PLAN.conditions[0].model_copy(update={"data": "toy"})
    plan = PLAN.model_copy(update={"conditions": (condition,)})
    facts = Facts(data_sets={"digits": DataFacts(fingerprint="abc"), "toy": DataFacts(fingerprint="def")})
    card = StudyCard.from_plan("id-1", plan, facts)
    assert card.tags()["assay.data"] == "digits: abc, toy: def"
    assert card.run_tags(RUN, "parent-1")["assay.data"] == "def"


def test_a_run_of_a_factorial_has_tags_of_levels_and_compute():
    arm = PLAN.arms[0].model_copy(update={"levels": {"batch_size": 64}, "compute_of": "maxup"})
    plan = PLAN.model_copy(update={"arms": (arm,)})
    tags = StudyCard.from_plan("id-1", plan, Facts()).run_tags(RUN, "parent-1")
    assert tags["assay.level.batch_size"] == "64"
    assert tags["assay.compute_of"] == "maxup"


@pytest.mark.parametrize(
    ("outcome", "text", "status"),
    [
        (Outcome("completed", 12, "", {}), "completed", "FINISHED"),
        (Outcome("stopped", 4, "", {}), "stopped at epoch 4", "FINISHED"),
        (Outcome("diverged", 2, "", {}), "diverged at epoch 2", "FAILED"),
        (Outcome("failed", 0, "out of memory", {}), "failed: out of memory", "FAILED"),
        (
            Outcome("failed", 0, "http://me:pw@host/ is away", {}),
            "failed: http://***@host/ is away",
            "FAILED",
        ),
    ],
)
def test_outcomes_as_text(outcome, text, status):
    assert mapping.outcome_text(outcome) == text
    assert mapping.status(outcome) == status


def test_epochs_become_points_with_their_timestamps():
    reports = [
        ReportRow(1, "r", 1, {"train_loss": 2.0, "seconds": 1}, 100.25),
        ReportRow(2, "r", 2, {"train_loss": math.inf}, 101.5),
    ]
    assert mapping.epoch_points(reports) == [
        Point("train_loss", 2.0, 100250, 1),
        Point("seconds", 1.0, 100250, 1),
        Point("train_loss", math.inf, 101500, 2),
    ]


def test_missing_final_metrics_are_left_out():
    outcome = Outcome("completed", 12, "", {"selection": 0.5, "test_accuracy": None, "audit": True})
    assert mapping.final_points(outcome, 2.0) == [Point("selection", 0.5, 2000, 12)]


def test_a_run_started_before_its_first_epoch():
    one_by_one = [ReportRow(1, "r", 1, {"seconds": 2.0}, 102.0), ReportRow(2, "r", 2, {"seconds": 2.0}, 105.0)]
    together = [ReportRow(1, "r", 1, {"seconds": 2.0}, 104.0), ReportRow(2, "r", 2, {"seconds": 2.0}, 104.0)]
    assert mapping.started(90.0, one_by_one, 110.0) == 100_000
    assert mapping.started(90.0, together, 110.0) == 100_000
    assert mapping.started(101.0, together, 110.0) == 101_000
    assert mapping.started(90.0, [], 110.0) == 110_000


def test_long_values_are_truncated_and_returned():
    short, long = mapping.shorten({"a": "x" * 10, "b": "y" * 3}, 4)
    assert short == {"a": "xxxx", "b": "yyy"}
    assert long == {"a": "x" * 10}


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://user:pa%40ss@host:5000/x", "http://***@host:5000/x"),
        ("postgresql+psycopg2://me:p@ss@db/mlflow and more", "postgresql+psycopg2://***@db/mlflow and more"),
        ("https://token@host", "https://***@host"),
        ("mssql://db/x?password=geheim&timeout=3", "mssql://db/x?password=***&timeout=3"),
        ("mail me@home, see http://host/a@b", "mail me@home, see http://host/a@b"),
        ('"://"+e+"@"+t', '"://"+e+"@"+t'),
    ],
)
def test_credentials_are_removed(text, clean):
    assert tracking_uris.redact(text) == clean


def test_credentials_of_a_server_are_passed_by_environment_variables():
    uri, variables = tracking_uris.without_credentials("https://me:pa%40ss@host:5000/x")
    assert uri == "https://host:5000/x"
    assert variables == {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "pa@ss"}
    assert tracking_uris.without_credentials("http://host") == ("http://host", {})
    assert tracking_uris.without_credentials("mysql://me:pw@db/x") == ("mysql://me:pw@db/x", {})


def test_the_store_is_in_the_folder_by_default(monkeypatch):
    assert tracking_uris.store_uri(Path("/runs/one")) == "sqlite:////runs/one/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert tracking_uris.store_uri(Path("/runs/one")) == "http://host:5000"
    assert tracking_uris.store_uri(Path("/runs/one"), "https://other") == "https://other"


def test_a_relative_store_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tracking_uris.store_uri(Path("one"), "sqlite:///all.db") == f"sqlite:///{tmp_path}/all.db"


@pytest.mark.parametrize("uri", ["file:///tmp/mlruns", "./mlruns", "/tmp/mlruns"])
def test_a_folder_is_not_a_store(uri):
    with pytest.raises(InputError, match="no longer supports as a store"):
        tracking_uris.store_uri(Path("/runs/one"), uri)


def test_a_file_of_another_program_is_not_a_store(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking_uris, "CREATION_SECONDS", 0)
    names = ("study", "notes.md", "app.db", "mlflow.db", "new.db")
    folder, notes, other, mlflow, new = (tmp_path / name for name in names)
    notes.write_text("mine")
    for path, table in ((other, "customers"), (mlflow, "experiments")):
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"CREATE TABLE {table} (name)")
    before = other.read_bytes()
    for path in (notes, other, tmp_path):
        with pytest.raises(InputError, match="is no database of MLflow and would be changed; name a new file"):
            tracking_uris.refuse_foreign_database(f"sqlite:///{path}", folder)
    for uri in (f"sqlite:///{mlflow}", f"sqlite:///{new}", "http://host:5000", tracking_uris.own_store(folder)):
        tracking_uris.refuse_foreign_database(uri, folder)
    assert (other.read_bytes(), new.exists()) == (before, False)


def test_a_store_that_another_study_is_creating_is_waited_for(tmp_path):
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE tags (name)")
        later = threading.Timer(0.5, lambda: sqlite3.connect(path).execute("CREATE TABLE experiments (name)"))
        later.start()
        tracking_uris.refuse_foreign_database(f"sqlite:///{path}", tmp_path / "study")
        later.join()


def test_a_study_keeps_the_store_that_it_was_delivered_to(tmp_path):
    state = tmp_path / records.DELIVERY_FILE
    state.write_text(json.dumps({"uri": "http://host:5000"}))
    assert tracking_uris.store_uri(tmp_path) == "http://host:5000"
    assert tracking_uris.store_uri(tmp_path, "http://other") == "http://other"
    state.write_text(json.dumps({"uri": "http://***@host:5000"}))
    with pytest.raises(InputError, match="credentials are not stored"):
        tracking_uris.store_uri(tmp_path)
    state.write_text("cut sho")
    assert tracking_uris.store_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize("name", ["plain", "per%cent%20x", "{brace}", "what?", 'o\'neill "x"', "größe", "a b+c=d@e"])
def test_a_sqlite_address_names_the_same_file_for_everybody(tmp_path, name):
    path = tmp_path / name / "mlflow.db"
    uri = sqlite_uri(path)
    assert (sqlite_path(uri), make_url(uri).database) == (path, str(path))
    assert tracking_uris.store_uri(path.parent) == tracking_uris.store_uri(tmp_path, uri) == uri
    assert tracking_uris.artifact_location(uri, path.parent) == "assay:/artifacts"
    path.parent.mkdir()
    alias = sqlite_path(tracking_uris.client_uri(uri))
    assert (alias.parent.resolve(), alias.name) == (path.parent, "mlflow.db")
    assert "%" not in str(alias.parent)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+pysqlite://"])
def test_a_sqlite_store_needs_a_file(uri):
    with pytest.raises(InputError, match="names no file"):
        tracking_uris.store_uri(Path("/runs/one"), uri)


def test_the_store_of_a_study_file_is_beside_it_and_that_of_an_older_study_in_its_folder(tmp_path):
    study = validate({**study_document(), "tracking": {"uri": "sqlite:///all.db"}}, "study.yaml", tmp_path)
    assert study.tracking.uri == f"sqlite:///{tmp_path}/all.db"
    with Journal.create(tmp_path / "old" / records.JOURNAL_FILE) as journal:
        journal.set_meta(records.META_STUDY, {"tracking": {"uri": "sqlite:///all.db"}})
    assert tracking_uris.configured_uri(tmp_path / "old") == f"sqlite:///{tmp_path}/old/all.db"


@pytest.mark.parametrize("name", ["typo/x.db", "study.db", "empty.db", "text.db"])
def test_a_store_that_is_only_read_is_never_created(tmp_path, name):
    Journal.create(tmp_path / "study.db").close()
    (tmp_path / "empty.db").touch()
    (tmp_path / "text.db").write_text("text")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="is not a tracking store"):
        read_experiment(f"sqlite:///{tmp_path}/{name}", "x")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_artifacts_are_beside_their_store(tmp_path):
    assert tracking_uris.artifact_location("http://host", tmp_path) is None
    assert tracking_uris.artifact_location("sqlite:////data/all.db", tmp_path) == "file:///data/artifacts"
    assert tracking_uris.artifact_location(f"sqlite:///{tmp_path}/mlflow.db", tmp_path) == "assay:/artifacts"
    assert tracking_uris.artifact_location("mysql://me:pw@host/x", tmp_path) == f"file://{tmp_path}/artifacts"


def test_secrets_of_the_environment_are_removed(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "eyJhbGciOi")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUt")
    monkeypatch.setenv("TOKENIZERS", "true")
    assert tracking_uris.redact("tell eyJhbGciOi, wJalrXUt it is true") == "tell ***, *** it is true"


def test_the_ui_command_is_quoted_for_a_shell():
    words = shlex.split(ui_command(Path("/my runs/one"), port=5001))
    assert words[:2] == ["mlflow", "ui"]
    assert words[words.index("--backend-store-uri") + 1] == "sqlite:////my runs/one/mlflow.db"
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--port") + 1] == "5001"
    assert ui_command(Path("/x"), "http://me:pw@host:5000") == "http://***@host:5000"


def test_the_page_of_a_study_is_its_experiment(tmp_path: Path) -> None:
    own, server = f"sqlite:///{tmp_path}/mlflow.db", "http://host:5000/"
    assert page_address(tmp_path, own, "http://127.0.0.1:5001") == "http://127.0.0.1:5001"  # not delivered yet
    write_state(tmp_path, DeliveryState(True, 0, 0), 1, None, {}, "7")
    page = "/#/experiments/7?workflowType=machine_learning"
    assert page_address(tmp_path, own, "http://127.0.0.1:5001") == f"http://127.0.0.1:5001{page}"
    assert ui_command(tmp_path, server) == server  # the number is that of another store
    write_state(tmp_path, DeliveryState(True, 0, 0), 1, server, {}, "7")
    assert ui_command(tmp_path, server) == f"http://host:5000{page}"


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be used.*--port"):
            check_port(port)
    check_port(port)


def test_names_in_mlflow_begin_with_the_method_and_end_with_what_differs() -> None:
    assert mapping.run_name(RUN) == "mixup, small, trial 3"
    confirmed = replace(RUN, phase=records.CONFIRM, trial_index=None, point_index=1, seed_index=4)
    assert mapping.run_name(replace(confirmed, condition="all")) == "mixup, seed 4, point 1"
    assert mapping.run_name(replace(confirmed, phase=records.TRAIN, condition="final")) == "mixup, final, seed 4"
    long = mapping.run_name(replace(confirmed, condition="x" * 400))
    assert len(long) == mapping.MAX_NAME
    assert long.startswith("mixup, xxx")
    assert long.endswith("x…, seed 4, point 1")


def test_the_browser_opens_once_the_server_responds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = tmp_path / "opened"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    script.chmod(0o700)
    monkeypatch.setenv("BROWSER", str(script))
    assert can_open()

    class Healthy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/health"
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Healthy, bind_and_activate=False) as server:
        server.server_bind()
        address = f"http://127.0.0.1:{server.server_port}/#/experiments/7"
        opener = open_later(address)
        assert not opened.exists()
        server.server_activate()
        server.timeout = 60
        server.handle_request()
        assert opener.wait(60) == 0
        wait_until(opened.exists, 60)
    assert opened.read_text().strip() == address


def test_credentials_of_a_database_are_not_on_the_command_line():
    store = "postgresql://me:geheim@host/mlflow"
    arguments, variables = ui_arguments(store, 5001)
    assert "geheim" not in " ".join(arguments)
    assert "geheim" not in ui_command(Path("/x"), store)
    assert variables["MLFLOW_BACKEND_STORE_URI"] == store


def test_the_driver_does_not_load_mlflow():
    code = "import sys, search.tracking.supervisor, search.tracking.ui; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


def test_relative_artifacts_follow_their_store():
    artifacts = "assay:/artifacts/1/artifacts"
    assert tracking_uris.relative_artifacts(artifacts, "sqlite:////a b/mlflow.db") == Path("/a b/artifacts/1/artifacts")
    assert tracking_uris.relative_artifacts("file:///a/artifacts", "sqlite:////a/mlflow.db") is None
    assert tracking_uris.relative_artifacts(artifacts, "http://host") is None
