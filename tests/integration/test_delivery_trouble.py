"""Tests of the delivery when servers, answers, drivers or the process fail: nothing is lost or duplicated."""

import fcntl
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Event, Thread, Timer

import pandas as pd
import pytest
from mlflow import MlflowClient

from search.store.delivery_state import DeliveryState
from search.store.tracking_uri import own_store
from search.tracking.history import read_histories, read_runs
from search.tracking.mlflow_store import TrackingStore
from search.tracking.supervisor import start_delivery, sync
from tests.support.mlflow_stores import LOST, Study, kill_group, proxied, wait_until
from tests.support.ray_cluster import free_port
from trainables import records
from trainables.records import Outcome

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def test_a_creation_whose_answer_is_lost_leaves_no_duplicate(study, monkeypatch):
    study.train("one")
    study.train("two")
    create = TrackingStore._create
    lost = iter([True, True, False, True])

    def lose(self, name, tags, started):
        known = create(self, name, tags, started)
        if next(lost, False):
            raise ConnectionError("the answer is lost")
        return known

    monkeypatch.setattr(TrackingStore, "_create", lose)
    with study.synchronizer() as synchronizer:
        rounds = 0
        while not synchronizer.finished and rounds < 10:
            synchronizer.round(last=True)
            rounds += 1
    assert synchronizer.complete
    assert set(study.runs()) == {study.id, "one", "two"}
    assert study.points() == study.truth()


@pytest.mark.parametrize("place", ["server", "folder"])
@pytest.mark.parametrize("forged", ["experiment", "run"])
def test_a_store_that_somebody_sent_does_not_send_artifacts_elsewhere(tmp_path, place, forged):
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self):
            asked.append(self.path)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    elsewhere = tmp_path / "elsewhere"
    location = f"http://127.0.0.1:{server.server_port}" if place == "server" else elsewhere.as_uri()
    study = Study(tmp_path / "study", own_store(tmp_path / "study"))
    study.train("one")
    if forged == "experiment":
        MlflowClient(study.uri).create_experiment(study.id, artifact_location=location)
    else:
        study.deliver()
        with closing(sqlite3.connect(tmp_path / "study" / "mlflow.db")) as db, db:
            db.execute("UPDATE runs SET artifact_uri = ?", (location,))
    synchronizer = study.deliver()
    study.journal.close()
    server.shutdown()
    server.server_close()
    assert not synchronizer.complete
    assert "stores artifacts in" in synchronizer.error
    assert asked == []
    assert not elsewhere.exists()


def test_duplicates_of_a_late_creation_are_removed(study):
    study.train("one")
    study.deliver()
    client = MlflowClient(study.uri)
    for run in study.runs().values():
        client.create_run(run.info.experiment_id, tags=run.data.tags)
    assert study.deliver().complete
    runs = study.runs()
    assert runs["one"].data.tags[records.TAG_PARENT] == runs[study.id].info.run_id
    assert study.points() == study.truth()


def test_a_run_that_mlflow_refuses_does_not_hold_up_the_others(study, monkeypatch):
    study.train("bad", note="x")
    for i in range(3):
        study.train(f"good {i}")
    study.finish()
    log = TrackingStore.log

    def refuse(self, run_id, points=(), parameters=None, tags=None):
        if "note" in (parameters or {}):
            raise ValueError("INVALID_PARAMETER_VALUE")
        log(self, run_id, points, parameters, tags)

    monkeypatch.setattr(TrackingStore, "log", refuse)
    with study.synchronizer() as synchronizer:
        for _ in range(5):
            assert not synchronizer.finished
            synchronizer.round(last=True)
        assert synchronizer.finished
        assert not synchronizer.complete
        assert "INVALID_PARAMETER_VALUE" in synchronizer.error
    status = {name: run.info.status for name, run in study.runs().items() if name != "bad"}
    assert status == dict.fromkeys([study.id, "good 0", "good 1", "good 2"], "FINISHED")
    assert study.runs()["bad"].info.status == "KILLED", "no run is left running"
    assert study.runs()["bad"].data.tags[records.TAG_OUTCOME] == "undelivered"
    monkeypatch.undo()
    assert study.deliver().complete
    assert study.points() == study.truth()


