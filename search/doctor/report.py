"""Report of the doctor: versions, devices, Ray, tracking store, data cache, what is wrong, and how to fix it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from search.doctor.ray_view import RayView, ray_view
from search.doctor.tracking_view import TrackingView, tracking_view
from trainables.data.cache import CACHE_FOLDER, cache_folder
from trainables.devices.diagnosis import DeviceReport, Problem, device_report
from trainables.devices.framework import FrameworkView
from trainables.devices.probe import LOAD, MIXED, XLA
from trainables.errors import InputError

NEEDED = ("assay", "keras", "tensorflow", "ray", "optuna", "mlflow", "numpy", "pandas", "scipy")
OPTIONAL = ("jax", "jaxlib", "jax-cuda12-plugin", "nvidia-cudnn-cu12", "nvidia-cublas-cu12")
SECONDS = 120.0
"""How long the framework, Ray and the tracking store may take, each."""
GIB = 2**30


@dataclass(frozen=True)
class CacheView:
    """The cache of decoded images.

    Args:
        folder: its folder, which need not exist yet.
        size: bytes of its content.
        free: bytes that are free on its disk.
        writable: whether this user can write there.
        problems: what is wrong.
    """

    folder: str = ""
    size: int = 0
    free: int = 0
    writable: bool = False
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class DoctorReport:
    """What the doctor found.

    Args:
        versions: by package; None for one that is not installed.
        devices: GPUs, as the driver and as the framework see them.
        ray: what Ray can allocate.
        tracking: the tracking store of new studies.
        cache: the cache of decoded images.
        problems: all that is wrong.
    """

    versions: dict[str, str | None]
    devices: DeviceReport
    ray: RayView
    tracking: TrackingView
    cache: CacheView
    problems: tuple[Problem, ...]

    @property
    def works(self) -> bool:
        """Whether everything that is needed works."""
        return not self.problems

    def document(self) -> dict[str, Any]:
        """Return the report as JSON; sizes are in bytes."""
        framework = self.devices.framework
        return {
            "works": self.works,
            "versions": self.versions,
            "driver": asdict(self.devices.driver),
            "framework": {
                "name": framework.framework or None,
                "version": framework.version or None,
                "devices": [asdict(device) for device in framework.devices],
                "xla": framework.works.get(XLA),
                "mixed_precision": framework.works.get(MIXED),
                "said": list(framework.said),
            },
            "ray": {"nodes": [asdict(node) for node in self.ray.nodes]},
            "tracking": {"store": self.tracking.store, "seconds": self.tracking.seconds},
            "cache": {key: value for key, value in asdict(self.cache).items() if key != "problems"},
            "problems": [asdict(problem) for problem in self.problems],
        }

    def rows(self) -> list[tuple[str, str]]:
        """Return the report as rows of a table."""
        driver, framework = self.devices.driver, self.devices.framework
        cache = self.cache
        return [
            ("versions", ", ".join(f"{name} {found}" for name, found in self.versions.items() if found)),
            ("driver", _joined([driver.version, *(_sized(gpu.name, gpu.memory) for gpu in driver.gpus)])),
            (framework.framework or "framework", _joined([_sized(one.name, one.memory) for one in framework.devices])),
            ("XLA", _state(framework, XLA)),
            ("mixed precision", _state(framework, MIXED)),
            *(
                ("Ray", f"{node.name}: {node.cpus:g} CPUs, {node.gpus:g} GPUs, {node.memory / GIB:.1f} GiB")
                for node in self.ray.nodes
            ),
            ("tracking store", self.tracking.store + _took(self.tracking.seconds)),
            ("data cache", f"{cache.folder}: {cache.size / 1e9:.2f} GB used, {cache.free / 1e9:.1f} GB free"),
        ]


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(filter(None, parts)) or "none"


def _sized(name: str, memory: int | None) -> str:
    return name if memory is None else f"{name} ({memory / GIB:.1f} GiB)"


def _state(framework: FrameworkView, stage: str) -> str:
    return {True: "works", False: "does not work", None: "not tried"}[framework.works.get(stage)]


def _took(seconds: float | None) -> str:
    return "" if seconds is None else f" (answered within {max(seconds, 0.01):.2f} s)"


def examine(address: str | None = None, seconds: float = SECONDS) -> DoctorReport:
    """Examine this installation. What may hang or crash runs in a separate process.

    Args:
        address: a Ray cluster, whose nodes are asked for their GPUs; None starts Ray on this machine for a moment.
        seconds: how long the framework, Ray and the tracking store may take, each.
    """
    with ThreadPoolExecutor() as pool:
        devices, ray, tracking = (
            pool.submit(device_report, seconds),
            pool.submit(ray_view, address, seconds),
            pool.submit(tracking_view, seconds),
        )
        cache, versions = cache_view(), installed()
        found = DoctorReport(versions, devices.result(), ray.result(), tracking.result(), cache, ())
    problems = [
        *_missing(versions), *found.devices.problems, *found.ray.problems, *([] if address else _unequal(found)),
        *found.tracking.problems, *cache.problems,
    ]  # fmt: skip
    return DoctorReport(versions, found.devices, found.ray, found.tracking, cache, tuple(problems))


def installed() -> dict[str, str | None]:
    """Return the versions of Python and of the packages that matter; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in (*NEEDED, *OPTIONAL):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _missing(versions: dict[str, str | None]) -> list[Problem]:
    absent = [name for name in NEEDED if versions[name] is None]
    if not absent:
        return []
    return [Problem(f"not installed: {', '.join(absent)}", "Install Assay with the extra `train`")]


def _unequal(report: DoctorReport) -> list[Problem]:
    """Return a problem if Ray can allocate another number of GPUs than the framework can use on this machine."""
    framework = report.devices.framework
    handed, usable = sum(node.gpus for node in report.ray.nodes), len(framework.gpus)
    if not report.ray.nodes or LOAD in framework.problems or handed == usable:
        return []
    what = f"Ray can allocate {handed:g} GPUs on this machine, but {framework.framework} can use {usable}"
    return [Problem(what, "Name the usable GPUs in CUDA_VISIBLE_DEVICES, such as CUDA_VISIBLE_DEVICES=0,1")]


def cache_view() -> CacheView:
    """Return place, size and state of the cache; nothing is created."""
    try:
        folder = cache_folder()
    except InputError as error:
        return CacheView(problems=(Problem(str(error), f"Set {CACHE_FOLDER} to a folder"),))
    there = next(path for path in (folder, *folder.parents) if path.exists())
    fault = _cannot_write(there)
    problems = [Problem(f"the data cache {folder} cannot be written: {fault}", f"Set {CACHE_FOLDER} to another folder")]
    return CacheView(
        folder=str(folder),
        size=_size(folder),
        free=shutil.disk_usage(there).free,
        writable=not fault,
        problems=tuple(problems if fault else ()),
    )


def _cannot_write(folder: Path) -> str:
    """Return why no file can be written into a folder, or nothing."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"{folder}: {error.strerror or error}"


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(place) / name).stat().st_size
            except OSError:  # removed meanwhile
                continue
    return total
