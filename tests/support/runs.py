"""Runs for tests, written briefly."""

from __future__ import annotations

from typing import Any

from trainables import records
from trainables.records import PlanRecord, Run


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


def plan_of(name: str, **changes: Any) -> PlanRecord:
    """Return the plan of a study of mixup against the baseline under one condition."""
    arms = [
        {"name": f"all: {method}", "method": method, "condition": "all", "cost": 1.0, "reference": method == "baseline"}
        for method in ("baseline", "mixup")
    ]
    return PlanRecord.parse(
        {
            "name": name,
            "metric": records.VALIDATION_ACCURACY,
            "smallest_effect": 0.01,
            "alpha": 0.05,
            "seeds": 2,
            "points": 1,
            "trials_per_arm": 1,
            "conditions": [{"name": "all", "values": {}, "epochs": 3, "selection_epochs": 3, "rungs": []}],
            "arms": arms,
            "contrasts": [{"condition": "all", "method": "mixup", "reference": "baseline"}],
            **changes,
        }
    )
