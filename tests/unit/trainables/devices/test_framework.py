"""Framework view: a process that answers, lies, hangs or crashes; and the real one."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pytest

from trainables.backends.device import Device
from trainables.backends.driver import DriverGpu, DriverView
from trainables.devices import framework
from trainables.devices.framework import FrameworkView, framework_view, visible_gpus
from trainables.devices.probe import DEVICES, LOAD, MIXED, XLA

LOADED = {"stage": LOAD, "value": {"framework": "tensorflow", "version": "2.21.0", "packages": ["nvidia-cudnn-cu12"]}}
FOUND = {
    "stage": DEVICES,
    "value": [{"kind": "GPU", "name": "NVIDIA L4", "memory": 2**34}, {"kind": "CPU", "name": "C"}],
}


def seen(*rows: dict[str, Any], then: str = "", seconds: float = 20) -> FrameworkView:
    """Return the view of a process that prints rows and then does something."""
    lines = [f"print({json.dumps(json.dumps(row))}, flush=True)" for row in rows]
    return framework_view(seconds, (sys.executable, "-c", "\n".join(["import os, sys, time", *lines, then])))


def test_every_stage_is_reported() -> None:
    view = seen(LOADED, FOUND, {"stage": XLA, "value": True}, {"stage": MIXED, "error": "RuntimeError: no cuDNN"})
    assert (view.framework, view.version, view.packages) == ("tensorflow", "2.21.0", ("nvidia-cudnn-cu12",))
    assert view.gpus == (Device("GPU", "NVIDIA L4", 2**34),)
    assert view.works == {LOAD: True, DEVICES: True, XLA: True, MIXED: False}
    assert view.problems == {MIXED: "RuntimeError: no cuDNN"}


def test_a_crash_is_reported_with_its_stage_and_signal() -> None:
    view = seen(LOADED, FOUND, {"begin": XLA}, then="sys.stderr.write('bad driver\\n'); sys.stderr.flush(); os.abort()")
    assert view.problems == {XLA: "its process was ended by SIGABRT while compiling with XLA (bad driver)"}
    assert len(view.gpus) == 1


def test_a_hang_ends_in_time_also_if_a_grandchild_holds_the_pipes() -> None:
    began = time.monotonic()
    hang = "import subprocess; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    view = seen(LOADED, {"begin": DEVICES}, then=hang, seconds=2)
    assert view.problems == {DEVICES: "its process did not answer within 2 s while looking for devices"}
    assert time.monotonic() - began < 20


def test_what_libraries_print_between_the_lines_does_no_harm() -> None:
    view = seen(LOADED, then="print('hello'); print('[1, 2]'); print('3'); sys.exit(3)")
    assert view.problems == {LOAD: "its process ended with exit code 3 while importing it"}


def test_messages_about_gpus_are_kept_without_time_and_place() -> None:
    lines = [
        "I0000 00:00:17.39 315 port.cc:153] oneDNN is on",
        "E0000 00:00:17.3 31 a.cc:5] failed call to cuInit: 303",
    ]
    view = seen(LOADED, then=f"sys.stderr.write({chr(10).join(lines)!r})")
    assert view.said == ("failed call to cuInit: 303",)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_real_process_finds_a_cpu_xla_and_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    view = framework_view()
    assert view.framework in {"tensorflow", "jax"}
    assert [device.kind for device in view.devices] == ["CPU"]
    assert view.works == {LOAD: True, DEVICES: True, XLA: True, MIXED: True}
    assert view.problems == {}


@pytest.mark.parametrize(("chosen", "count"), [(None, 2), ("1", 1), ("0,1,2", 2), ("", 0), ("-1", 0)])
def test_gpus_may_be_hidden_from_a_process(chosen: str | None, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framework, "driver_view", lambda: DriverView(gpus=(DriverGpu("A"), DriverGpu("A"))))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == count
