"""Delivery to real MLflow stores: what MLflow's client reads there is held against the journal."""

import fcntl
import json
import math
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import pytest

from search.journal import Journal, Outcome, Run
from search.tracking.client import ENVIRONMENT
from search.tracking.courier import Courier
from search.tracking.delivery import DeliveryState, start_delivery, sync
from search.tracking.mapping import StudyCard
from search.tracking.outbox import Outbox, Source
from search.tracking.store import TrackingStore
from search.tracking.ui import ui_command
from trainables import records

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")

COMPLETED = Outcome(records.COMPLETED, 3, "", {"selection": 0.5, "test_accuracy": 0.25, "test_loss": 1.5})


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """One SQLite store for all tests, since a new schema costs seconds; every test has its own study."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        uri = f"sqlite:///{path}"
        assert TrackingStore(uri, path.parent, StudyCard("first", "first"), 0).client
        yield uri


@pytest.fixture(scope="session")
def server(store, tmp_path_factory):
    """A server that starts while other tests run: it takes longer than any of them."""
    backend = tmp_path_factory.mktemp("server") / "server.db"
    backend.write_bytes(Path(store.removeprefix("sqlite:///")).read_bytes())
    server = Server(backend, free_port())
    server.start()
    yield server
    server.kill()


class Server:
    """`mlflow server` on this machine."""

    def __init__(self, backend, port):
        self.backend = backend
        self.port = port

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        places = ["--backend-store-uri", self.uri, "--artifacts-destination", str(self.backend.parent / "kept")]
        self.process = subprocess.Popen(
            [*command, *places, "--workers", "1"],
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def uri(self):
        return f"sqlite:///{self.backend}"

    def kill(self):
        kill_group(self.process)


class Study:
    """A study's folder with a journal, and what MLflow holds of it."""

    def __init__(self, folder, uri, plan=None):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.uri = uri
        self.id = f"{folder.parent.name}-{folder.name}"
        self.journal = Journal.create(folder / records.JOURNAL_FILE)
        self.journal.set_meta(records.META_ID, self.id)
        self.journal.set_meta(records.META_PLAN, {"name": self.id, "seeds": 2, "conditions": [], **(plan or {})})
        self.journal.set_meta(records.META_FACTS, {"versions": {"keras": "3"}})
        (folder / records.STUDY_FILE).write_text(f"name: {self.id}\n")

    def announce(self, name, **parameters):
        parameters = {"learning_rate": 0.1, "mixup.alpha": 0.2, **parameters}
        self.journal.add_runs([Run(name, records.SEARCH, "all", "all: mixup", "mixup", 0, 0, False, {}, parameters)])

    def report(self, name, first, last):
        for epoch in range(first, last + 1):
            metrics = {metric: epoch + i / 8 for i, metric in enumerate(records.EPOCH_METRICS)}
            self.journal.report(name, [(epoch, metrics)])

    def train(self, name, outcome=COMPLETED, **parameters):
        self.announce(name, **parameters)
        self.report(name, 1, outcome.epoch)
        self.journal.end(name, outcome)

    @contextmanager
    def courier(self):
        with closing(Source.read(self.folder)) as source:
            yield Courier(self.folder, self.uri, Outbox(source), lambda: True)

    def deliver(self):
        """One last round of a courier who knows nothing yet."""
        with self.courier() as courier:
            courier.round(last=True)
            return courier

    def runs(self):
        """The study's runs in MLflow by name; the parent is called by the study's name."""
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name(self.id)
        if experiment is None:
            return {}
        found = client.search_runs([experiment.experiment_id], max_results=1000)
        runs = {run.info.run_name: run for run in found}
        assert len(runs) == len(found), "a run is there twice"
        return runs

    def points(self):
        """All points in MLflow, as a multiset of (run, metric, step, value, timestamp)."""
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        return Counter(
            (name, key, point.step, point.value, point.timestamp)
            for name, run in self.runs().items()
            for key in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, key)
        )

    def truth(self):
        """All points of the journal, in the same form."""
        epochs = [(run, step, metrics, at) for _, run, step, metrics, at in self.journal.reports()]
        finals = [(run, end.epoch, end.metrics, at) for _, run, end, at in self.journal.outcomes()]
        return Counter(
            (run, key, step, value, int(at * 1000))
            for run, step, metrics, at in epochs + finals
            for key, value in metrics.items()
        )


@pytest.fixture
def study(tmp_path, store):
    study = Study(tmp_path / "study", store)
    yield study
    study.journal.close()


@pytest.mark.usefixtures("server")
def test_every_run_is_there_once_with_all_it_says(study):
    study.train("one")
    study.train("two", Outcome(records.STOPPED, 2, "", {"selection": 0.25}))
    study.train("three", Outcome(records.DIVERGED, 1, "", {}))
    study.train("four", Outcome(records.FAILED, 0, "out of memory", {}))
    courier = study.deliver()
    assert (courier.finished, courier.complete, courier.error) == (True, True, "")
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
    assert parent.data.params == {"seeds": "2"}


