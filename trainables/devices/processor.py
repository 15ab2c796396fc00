"""Processor: whether it multiplies bfloat16 numbers in hardware, as mixed precision needs to be fast."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
FLAGS = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""Names of these instructions on x86 and on ARM, as Linux lists them."""


def multiplies_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the first processor has such instructions; False where that cannot be read.

    Args:
        cpuinfo: Linux's description of the processors.
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    listed = next((line for line in lines if line.partition(":")[0].strip() in {"flags", "Features"}), "")
    return not FLAGS.isdisjoint(listed.partition(":")[2].split())
