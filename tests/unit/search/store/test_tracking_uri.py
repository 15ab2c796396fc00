"""Tracking URIs: where a study is delivered, what is refused, and what is hidden in messages."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url

from search.store import tracking_uri as tracking_uris
from search.store.journal import Journal
from search.store.sqlite_uri import sqlite_path, sqlite_uri
from search.study.loading import validate
from search.tracking.import_study import read_experiment
from tests.support.studies import study_document
from trainables import records
from trainables.errors import InputError


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
        with pytest.raises(InputError, match="is not an MLflow database and would be changed; use a new file"):
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
        journal.set_meta_once(records.META_STUDY, {"tracking": {"uri": "sqlite:///all.db"}})
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


def test_relative_artifacts_follow_their_store():
    artifacts = "assay:/artifacts/1/artifacts"
    assert tracking_uris.relative_artifacts(artifacts, "sqlite:////a b/mlflow.db") == Path("/a b/artifacts/1/artifacts")
    assert tracking_uris.relative_artifacts("file:///a/artifacts", "sqlite:////a/mlflow.db") is None
    assert tracking_uris.relative_artifacts(artifacts, "http://host") is None
