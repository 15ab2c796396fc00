"""Credentials in the URI of a tracking store are refused, and never kept or shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.store.delivery_state import DeliveryRecord, write_delivery
from search.store.tracking_uri import (
    check_location,
    chosen_by_study,
    own_store,
    redact,
    refuse_credentials,
    store_uri,
    without_secrets,
)
from tests.support.studies import make_study
from trainables.errors import InputError

SECRET = "s3cr3tpw"


@pytest.mark.parametrize(
    "uri",
    [
        f"http://me:{SECRET}@127.0.0.1:9", f"https://{SECRET}@host", f"http://:{SECRET}@host:5000/x",
        f"http://me:{SECRET}%40%2F@host", f"http://me:{SECRET}/x@host", f"http://me@x:{SECRET}@host",
        f"http://host:5000/?token={SECRET}", f"http://host/a?x=1&access_token={SECRET}&y=2",
        f"http://host/#api_key={SECRET}", f"http://host/?API-KEY=1&client_secret={SECRET}", f"http://h?%74oken={SECRET}",
        f"postgresql://me:{SECRET}@host/runs", f"mysql+pymysql://me:a@{SECRET}@host/runs",
        f"postgresql://host/runs?user=me&password={SECRET}", f"mssql+pyodbc://me:{SECRET}@host/runs?driver=x",
        f"postgresql+psycopg2://me:{SECRET}?x@host:5432/runs",
    ],
)  # fmt: skip
def test_credentials_in_a_study_are_refused(uri: str) -> None:
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI") as caught:
        make_study(tracking={"uri": uri})
    assert SECRET not in str(caught.value)
    assert SECRET not in without_secrets(uri)
    refuse_credentials(without_secrets(uri))


@pytest.mark.parametrize(
    "uri",
    [
        "http://host:5000", "https://host/mlflow?workspace=a%40b", "http://[::1]:5000", "postgresql://me@host/runs",
        "sqlite:////tmp/a@b/m:n.db", "databricks", "databricks://profile",
    ],
)  # fmt: skip
def test_uris_without_credentials_stay(uri: str) -> None:
    assert without_secrets(uri) == uri
    refuse_credentials(uri)


def test_a_wrong_type_does_not_show_the_secret() -> None:
    with pytest.raises(InputError) as caught:
        make_study(tracking=f"http://me:{SECRET}@host")
    assert SECRET not in str(caught.value)


def test_the_working_directory_is_no_secret_and_a_password_under_a_short_name_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PWD", "/home/me/runs")
    monkeypatch.setenv("DB_PWD", SECRET)
    assert redact(f"/home/me/runs/fashion {SECRET}") == "/home/me/runs/fashion ***"


def test_a_store_that_only_the_study_names_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_delivery(tmp_path, DeliveryRecord(uri="http://elsewhere:5000"))
    assert chosen_by_study(tmp_path, "http://host:5000") == "http://host:5000"
    assert chosen_by_study(tmp_path, None) == "http://elsewhere:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert chosen_by_study(tmp_path, None) == chosen_by_study(tmp_path, "http://host:5000") == ""
    assert chosen_by_study(tmp_path, "http://other") == "http://other"
    assert chosen_by_study(tmp_path, f"sqlite:///{tmp_path}/all.db") == f"{tmp_path}/all.db"
    assert chosen_by_study(tmp_path, own_store(tmp_path)) == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/all.db")
    assert chosen_by_study(tmp_path, None) == ""


def test_the_password_of_the_users_own_store_may_hold_any_character(monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"postgresql://me:{SECRET}?x@host:5432/runs"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert redact(f"no connection to {uri}!") == "no connection to postgresql://***@host:5432/runs!"


def test_options_of_a_database_driver_are_those_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "mysql+pymysql://host/runs?local_infile=1"
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(InputError, match=r"options for its driver.*set the environment variable MLFLOW_TRACKING_URI"):
        store_uri(tmp_path, uri)
    write_delivery(tmp_path, DeliveryRecord(uri=uri))
    with pytest.raises(InputError, match="options for its driver"):
        store_uri(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert store_uri(tmp_path) == store_uri(tmp_path, uri) == uri


@pytest.mark.parametrize(
    "location", ["s3://bucket/x", "https://host/x", "file:///etc/x", "file://host/tmp/x", "/etc/x", "assay:/../x"]
)
def test_a_sqlite_store_does_not_send_artifacts_elsewhere(location: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"outside of its folder|leads out of the folder"):
        check_location(location, own_store(tmp_path / "study"), tmp_path / "study")


def test_artifacts_beside_a_store_and_in_the_study_are_allowed(tmp_path: Path) -> None:
    study, shared = tmp_path / "study", f"sqlite:///{tmp_path}/shared/all.db"
    for uri in (own_store(study), shared):
        check_location(f"{study.as_uri()}/artifacts/1", uri, study)
        check_location("assay:/artifacts/1/artifacts", uri, study)
    check_location(f"{tmp_path}/shared/mlruns/0", shared, study)
    check_location("s3://bucket/x", "http://host:5000", study)


def test_a_link_beside_a_store_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "artifacts").symlink_to("/etc")
    with pytest.raises(InputError, match="outside of its folder"):
        check_location("assay:/artifacts/1", f"sqlite:///{tmp_path}/shared/all.db", tmp_path / "study")