def test_delivering_again_changes_nothing(study):
    from mlflow import MlflowClient

    study.train("one")
    study.train("two")
    study.deliver()
    before = {name: run.to_dictionary() for name, run in study.runs().items()}
    client = MlflowClient(study.uri)
    client.update_run(study.runs()["one"].info.run_id, status="RUNNING")  # as if killed before the last step
    assert study.deliver().complete
    assert {name: run.to_dictionary() for name, run in study.runs().items()} == before
    assert study.points() == study.truth()


def test_a_resumed_study_goes_on_under_its_own_ids(study):
    study.announce("one")
    study.report("one", 1, 2)
    study.deliver()
    first = study.runs()
    assert first["one"].info.status == first[study.id].info.status == "KILLED"
    assert first["one"].data.tags[records.TAG_OUTCOME] == "interrupted at epoch 2"
    assert first[study.id].data.tags[records.TAG_OUTCOME] == "interrupted"
    with study.courier() as courier:
        courier.round(last=False)
        assert study.runs()[study.id].info.status == "RUNNING"
        assert study.runs()["one"].info.status == "KILLED", "nothing new has come of it yet"
        study.report("one", 3, 3)
        study.journal.end("one", COMPLETED)
        courier.round(last=True)
    second = study.runs()
    assert {name: run.info.run_id for name, run in second.items()} == {
        name: run.info.run_id for name, run in first.items()
    }
    assert {run.info.status for run in second.values()} == {"FINISHED"}
    assert study.points() == study.truth()


def test_a_living_run_is_running_and_its_reports_are_collected(study, monkeypatch):
    study.announce("one")
    study.report("one", 1, 1)
    with study.courier() as courier:
        courier.round(last=False)
        assert set(study.runs()) == {study.id}, "the first report is not old enough"
        monkeypatch.setattr("search.tracking.courier.PATIENCE", 0.0)
        courier.round(last=False)
        assert study.runs()["one"].info.status == "RUNNING"
        assert study.runs()["one"].data.tags[records.TAG_OUTCOME] == "running"
        assert study.points() == study.truth()
        assert not courier.finished


def test_a_creation_whose_answer_is_lost_leaves_no_twin(study, monkeypatch):
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
    with study.courier() as courier:
        rounds = 0
        while not courier.finished and rounds < 10:
            courier.round(last=True)
            rounds += 1
    assert courier.complete
    assert set(study.runs()) == {study.id, "one", "two"}
    assert study.points() == study.truth()


def test_twins_of_a_creation_that_arrived_late_are_removed(study):
    from mlflow import MlflowClient

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
    log = TrackingStore.log

    def refuse(self, run_id, points=(), parameters=None, tags=None):
        if "note" in (parameters or {}):
            raise ValueError("INVALID_PARAMETER_VALUE")
        log(self, run_id, points, parameters, tags)

    monkeypatch.setattr(TrackingStore, "log", refuse)
    with study.courier() as courier:
        for _ in range(5):
            assert not courier.finished
            courier.round(last=True)
        assert courier.finished
        assert not courier.complete
        assert "INVALID_PARAMETER_VALUE" in courier.error
    status = {name: run.info.status for name, run in study.runs().items() if name != "bad"}
    assert status == dict.fromkeys([study.id, "good 0", "good 1", "good 2"], "FINISHED")
    assert study.runs()["bad"].info.status == "KILLED", "no run is left running"
    assert study.runs()["bad"].data.tags[records.TAG_OUTCOME] == "undelivered"
    monkeypatch.undo()
    assert study.deliver().complete
    assert study.points() == study.truth()


def test_what_a_user_deletes_in_mlflow_stays_deleted(study):
    from mlflow import MlflowClient

    study.train("one")
    study.train("two")
    study.deliver()
    MlflowClient(study.uri).delete_run(study.runs()["one"].info.run_id)
    assert study.deliver().complete
    assert set(study.runs()) == {study.id, "two"}


def test_a_deleted_experiment_gets_a_successor(study):
    from mlflow import MlflowClient

    study.train("one")
    study.deliver()
    client = MlflowClient(study.uri)
    client.delete_experiment(client.get_experiment_by_name(study.id).experiment_id)
    assert study.deliver().complete
    experiment = client.get_experiment_by_name(f"{study.id} {study.id[:8]}")
    assert len(client.search_runs([experiment.experiment_id])) == 2


def test_long_values_are_kept_whole_as_artifacts(study):
    from mlflow import MlflowClient

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


def test_numbers_that_are_not_finite_arrive_once(study):
    study.announce("one")
    study.journal.report("one", [(1, {"train_loss": math.nan}), (2, {"train_loss": math.inf})])
    study.journal.end("one", Outcome(records.DIVERGED, 2, "", {}))
    study.deliver()
    (study.folder / "again").mkdir()
    before = [(step, str(value)) for _, _, step, value, _ in study.points().elements()]
    from mlflow import MlflowClient

    MlflowClient(study.uri).update_run(study.runs()["one"].info.run_id, status="RUNNING")
    assert study.deliver().complete
    after = [(step, str(value)) for _, _, step, value, _ in study.points().elements()]
    assert sorted(after) == sorted(before)
    assert [step for step, _ in sorted(after)] == [1, 2]


