"""Diagnosis: every cause leads to its remedy, and what works to none."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainables.backends.device import Device
from trainables.backends.driver import DriverGpu, DriverView
from trainables.devices.diagnosis import DeviceReport, missing_gpus, problems
from trainables.devices.framework import FrameworkView
from trainables.devices.probe import DEVICES, LOAD, MIXED

CARD = DriverGpu("NVIDIA A100", 2**36)
DRIVER = DriverView(gpus=(CARD,), version="570.86.15", nodes=("/dev/nvidia0",))
BLIND = FrameworkView("tensorflow", "2.21.0", ("nvidia-cudnn-cu12",), (Device("CPU", "CPU"),), {DEVICES: True})
SEEING = FrameworkView("tensorflow", "2.21.0", ("nvidia-cudnn-cu12",), (Device("GPU", "NVIDIA A100"),), {DEVICES: True})


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)


def only(driver: DriverView, framework: FrameworkView) -> str:
    [problem] = problems(driver, framework)
    return str(problem)


def test_nothing_is_wrong_with_equal_views_and_without_gpus() -> None:
    assert list(problems(DRIVER, SEEING)) == []
    assert list(problems(DriverView(), BLIND)) == []


def test_a_gpu_that_only_the_driver_sees_is_named_with_the_missing_extra() -> None:
    text = only(DRIVER, FrameworkView("tensorflow", "2", (), (), {DEVICES: True}))
    assert "the driver sees 1 GPU (NVIDIA A100), but TensorFlow can use none. Install CUDA with" in text
    assert "uv sync --extra cuda" in text
    assert "--extra jax-cuda" in only(DRIVER, FrameworkView("jax", "0.10", ("nvidia-cudnn-cu12",), (), {DEVICES: True}))


@pytest.mark.parametrize(
    ("driver", "framework", "remedy"),
    [
        (DriverView(gpus=(CARD,), version="470.1", nodes=("x",)), BLIND, "CUDA 12 needs 525 or newer"),
        (DriverView(gpus=(CARD,), version="570.1", nodes=("x",), locked=("x",)), BLIND, "This user may not open x"),
        (
            DRIVER,
            FrameworkView("tensorflow", "2", ("nvidia-cudnn-cu12",), (), {DEVICES: True}, {}, ("does not match DSO",)),
            "have different versions: restart the machine",
        ),
        (
            DRIVER,
            FrameworkView("tensorflow", "2", ("nvidia-cudnn-cu12",), (), {DEVICES: True}, {}, ("cuInit: 999",)),
            "Its log: cuInit: 999",
        ),
        (DriverView(problem="`nvidia-smi` failed"), BLIND, "reinstall the driver"),
        (DriverView(cards=2), BLIND, "Install the NVIDIA driver"),
        (DRIVER, FrameworkView(problems={LOAD: "ModuleNotFoundError"}), "Install Assay with the extra `train`"),
    ],
)
def test_a_cause_leads_to_its_remedy(driver: DriverView, framework: FrameworkView, remedy: str) -> None:
    assert remedy in only(driver, framework)


def test_variables_that_hide_gpus_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libcudart.so.11").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    assert f"names another CUDA ({tmp_path})" in only(DRIVER, BLIND)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert "CUDA_VISIBLE_DEVICES is '-1' and hides the others: unset it" in only(DRIVER, BLIND)


def test_a_gpu_that_cannot_compute_is_a_problem() -> None:
    broken = FrameworkView("tensorflow", "2", (), SEEING.devices, {DEVICES: True, MIXED: False}, {MIXED: "no cuDNN"})
    assert "TensorFlow does not work: no cuDNN. Install CUDA" in only(DRIVER, broken)


def test_runs_that_need_gpus_are_refused_with_the_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    def report(driver: DriverView, framework: FrameworkView) -> DeviceReport:
        return DeviceReport(driver, framework, tuple(problems(driver, framework)))

    assert missing_gpus(0, lambda: pytest.fail("nobody asked")) == ""
    assert missing_gpus(0.5, lambda: report(DRIVER, SEEING)) == ""
    none = missing_gpus(0.5, lambda: report(DriverView(), BLIND))
    assert none.startswith("a run needs 0.5 GPU, but TensorFlow can use none here: no NVIDIA driver was found")
    assert "the driver sees 1 GPU" in missing_gpus(1, lambda: report(DRIVER, BLIND))
    assert "JAX divides it among several" in missing_gpus(2, lambda: pytest.fail("nobody asked"))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert "the machine has 1 GPU" in missing_gpus(2, lambda: report(DRIVER, SEEING))
