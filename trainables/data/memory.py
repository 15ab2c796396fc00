"""Memory of the machine, and the share of it that images may take."""

from __future__ import annotations

import os
from pathlib import Path

HOST_SHARE = 0.5
"""Share of the memory that images may take which have to be in it."""
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files that contain the limit of this process's control group, in both versions of control groups."""
UNKNOWN = 2**63
"""Memory assumed for a machine that does not report it."""


def host_memory() -> int:
    """Return the memory that this process may use in bytes: that of the machine, or of its control group.

    Examples:
        >>> host_memory() > 2**20
        True
    """
    return min([_physical(), *(limit for limit in map(_limit, LIMITS) if limit)])


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
