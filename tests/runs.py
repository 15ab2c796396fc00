"""Runs for tests, written briefly."""

from __future__ import annotations

from typing import Any

from trainables import records
from trainables.records import Run


def run_of(
    name: str,
    phase: str,
    condition: str,
    arm: str,
    method: str,
    index: int,
    seed_index: int,
    audit: bool,
    config: dict[str, Any],
    parameters: dict[str, Any],
    searched: dict[str, Any] | None = None,
) -> Run:
    """Return a run whose trial or point, whichever its phase has, is `index`."""
    return Run(
        name=name,
        phase=phase,
        condition=condition,
        arm=arm,
        method=method,
        trial_index=index if phase == records.SEARCH else None,
        point_index=index if phase == records.CONFIRM else None,
        seed_index=seed_index,
        audit=audit,
        config=config,
        parameters=parameters,
        searched=searched or {},
    )
