"""Fixtures: MLflow stores for the tests of the delivery."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from search.tracking.client import ENVIRONMENT, open_client
from tests.support.mlflow_stores import Server, Study
from tests.support.ray_cluster import free_port


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One SQLite store for all tests, since creating a schema takes seconds; every test has its own study."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        uri = f"sqlite:///{path}"
        open_client(uri)
        yield uri


@pytest.fixture(scope="session")
def server(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that starts while other tests run, since that takes long."""
    backend = tmp_path_factory.mktemp("server") / "server.db"
    backend.write_bytes(Path(store.removeprefix("sqlite:///")).read_bytes())
    server = Server(backend, free_port())
    server.start()
    yield server
    server.kill()


@pytest.fixture
def study(tmp_path: Path, store: str) -> Iterator[Study]:
    study = Study(tmp_path / "study", store)
    yield study
    study.journal.close()
