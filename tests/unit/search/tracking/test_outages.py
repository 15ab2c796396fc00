"""Outages: no wait lasts longer than stated, whatever a tracking server does; deletions in the UI are noticed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from search.tracking.deadline import Deadline, SilentServerError
from search.tracking.supervisor import Delivery
from trainables import records

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def hanging() -> Iterator[str]:
    """Address of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        accepted: list[socket.socket] = []

        def accept() -> None:
            with suppress(OSError):
                while True:
                    accepted.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in accepted:
            connection.close()


def closed() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def wrap_errors() -> None:
    """Do what MLflow does with every error of a request."""
    try:
        threading.Event().wait(30)
    except Exception as error:
        raise ValueError(f"API request failed: {error}") from error


def test_a_deadline_interrupts_whatever_waits_and_answers_extend_it() -> None:
    begin = time.monotonic()
    limited = Deadline(0.2, "http://host").limited()
    with pytest.raises(SilentServerError, match=r"http://host has not answered for 0.2 seconds"), limited:
        threading.Event().wait(30)
    assert time.monotonic() - begin < 5
    with pytest.raises(SilentServerError), Deadline(0.2, "http://host").limited():
        wrap_errors()
    deadline = Deadline(0.4, "http://host")
    with deadline.limited():
        for _ in range(4):
            time.sleep(0.2)
            deadline.extend()
    time.sleep(0.5)  # the timer is off


def test_reading_an_experiment_from_a_hanging_server_ends_in_time(hanging: str) -> None:
    pytest.importorskip("mlflow")
    for address in (hanging, closed()):
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "search.cli", "report", "--experiment", "x", "--timeout", "2"],
            env={**os.environ, "MLFLOW_TRACKING_URI": address},
            capture_output=True,
            text=True,
            check=False,
        )
        assert time.monotonic() - begin < 40  # of which the import of MLflow takes most
        assert done.returncode in {1, 2}
        assert "API request to" not in done.stderr or address != hanging
        assert done.stderr.startswith("error: MLflow at http://127.0.0.1:")
        assert "Traceback" not in done.stderr


class Stubborn(Delivery):
    """A delivery whose process neither ends nor heeds SIGTERM."""

    def ensure(self) -> None:
        if self._process is None:
            code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert self._process.stdout
            self._process.stdout.readline()


def test_the_end_of_a_delivery_is_bounded_even_if_its_process_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = Stubborn(tmp_path, "http://host:1")
    monkeypatch.setattr(delivery, "state", lambda: "missing")
    begin = time.monotonic()
    found: Any = delivery.finish(0.5)
    assert found == "missing"
    assert time.monotonic() - begin < 3
    assert delivery._process is not None
    assert delivery._process.poll() is not None
    delivery._process.stdout.close() if delivery._process.stdout else None


def test_a_deleted_parent_is_created_again_once_and_its_children_follow(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    from tests.support.mlflow_stores import Study

    study = Study(tmp_path / "study", f"sqlite:///{tmp_path}/mlflow.db")
    study.train("one")
    client = mlflow.MlflowClient(study.uri)
    with study.synchronizer() as synchronizer:
        assert synchronizer.round(last=False)
        first = study.parent()
        client.delete_run(first)
        study.train("two")
        assert synchronizer.round(last=False)
        second = study.parent()
        assert second != first
        assert {run.data.tags[records.TAG_PARENT] for run in study.children()} == {second}
        client.delete_experiment(client.get_run(second).info.experiment_id)
        study.train("three")
        synchronizer.round(last=False)
        study.finish()
        synchronizer.round(last=True)
        assert synchronizer.complete
    experiments = client.search_experiments(filter_string="name LIKE 'test%'")
    assert len(experiments) == 1
    found = client.search_runs([experiments[0].experiment_id])
    parents = [run for run in found if records.TAG_RUN not in run.data.tags]
    assert len(parents) == 1
    children = {
        run.data.tags[records.TAG_RUN]: run.data.tags[records.TAG_PARENT] for run in found if run not in parents
    }
    assert children == dict.fromkeys(("one", "two", "three"), parents[0].info.run_id)
    study.journal.close()
