"""Doctor: what works, hangs, crashes and is missing, with fakes for every process; and the command."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from search.cli import app
from search.doctor import report
from search.doctor.ray_view import RayNode, RayView, ray_view
from search.doctor.report import cache_view, examine, installed
from search.doctor.tracking_view import OWN, TrackingView, tracking_view
from trainables.backends.device import Device
from trainables.backends.driver import DriverGpu, DriverView
from trainables.devices.diagnosis import DeviceReport, Problem
from trainables.devices.framework import FrameworkView
from trainables.devices.probe import DEVICES, LOAD, MIXED, XLA

WORKS = {LOAD: True, DEVICES: True, XLA: True, MIXED: True}
CPU_ONLY = FrameworkView("tensorflow", "2.21.0", (), (Device("CPU", "CPU"),), WORKS)
NODE = RayNode("me (127.0.0.1)", 2, 0, 2**33)
HIDDEN = Problem("the driver sees 1 GPU (NVIDIA L4), but TensorFlow can use none", "Install CUDA")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def only(view: RayView | TrackingView) -> str:
    [problem] = view.problems
    return str(problem)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without a GPU on which everything works."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(report, "device_report", lambda seconds: DeviceReport(DriverView(), CPU_ONLY, ()))
    monkeypatch.setattr(report, "ray_view", lambda address, seconds: RayView((NODE,)))
    return monkeypatch


def test_a_machine_without_a_gpu_works(fakes: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["works"], found["problems"]) == (True, [])
    assert found["versions"]["tensorflow"]
    assert found["framework"] == {
        "name": "tensorflow",
        "version": "2.21.0",
        "devices": [{"kind": "CPU", "name": "CPU", "memory": None}],
        "xla": True,
        "mixed_precision": True,
        "said": [],
    }
    assert found["ray"]["nodes"][0]["cpus"] == 2
    assert found["tracking"] == {"store": OWN, "seconds": None}
    assert found["cache"]["writable"] is True
    text = CliRunner().invoke(app, ["doctor"]).stdout
    assert "no problems found" in text
    assert "2 CPUs, 0 GPUs, 8.0 GiB" in text


def test_a_gpu_that_the_framework_does_not_see_ends_with_its_remedy_and_exit_code_1(fakes: pytest.MonkeyPatch) -> None:
    driver = DriverView(gpus=(DriverGpu("NVIDIA L4", 2**34),), version="570.1")
    fakes.setattr(report, "device_report", lambda seconds: DeviceReport(driver, CPU_ONLY, (HIDDEN,)))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1
    assert "570.1, NVIDIA L4 (16.0 GiB)" in done.stdout
    assert f"problem: {HIDDEN.what}. Install CUDA" in done.stdout
    assert json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["problems"] == [
        {"what": HIDDEN.what, "remedy": "Install CUDA"}
    ]


def test_ray_and_the_framework_must_agree_on_the_gpus_of_this_machine(fakes: pytest.MonkeyPatch) -> None:
    fakes.setattr(report, "ray_view", lambda address, seconds: RayView((RayNode("me", 2, 1, 2**33),)))
    [problem] = examine().problems
    assert str(problem).startswith("Ray can allocate 1 GPUs on this machine, but tensorflow can use 0. Name the usable")
    assert examine(address="127.0.0.1:6379").problems == ()


def test_missing_packages_are_named(fakes: pytest.MonkeyPatch) -> None:
    fakes.setattr(report, "installed", lambda: {**installed(), "ray": None, "jax": None})
    [problem] = examine().problems
    assert str(problem) == "not installed: ray. Install Assay with the extra `train`"


def test_the_cache_is_measured_and_not_created(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "not" / "yet"))
    assert (cache_view().size, cache_view().writable, (tmp_path / "not").exists()) == (0, True, False)
    (tmp_path / "not/yet/deep").mkdir(parents=True)
    (tmp_path / "not/yet/deep/images.npy").write_bytes(b"x" * 1000)
    assert cache_view().size == 1000
    (tmp_path / "file").touch()
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "file" / "cache"))
    [problem] = cache_view().problems
    assert "cannot be written" in problem.what
    assert "Set ASSAY_CACHE to another folder" in problem.remedy


def test_the_answer_of_ray_is_read_and_its_end_is_told() -> None:
    node = {"name": "a", "cpus": 2.0, "gpus": 1.0, "memory": 1.0}
    answer = python(f"print('noise'); print({json.dumps({'nodes': [node], 'faults': ['node a: bad']})!r})")
    assert ray_view(None, 20, answer).nodes == (RayNode("a", 2.0, 1.0, 1.0),)
    assert only(ray_view(None, 20, answer)).startswith("node a: bad. Repair the node")
    assert "no cluster" in only(ray_view("h:1", 20, python('print(\'{"error": "no cluster"}\')')))
    crash = python("import os, sys; sys.stderr.write('out of memory'); sys.stderr.flush(); os.abort()")
    assert "its process was ended by SIGABRT (out of memory)" in only(ray_view(None, 20, crash))
    began = time.monotonic()
    assert "did not answer within 1 s" in only(ray_view(None, 1, python("import time; time.sleep(60)")))
    assert time.monotonic() - began < 20


def test_a_tracking_server_that_is_away_or_silent_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hunter2hunter2@host:5000")
    assert tracking_view(20, python("print(0.25)")) == TrackingView("http://***@host:5000", 0.25)
    gone = python("import sys; sys.exit('cannot reach http://me:hunter2hunter2@host:5000')")
    assert "cannot be reached: its process ended with exit code 1" in only(tracking_view(20, gone))
    assert "hunter2" not in only(tracking_view(20, gone))
    assert "did not answer within 1 s" in only(tracking_view(1, python("import time; time.sleep(60)")))


def test_sqlite_stores_are_not_created(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def view(path: Path) -> TrackingView:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
        return tracking_view(20, python("raise SystemExit('not asked')"))

    assert view(tmp_path / "new.db").store.endswith("new.db, which the first study creates")
    assert not (tmp_path / "new.db").exists()
    assert "is missing or not writable" in only(view(tmp_path / "gone" / "new.db"))
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)").connection.close()
    assert "is not an MLflow database" in only(view(tmp_path / "other.db"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "ftp://host")
    assert "no store with the scheme `ftp`" in only(tracking_view(20))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_real_command_sees_a_fake_nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With TensorFlow and Ray of this machine, which must have no GPU."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034, 570.86.15'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1, done.output
    found = json.loads(done.stdout)
    assert found["driver"]["gpus"] == [{"name": "NVIDIA L4", "memory": 23034 * 2**20}]
    assert [device["kind"] for device in found["framework"]["devices"]] == ["CPU"]
    assert (found["framework"]["xla"], found["framework"]["mixed_precision"]) == (True, True)
    assert len(found["ray"]["nodes"]) == 1
    assert "CUDA_VISIBLE_DEVICES is '-1' and hides the others: unset it" in found["problems"][0]["remedy"]
