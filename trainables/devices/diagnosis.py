"""Diagnosis: why GPUs that the driver sees cannot be used, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from trainables.backends.driver import DriverView, driver_view
from trainables.backends.keras_settings import one_device
from trainables.devices.framework import SECONDS, FrameworkView, framework_view, library_path, visible_devices
from trainables.devices.probe import DEVICES, LOAD, MIXED, XLA

EXTRAS = {"tensorflow": ("cuda", "nvidia-cudnn-cu12"), "jax": ("jax-cuda", "jax-cuda12-plugin")}
"""By framework, the extra that installs CUDA for it, and a package that is there if it is installed."""
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX"}
OLDEST_DRIVER = 525
"""Oldest major version of the driver that runs CUDA 12, on Linux."""


@dataclass(frozen=True)
class Problem:
    """Something that is wrong.

    Args:
        what: what is wrong, in words.
        remedy: what to do about it.
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}"


@dataclass(frozen=True)
class DeviceReport:
    """GPUs of this machine from both sides, and what is wrong with them.

    Args:
        driver: what the driver sees.
        framework: what TensorFlow or JAX can use.
        problems: what is wrong.
    """

    driver: DriverView
    framework: FrameworkView
    problems: tuple[Problem, ...]


def device_report(seconds: float = SECONDS) -> DeviceReport:
    """Look at the devices of this machine, from a new process with this environment.

    Args:
        seconds: how long the framework may take.
    """
    driver, framework = driver_view(), framework_view(seconds)
    return DeviceReport(driver, framework, tuple(problems(driver, framework)))


def problems(driver: DriverView, framework: FrameworkView) -> Iterator[Problem]:
    """Yield what is wrong: with the driver, with the framework, and where the two differ."""
    if driver.problem:
        yield Problem(
            driver.problem,
            "The NVIDIA driver is broken: restart the machine, and reinstall the driver if that does not help",
        )
    elif driver.cards and not driver.gpus and not driver.nodes:
        yield Problem(
            f"{_count(driver.cards, 'NVIDIA card')} on the PCI bus, but no driver",
            "Install the NVIDIA driver of the system, then restart the machine",
        )
    name = NAMES.get(framework.framework, "the training framework")
    for stage, text in framework.problems.items():
        yield Problem(f"{name} does not work: {text}", _stage_remedy(stage, framework))
    seen, usable = len(driver.gpus), len(framework.gpus)
    if usable < seen and DEVICES in framework.works:
        yield Problem(
            f"the driver sees {_count(seen, 'GPU')} ({', '.join(sorted({gpu.name for gpu in driver.gpus}))}), "
            f"but {name} can use {usable or 'none'}",
            _cause(driver, framework),
        )


def _count(number: float, noun: str) -> str:
    return f"{number:g} {noun}{'' if number <= 1 else 's'}"


def _stage_remedy(stage: str, framework: FrameworkView) -> str:
    if stage == LOAD:
        return "Install Assay with the extra `train`; KERAS_BACKEND must be unset, `tensorflow` or `jax`"
    if not framework.gpus:
        return "Reinstall it in a new environment with the versions of constraints.txt"
    if stage in {XLA, MIXED}:
        return f"{_extra_remedy(framework)}; LD_LIBRARY_PATH must not name another CUDA"
    return "Restart the machine; if that does not help, reinstall the NVIDIA driver"


def _extra_remedy(framework: FrameworkView) -> str:
    extra, _ = EXTRAS.get(framework.framework, EXTRAS["tensorflow"])
    return f"Install CUDA with the extra `{extra}` of Assay (in a checkout: `uv sync --extra {extra}`)"


def _cause(driver: DriverView, framework: FrameworkView) -> str:
    """Return the remedies of all causes that apply."""
    causes = (_hidden, _not_installed, _out_of_reach, _too_old, _mismatched, _shadowed)
    if remedies := [remedy for cause in causes if (remedy := cause(driver, framework))]:
        return ". ".join(remedies)
    said = f" Its log: {' / '.join(framework.said)}" if framework.said else ""
    return f"Restart the machine, since the driver may have been updated while it ran.{said}"


def _hidden(driver: DriverView, framework: FrameworkView) -> str:
    visible = visible_devices()
    if visible is None:
        return ""
    return f"CUDA_VISIBLE_DEVICES is '{visible}' and hides the others: unset it"


def _out_of_reach(driver: DriverView, framework: FrameworkView) -> str:
    if driver.locked:
        nodes = ", ".join(driver.locked)
        return f"This user may not open {nodes}: join the group that owns it, often `video` or `render`"
    if not driver.nodes and Path("/.dockerenv").exists():
        return "The container has no /dev/nvidia*: start it with `--gpus all` and the NVIDIA Container Toolkit"
    return ""


def _not_installed(driver: DriverView, framework: FrameworkView) -> str:
    _, package = EXTRAS.get(framework.framework, EXTRAS["tensorflow"])
    return "" if package in framework.packages else _extra_remedy(framework)


def _too_old(driver: DriverView, framework: FrameworkView) -> str:
    major = driver.version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_DRIVER:
        return f"The driver is {driver.version}, but CUDA 12 needs {OLDEST_DRIVER} or newer: update it"
    return ""


def _mismatched(driver: DriverView, framework: FrameworkView) -> str:
    if any("DSO" in line or "version mismatch" in line for line in framework.said):
        return "The loaded driver and its library have different versions: restart the machine"
    return ""


def _shadowed(driver: DriverView, framework: FrameworkView) -> str:
    folders = library_path()
    return f"LD_LIBRARY_PATH names another CUDA ({folders}): unset it" if folders else ""


def missing_gpus(needed: float, look: Callable[[], DeviceReport] = device_report) -> str:
    """Return why runs that need GPUs cannot start on this machine, in words; empty if they can.

    Args:
        needed: GPUs of one run, a fraction of one or a whole number.
        look: looks at the devices.
    """
    if needed <= 0:
        return ""
    if fault := one_device(needed):
        return fault
    report = look()
    usable = len(report.framework.gpus)
    if usable >= needed and not report.framework.problems:
        return ""
    name = NAMES.get(report.framework.framework, "the training framework")
    found = " ".join(f"{problem}." for problem in report.problems) or _none_there(report.driver)
    return f"a run needs {_count(needed, 'GPU')}, but {name} can use {usable or 'none'} here: {found}"


def _none_there(driver: DriverView) -> str:
    if driver.gpus:
        return f"the machine has {_count(len(driver.gpus), 'GPU')}."
    return "no NVIDIA driver was found (no `nvidia-smi` on PATH, no /proc/driver/nvidia)."
