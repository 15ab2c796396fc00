"""Test helpers: a real MLflow server, a study with a journal, and a proxy that injects faults between the two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from search.store.journal import Journal
from search.tracking.backlog import Backlog
from search.tracking.synchronizer import Synchronizer
from tests.support.runs import plan_of, run_of
from trainables import records
from trainables.records import EndDecision, JournalReader, Outcome, Run

FINALS = {"selection": 0.5, "test_accuracy": 0.25, "test_loss": 1.5}
COMPLETED = Outcome(records.COMPLETED, 3, "", FINALS)
LOST = -1  # an answer that never arrives
Trouble = Callable[[int, str], int]


class Server:
    """`mlflow server` on this machine."""

    def __init__(self, backend: Path, port: int) -> None:
        self.backend = backend
        self.port = port

    def start(self) -> None:
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
    def uri(self) -> str:
        """The server's database, which can be read while the server is down."""
        return f"sqlite:///{self.backend}"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    def kill(self) -> None:
        kill_group(self.process)


class Study:
    """A study folder with a journal, and access to its data in MLflow."""

    def __init__(self, folder: Path, uri: str, **plan: Any) -> None:
        folder.mkdir(exist_ok=True, parents=True)
        self.folder = folder
        self.uri = uri
        self.id = f"{folder.parent.name}-{folder.name}"
        self.journal = Journal.create(folder / records.JOURNAL_FILE)
        self.journal.set_meta_once(records.META_ID, self.id)
        self.journal.set_meta_once(
            records.META_PLAN, plan_of(plan.pop("name", self.id), **{"metric": "validation_loss", **plan}).dump()
        )
        self.journal.set_meta_once(records.META_FACTS, {"versions": {"keras": "3"}})
        (folder / records.STUDY_FILE).write_text(f"name: {self.id}\n")

    def announce(self, name: str, **parameters: Any) -> None:
        values = {"learning_rate": 0.1, "mixup.alpha": 0.2, **parameters}
        self.add(run_of(name, records.SEARCH, "all", "all: mixup", "mixup", 0, 0, False, {}, values))

    def add(self, run: Run) -> None:
        self.journal.add_runs([run])

    def report(self, name: str, first: int, last: int) -> None:
        for epoch in range(first, last + 1):
            metrics = {metric: epoch + i / 8 for i, metric in enumerate(records.EPOCH_METRICS)}
            self.journal.report(name, [(epoch, metrics)])

    def train(self, name: str, outcome: Outcome = COMPLETED, **parameters: Any) -> None:
        self.announce(name, **parameters)
        self.report(name, 1, outcome.epoch)
        self.journal.end(name, outcome)

    def finish(self) -> None:
        self.journal.decide(EndDecision(runs=len(self.journal.runs())))

    @contextmanager
    def synchronizer(self) -> Iterator[Synchronizer]:
        with closing(JournalReader.open(self.folder)) as source:
            yield Synchronizer(self.folder, self.uri, Backlog(source), lambda: True)

    def deliver(self) -> Synchronizer:
        """Run the last round of a new synchronizer."""
        with self.synchronizer() as synchronizer:
            synchronizer.round(last=True)
            return synchronizer

    def runs(self) -> dict[str, Any]:
        """The study's runs in MLflow by their names in the journal; the parent run has the study's name."""
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name(self.id)
        if experiment is None:
            return {}
        found = client.search_runs([experiment.experiment_id], max_results=1000)
        runs = {run.data.tags.get(records.TAG_RUN, run.info.run_name): run for run in found}
        assert len(runs) == len(found), "a run exists twice"
        return runs

    def parent(self) -> str:
        """MLflow's id of the parent run."""
        (parent,) = (run for run in self._found() if records.TAG_RUN not in run.data.tags)
        return str(parent.info.run_id)

    def children(self) -> list[Any]:
        return [run for run in self._found() if records.TAG_RUN in run.data.tags]

    def _found(self) -> list[Any]:
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        experiment = client.get_experiment_by_name(self.id)
        return client.search_runs([experiment.experiment_id], max_results=1000) if experiment else []

    def points(self) -> Counter[tuple[Any, ...]]:
        """All points in MLflow, as a multiset of (run, metric, step, value, timestamp)."""
        from mlflow import MlflowClient

        client = MlflowClient(self.uri)
        return Counter(
            (name, key, point.step, point.value, point.timestamp)
            for name, run in self.runs().items()
            for key in run.data.metrics
            for point in client.get_metric_history(run.info.run_id, key)
        )

    def truth(self) -> Counter[tuple[Any, ...]]:
        """All points of the journal, in the same form."""
        epochs = [(run, step, metrics, at) for _, run, step, metrics, at in self.journal.reports()]
        finals = [(run, end.epoch, end.metrics, at) for _, run, end, at in self.journal.outcomes()]
        return Counter(
            (run, key, step, value, int(at * 1000))
            for run, step, metrics, at in epochs + finals
            for key, value in metrics.items()
        )

    def log(self) -> str:
        return (self.folder / records.LOGS / records.DELIVERY_LOG).read_text()


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.1)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a process that was started in its own session, and its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def proxied(port: int, trouble: Trouble) -> Iterator[int]:
    """Run a proxy for a server; yield its port.

    Args:
        port: the server's.
        trouble: given the number and path of a request, returns 0 to pass it on, an HTTP status to refuse it with,
            or LOST to pass it on and drop the answer.
    """
    count, lock = iter(range(10**6)), Lock()

    class Faulty(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with lock:
                fate = trouble(next(count), self.path)
            if fate > 0:
                self.send_error(fate)
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
            if fate == LOST:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.getheader("Content-Type", "text/plain"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    for verb in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Faulty, f"do_{verb}", Faulty.forward)
    with ThreadingHTTPServer(("127.0.0.1", 0), Faulty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def deliver(folder: Path, uri: str) -> None:
    with closing(JournalReader.open(folder)) as source:
        backlog = Backlog(source)
        synchronizer = Synchronizer(folder, uri, backlog, lambda: True)
        while not synchronizer.finished:
            synchronizer.round(last=True)
            assert synchronizer.error == ""
