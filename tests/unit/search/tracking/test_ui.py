"""The MLflow UI of a study: its command, its page, and the browser that opens it."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from search.store.delivery_state import DeliveryRecord, write_delivery
from search.tracking.browser import can_open, open_later
from search.tracking.ui import check_port, page_address, ui_arguments, ui_command
from tests.support.mlflow_stores import wait_until
from trainables.errors import InputError


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
    write_delivery(tmp_path, DeliveryRecord(experiment="7"))
    page = "/#/experiments/7?workflowType=machine_learning"
    assert page_address(tmp_path, own, "http://127.0.0.1:5001") == f"http://127.0.0.1:5001{page}"
    assert ui_command(tmp_path, server) == server  # the number is that of another store
    write_delivery(tmp_path, DeliveryRecord(uri=server, experiment="7"))
    assert ui_command(tmp_path, server) == f"http://host:5000{page}"


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be used.*--port"):
            check_port(port)
    check_port(port)


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