def test_the_folder_is_the_store_and_holds_no_credentials(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    study = Study(tmp_path / "my study", "")
    secret = "http://me:geheim@host:5000"
    study.train("one", Outcome(records.FAILED, 1, f"no answer from {secret}/x", {}), server=secret)
    (study.folder / records.STUDY_FILE).write_text(f"tracking: {{uri: '{secret}'}}\n")
    report = study.folder / records.REPORT
    (report / "figures").mkdir(parents=True)
    (report / "index.html").write_text(f"<p>{secret}")
    (report / "figures" / "one.png").write_bytes(b"\x89PNG")
    state = sync(study.folder, timeout=60)
    study.journal.close()
    assert state == DeliveryState(complete=True, runs=0, points=0)
    kept = [path for path in (study.folder / records.ARTIFACTS).rglob("*") if path.is_file()]
    assert {path.name for path in kept} == {"study.yaml", "facts.json", "index.html", "one.png"}
    assert [path.parent.name for path in kept if path.name == "one.png"] == ["figures"]
    for path in [
        study.folder / records.MLFLOW_FILE,
        study.folder / records.LOGS / records.DELIVERY_LOG,
        *kept,
    ]:
        assert b"geheim" not in path.read_bytes(), path
    words = shlex.split(ui_command(study.folder))
    assert words[words.index("--backend-store-uri") + 1] == f"sqlite:///{study.folder}/mlflow.db"


def test_a_study_without_a_server_ends_in_time_and_says_what_is_missing(study):
    study.train("one")
    study.announce("two")
    study.report("two", 1, 2)
    begin = time.monotonic()
    delivery = start_delivery(study.folder, f"http://127.0.0.1:{free_port()}")
    state = delivery.finish(timeout=1.0)
    assert time.monotonic() - begin < 8
    assert (state.complete, state.runs, state.points) == (False, 2, 5)


def test_two_deliveries_of_one_study_never_work_at_once(study):
    study.train("one")
    with (study.folder / records.DELIVERY_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = sync(study.folder, study.uri, timeout=1.0)
    assert state == DeliveryState(False, 1, 3, "another process is delivering this study")
    assert study.runs() == {}


DRIVER = """
import os, signal, sys
from pathlib import Path
from search.tracking.delivery import start_delivery
start_delivery(Path(sys.argv[1]), sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_delivery_outlives_a_killed_driver_and_then_ends(study):
    study.train("one")
    study.announce("two")
    study.report("two", 1, 2)
    driver = subprocess.run([sys.executable, "-P", "-c", DRIVER, study.folder, study.uri], check=False)
    assert driver.returncode == -signal.SIGKILL
    wait_until(lambda: "delivery ends" in log_of(study), 60)
    said = json.loads((study.folder / records.DELIVERY_FILE).read_text())
    assert (said["complete"], said["runs"], said["points"]) == (True, 0, 0)
    assert study.runs()["two"].data.tags[records.TAG_OUTCOME] == "interrupted at epoch 2"
    assert study.points() == study.truth()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_nothing_is_lost_or_doubled_whatever_dies(tmp_path, server):
    """The server is away at first, answers with errors, is killed; so is the delivery, in the middle."""
    with proxied(server.port) as faulty:
        study = Study(tmp_path / "study", server.uri)
        for i in range(10):
            study.train(f"early {i}")
        study.announce("long")
        study.report("long", 1, 20)
        delivery = start_delivery(study.folder, f"http://127.0.0.1:{faulty}")
        try:
            wait_until(lambda: "early 2" in study.runs(), 90)
            kill_group(delivery._process)
            server.kill()
            for i in range(10):
                study.train(f"late {i}")
            study.report("long", 15, 40)
            server.start()
            delivery.ensure()
            study.journal.end("long", Outcome(records.COMPLETED, 40, "", {"selection": 0.75}))
            state = delivery.finish(timeout=60)
        finally:
            delivery.stop()
    assert state == DeliveryState(complete=True, runs=0, points=0)
    runs = study.runs()
    assert len(runs) == 22
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert study.points() == study.truth()
    study.journal.close()


def log_of(study):
    return (study.folder / records.LOGS / records.DELIVERY_LOG).read_text()


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kill_group(process):
    """SIGKILL a process that we started in a session of its own, and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def proxied(port):
    """A proxy before the server that now and then answers 503, and now and then loses the answer."""
    count, lock = iter(range(10**6)), Lock()

    class Faulty(BaseHTTPRequestHandler):
        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                number = next(count)
            if number < 2 or number % 17 == 3:
                self.send_error(503)
                return
            try:
                with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    content = answer.read()
            except (OSError, HTTPException):
                with suppress(OSError):
                    self.send_error(502)
                return
            if number % 19 == 5:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format, *args):
            pass

    for verb in ("GET", "POST", "PUT", "PATCH"):
        setattr(Faulty, f"do_{verb}", Faulty.forward)
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()
