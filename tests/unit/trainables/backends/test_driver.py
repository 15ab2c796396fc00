"""NVIDIA driver: fakes of `nvidia-smi`, /proc, /dev and /sys that answer, fail and hang."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainables.backends.driver import DriverGpu, driver_view

ANSWER = "NVIDIA A100-SXM4-80GB, 81920, 570.86.15\nTesla T4, [N/A], 570.86.15"


def fake_smi(folder: Path, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the first folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nvidia_smi_is_asked_for_names_memory_and_version(tmp_path: Path, on_path: Path) -> None:
    fake_smi(on_path, f"cat <<END\n{ANSWER}\nEND")
    view = driver_view(tmp_path)
    assert view.gpus == (DriverGpu("NVIDIA A100-SXM4-80GB", 81920 * 2**20), DriverGpu("Tesla T4", None))
    assert (view.version, view.problem) == ("570.86.15", "")


def test_without_nvidia_smi_the_kernel_is_asked(tmp_path: Path, on_path: Path) -> None:
    proc = tmp_path / "proc/driver/nvidia"
    write(proc / "gpus/0000:01:00.0/information", "Model: \t\t NVIDIA L4\nIRQ: 16\n")
    write(proc / "version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\n")
    view = driver_view(tmp_path)
    assert (view.gpus, view.version, view.problem) == ((DriverGpu("NVIDIA L4"),), "535.104.05", "")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'NVIDIA-SMI has failed'; exit 9", "`nvidia-smi` ended with exit code 9: NVIDIA-SMI has failed"),
        ("exit 12", "`nvidia-smi` ended with exit code 12"),
        ("exec sleep 60", "`nvidia-smi` did not answer within 0.5 s"),
    ],
)
def test_a_broken_driver_is_a_problem_and_hangs_nothing(
    tmp_path: Path, on_path: Path, script: str, problem: str
) -> None:
    fake_smi(on_path, script)
    view = driver_view(tmp_path, seconds=0.5)
    assert view.gpus == ()
    assert problem in view.problem


def test_cards_without_a_driver_and_device_files_are_counted(tmp_path: Path, on_path: Path) -> None:
    for slot, vendor, kind in (("0", "0x10de", "0x030200"), ("1", "0x10de", "0x040300"), ("2", "0x8086", "0x030000")):
        write(tmp_path / "sys/bus/pci/devices" / slot / "vendor", f"{vendor}\n")
        write(tmp_path / "sys/bus/pci/devices" / slot / "class", f"{kind}\n")
    write(tmp_path / "dev/nvidia0", "")
    write(tmp_path / "dev/nvidiactl", "")
    view = driver_view(tmp_path)
    assert (view.cards, view.nodes, view.locked) == (1, (str(tmp_path / "dev/nvidia0"),), ())


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may open everything")
def test_device_files_that_the_user_may_not_open_are_named(tmp_path: Path, on_path: Path) -> None:
    write(tmp_path / "dev/nvidia0", "")
    (tmp_path / "dev/nvidia0").chmod(0)
    assert driver_view(tmp_path).locked == (str(tmp_path / "dev/nvidia0"),)
