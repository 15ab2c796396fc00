"""Framework view: what TensorFlow or JAX can use, tried in a separate process, which may hang or crash."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainables.backends.device import GPU, Device
from trainables.backends.driver import driver_view
from trainables.backends.process import MODULE, Answer, bounded
from trainables.devices.probe import BEGIN, DEVICES, ERROR, LOAD, MIXED, STAGE, VALUE, XLA

SECONDS = 120.0
"""How long the process may take; the import of TensorFlow alone takes up to half a minute on a busy machine."""
STAGES = {
    LOAD: "importing it",
    DEVICES: "looking for devices",
    XLA: "compiling with XLA",
    MIXED: "computing a convolution in mixed precision",
}
SHARE = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""Variables of the process: log why a GPU is not used, and do not allocate all of its memory."""
TELLING = re.compile(r"dlopen|dynamic library|cuInit|CUDA_ERROR|cuda drivers|GPU libraries|DSO|cuDNN|jax_plugins", re.I)
"""Log lines of the libraries that explain why a GPU is not used."""
PROGRAM = (*MODULE, "trainables.devices.probe")


@dataclass(frozen=True)
class FrameworkView:
    """What the framework can use in a process with this environment.

    Args:
        framework: `tensorflow` or `jax`; empty if it could not be imported.
        version: its version.
        packages: packages of CUDA that are installed with it.
        devices: the devices that it can use.
        works: by stage of the probe, whether it works; stages that were not reached are missing.
        problems: by stage, what went wrong, in words.
        said: what the libraries said about GPUs, at most a few lines.
    """

    framework: str = ""
    version: str = ""
    packages: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    works: dict[str, bool] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def gpus(self) -> tuple[Device, ...]:
        """The GPUs that it can use."""
        return tuple(device for device in self.devices if device.kind == GPU)


def framework_view(seconds: float = SECONDS, program: Sequence[str] = PROGRAM) -> FrameworkView:
    """Return what the framework can use; a crash or a hang of its process is part of the answer.

    Args:
        seconds: how long the process may take.
        program: the process (see `trainables.devices.probe`).
    """
    return _view(bounded(program, seconds, SHARE))


def _view(answer: Answer) -> FrameworkView:
    """Return the view, from what the process answered."""
    rows = [row for row in map(_parsed, answer.out.splitlines()) if row]
    found = {row[STAGE]: row[VALUE] for row in rows if VALUE in row}
    problems = {row[STAGE]: str(row[ERROR]) for row in rows if ERROR in row}
    begun = [row[BEGIN] for row in rows if BEGIN in row]
    if answer.end:
        stage = begun[-1] if begun else LOAD
        problems.setdefault(stage, f"its process {answer.end} while {STAGES[stage]}{answer.last_message}")
    loaded = found.get(LOAD, {})
    return FrameworkView(
        framework=loaded.get("framework", ""),
        version=loaded.get("version", ""),
        packages=tuple(loaded.get("packages", ())),
        devices=tuple(Device(**device) for device in found.get(DEVICES, ())),
        works={stage: stage in found for stage in STAGES if stage in found or stage in problems},
        problems=problems,
        said=tuple(dict.fromkeys(_bare(line) for line in answer.messages.splitlines() if TELLING.search(line)))[-4:],
    )


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None  # a library has printed it
    return row if isinstance(row, dict) else None


def _bare(line: str) -> str:
    """Return a line of a log without time, process and place in the source."""
    return re.sub(r"^[IWEF]\d{4} \S+\s+\d+ \S+\] ", "", line.strip())[:300]


def visible_devices() -> str | None:
    """Return the value of CUDA_VISIBLE_DEVICES, or None."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def visible_gpus() -> int:
    """Return the number of GPUs that the driver sees and CUDA_VISIBLE_DEVICES does not hide from this process."""
    count, chosen = len(driver_view().gpus), visible_devices()
    if chosen is None:
        return count
    named = [name.strip() for name in chosen.split(",")]
    return min(count, sum(name not in ("", "-1") for name in named))


def library_path() -> str:
    """Return the value of LD_LIBRARY_PATH as far as it names folders with CUDA."""
    folders = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and any(Path(folder).glob("libcu*")))
