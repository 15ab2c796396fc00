"""Memory of the machine and of its NVIDIA devices, as far as the system tells."""

from __future__ import annotations

import functools
import os
from pathlib import Path

from trainables.backends.driver import driver_view

LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files that hold the limit of this process's control group, in both versions of control groups."""
UNKNOWN = 2**63
"""Memory of a machine that does not tell."""


def host_memory() -> int:
    """Return the memory that this process may use in bytes: that of the machine, or of its control group.

    Examples:
        >>> host_memory() > 2**20
        True
    """
    return min([_physical(), *(limit for limit in map(_limit, LIMITS) if limit)])


@functools.cache
def nvidia_memory() -> int | None:
    """Return the memory of the smallest NVIDIA device in bytes, or None if the driver does not tell."""
    known = [gpu.memory for gpu in driver_view().gpus]
    return min((memory for memory in known if memory is not None), default=None)


def _physical() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # on Windows
        return UNKNOWN


def _limit(path: str) -> int:
    """Return the limit in a file, or 0 if there is none."""
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
