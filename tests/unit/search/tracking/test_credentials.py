"""Credentials in the URI of a tracking store are refused, and never kept or shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.tracking.state import DeliveryState, write_state
from search.tracking.uri import redact, refuse_credentials, server_of_study, without_secrets
from tests.conftest import make_study
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
        "postgresql://host/runs?sslmode=require", "sqlite:////tmp/a@b/m:n.db", "databricks", "databricks://profile",
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


def test_a_server_that_only_the_study_names_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    write_state(tmp_path, DeliveryState(True, 0, 0), 1, "http://elsewhere:5000", {})
    assert server_of_study(tmp_path, "http://host:5000") == "http://host:5000"
    assert server_of_study(tmp_path, None) == "http://elsewhere:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert server_of_study(tmp_path, None) == server_of_study(tmp_path, "http://host:5000") == ""
    assert server_of_study(tmp_path, "http://other") == "http://other"