def test_a_study_without_a_server_ends_in_time_and_reports_what_is_missing(study):
    study.train("one")
    study.announce("two")
    study.report("two", 1, 2)
    begin = time.monotonic()
    delivery = start_delivery(study.folder, f"http://127.0.0.1:{free_port()}")
    state = delivery.finish(timeout=1.0)
    assert time.monotonic() - begin < 60  # not the two minutes that a study waits for a server that may come back
    assert (state.complete, state.runs, state.epochs) == (False, 2, 5)


def test_two_processes_never_deliver_one_study_at_once(study):
    study.train("one")
    with (study.folder / records.DELIVERY_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = sync(study.folder, study.uri, timeout=6.0)
    assert (state.complete, state.runs, state.epochs) == (False, 1, 3)
    assert state.error
    assert study.runs() == {}


DRIVER = """
import os, signal, sys
from pathlib import Path
from search.tracking.supervisor import start_delivery
start_delivery(Path(sys.argv[1]), sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_delivery_outlives_a_killed_driver_and_then_ends(study):
    study.train("one")
    study.announce("two")
    study.report("two", 1, 2)
    driver = subprocess.run([sys.executable, "-P", "-c", DRIVER, study.folder, study.uri], check=False)
    assert driver.returncode == -signal.SIGKILL
    wait_until(lambda: "delivery ends" in study.log(), 60)
    said = json.loads((study.folder / records.DELIVERY_FILE).read_text())
    assert (said["complete"], said["runs"], said["points"]) == (True, 0, 0)
    assert study.runs()["two"].data.tags[records.TAG_OUTCOME] == "interrupted at epoch 2"
    assert study.points() == study.truth()


class Trouble:
    """Faults of requests: errors, lost answers, and, when armed, the death of the server during a batch."""

    def __init__(self, server):
        self.server = server
        self.armed = Event()

    def __call__(self, number, path):
        if self.armed.is_set() and path.endswith("/log-batch"):
            self.armed.clear()
            Timer(0.005, self.server.kill).start()
            return 0
        if number < 3 or number % 17 == 3:
            return (429, 500, 503)[number % 3]
        return LOST if number % 19 == 5 else 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_or_duplicated_whatever_dies(tmp_path, server):
    """The server is down at first, returns errors and is killed three times; the delivery process is killed once."""
    trouble = Trouble(server)
    server.kill()
    with proxied(server.port, trouble) as port:
        study = Study(tmp_path / "study", server.uri)
        study.announce("long")
        delivery = start_delivery(study.folder, f"http://127.0.0.1:{port}")
        try:
            for kill in range(3):
                for i in range(8):
                    study.train(f"{kill}-{i}")
                study.report("long", 20 * kill + 1, 20 * kill + 20)
                trouble.armed.set()
                server.start()
                wait_until(lambda: not trouble.armed.is_set() and server.process.poll() is not None, 300)
            kill_group(delivery._process)
            server.start()
            delivery.ensure()
            study.report("long", 55, 80)
            study.journal.end("long", Outcome(records.COMPLETED, 80, "", {"selection": 0.75}))
            study.finish()
            state = delivery.finish(timeout=300)
        finally:
            delivery.stop()
    assert state == DeliveryState(complete=True, runs=0, epochs=0)
    runs = study.runs()
    assert len(runs) == 26
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert study.points() == study.truth()
    histories = pd.concat(read_histories(server.address, read_runs(server.address, study.id)))
    assert Counter(histories["run"]) == Counter(run for _, run, _, _, _ in study.journal.reports())
    study.journal.close()
