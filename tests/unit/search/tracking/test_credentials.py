"""Credentials in the URI of a tracking store are refused, and never kept or shown."""

from __future__ import annotations

import pytest

from search.tracking.uri import refuse_credentials, without_secrets
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
