"""NVIDIA driver: the GPUs that it sees, from `nvidia-smi`, /proc and /dev, without CUDA."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.backends.process import bounded

QUERY = ("--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits")
SECONDS = 20.0
"""How long `nvidia-smi` may take; with a broken driver it can hang."""
NVIDIA = "0x10de"
"""Vendor number of NVIDIA on the PCI bus."""
DISPLAY = "0x03"
"""Prefix of the class of graphics cards and accelerators on the PCI bus."""
MEBI = 2**20


@dataclass(frozen=True)
class DriverGpu:
    """A GPU that the driver sees.

    Args:
        name: its model.
        memory: its memory in bytes, or None if the source does not report it.
    """

    name: str
    memory: int | None = None


@dataclass(frozen=True)
class DriverView:
    """What the NVIDIA driver sees on this machine.

    Args:
        gpus: the GPUs, from `nvidia-smi`, or from /proc/driver/nvidia if that does not answer.
        version: version of the driver, or empty.
        cards: number of NVIDIA cards on the PCI bus, with or without a driver.
        nodes: device files of GPUs, such as /dev/nvidia0.
        locked: those of them that this user may not open.
        problem: why `nvidia-smi` did not answer, in words; empty if it did, or is not installed.
    """

    gpus: tuple[DriverGpu, ...] = ()
    version: str = ""
    cards: int = 0
    nodes: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    problem: str = ""


def driver_view(root: Path = Path("/"), seconds: float = SECONDS) -> DriverView:
    """Return what the driver sees.

    Args:
        root: root of the file system that contains /proc, /dev and /sys.
        seconds: how long `nvidia-smi` may take.
    """
    gpus, version, problem = _asked(seconds)
    nodes = sorted(str(path) for path in (root / "dev").glob("nvidia[0-9]*"))
    return DriverView(
        gpus=gpus or _listed(root / "proc/driver/nvidia/gpus"),
        version=version or _loaded_version(root / "proc/driver/nvidia/version"),
        cards=sum(map(_is_card, (root / "sys/bus/pci/devices").glob("*"))),
        nodes=tuple(nodes),
        locked=tuple(node for node in nodes if not _opens(Path(node))),
        problem=problem,
    )


@functools.cache
def nvidia_memory() -> int | None:
    """Return the memory of the smallest NVIDIA device in bytes, or None if the driver does not report it."""
    known = [gpu.memory for gpu in driver_view().gpus]
    return min((memory for memory in known if memory is not None), default=None)


def _asked(seconds: float) -> tuple[tuple[DriverGpu, ...], str, str]:
    """Ask `nvidia-smi`; return GPUs, the driver's version, and the problem."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return (), "", ""
    answer = bounded((program, *QUERY), seconds)
    if answer.end:
        said = " ".join((answer.out + " " + answer.messages).split())[:300]
        return (), "", f"`nvidia-smi` {answer.end}{': ' if said else ''}{said}"
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.out.splitlines() if line.strip()]
    whole = [row for row in rows if len(row) == len(QUERY[0].split(","))]
    return tuple(DriverGpu(name, _bytes(memory)) for name, memory, _ in whole), _first(whole), ""


def _first(rows: Sequence[Sequence[str]]) -> str:
    return rows[0][-1] if rows else ""


def _bytes(mebibytes: str) -> int | None:
    return int(mebibytes) * MEBI if mebibytes.isdigit() else None


def _listed(folder: Path) -> tuple[DriverGpu, ...]:
    """Return the GPUs that the kernel's driver lists in /proc."""
    return tuple(DriverGpu(_field(path, "Model:") or "NVIDIA GPU") for path in sorted(folder.glob("*/information")))


def _loaded_version(path: Path) -> str:
    """Return the version of the kernel's driver, for example 570.86.15."""
    words = _field(path, "NVRM version:").split()
    return next((word for word in words if word[0].isdigit() and "." in word), "")


def _field(path: Path, name: str) -> str:
    """Return the value of a line `NAME VALUE` of a small file, or nothing."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.removeprefix(name).strip() for line in lines if line.startswith(name)), "")


def _is_card(device: Path) -> bool:
    """Return whether a device on the PCI bus is a GPU of NVIDIA."""
    try:
        return (device / "vendor").read_text().strip() == NVIDIA and (device / "class").read_text().startswith(DISPLAY)
    except OSError:
        return False


def _opens(node: Path) -> bool:
    try:
        node.open("rb").close()
    except PermissionError:
        return False
    except OSError:
        return True  # it is there, and what is wrong with it is not its permissions
    return True
