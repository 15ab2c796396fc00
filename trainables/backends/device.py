"""Device: what a backend trains on."""

from __future__ import annotations

from dataclasses import dataclass

GPU, CPU = "GPU", "CPU"


@dataclass(frozen=True)
class Device:
    """A device that a backend can use.

    Args:
        kind: `GPU` or `CPU`.
        name: its model, such as `NVIDIA A100-SXM4-80GB`.
        memory: the memory that the backend may allocate on it, in bytes; None if the backend does not report it.
    """

    kind: str
    name: str
    memory: int | None = None
