"""Runs that Assay did not launch: any metric in either direction, and nothing is outstanding."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.data.frames import StudyData, study_from_frames
from reports.inference.records import verdict_records
from reports.inference.verdicts import judge
from reports.inference.wording import verdict_table
from trainables.records import ContrastRecord, Facts, ObservedRecord, PlanRecord, Unit

VALUES = {"control": [3.0, 3.2, 2.9, 3.1, 3.3], "treated": [2.0, 2.3, 1.9, 2.0, 2.2]}


def study(*, higher: bool, drop: tuple[str, int] | None = None) -> StudyData:
    unit = Unit("rmse", "rmse", "rmse", 1.0, 2, higher)
    plan = PlanRecord(
        name="foreign", metric="rmse", smallest_effect=0.0, alpha=0.05, seeds=5, points=1, trials_per_arm=0,
        conditions=(), arms=(), contrasts=(ContrastRecord(condition="all", method="treated", reference="control"),),
        observed=ObservedRecord(unit=unit, selection_higher_is_better=higher),
    )  # fmt: skip
    runs = [
        {"run": f"{arm}-{seed}", "phase": "confirm", "condition": "all", "arm": arm, "method": arm, "index": 0,
         "seed_index": seed, "audit": False, "parameters": {}, "searched": {}, "outcome": "completed", "epoch": 1,
         "reason": "", "metrics": {"selection": value, "rmse": value}}
        for arm, values in VALUES.items() for seed, value in enumerate(values) if (arm, seed) != drop
    ]  # fmt: skip
    return study_from_frames(plan, Facts(), pd.DataFrame(runs), [], [], {}, {})


@pytest.mark.parametrize(("higher", "verdict", "effect"), [(False, "helps", "+1.02"), (True, "hurts", "−1.02")])
def test_the_direction_of_a_metric_is_that_of_its_unit(higher: bool, verdict: str, effect: str) -> None:
    [found] = judge(study(higher=higher))
    [row] = verdict_table([found])
    assert (found.verdict, row.effect) == (verdict, effect)
    assert found.value == pytest.approx(2.08)
    assert verdict_records([found])[0]["unit"] == "rmse"


def test_a_missing_run_leaves_the_verdict_final() -> None:
    [found] = judge(study(higher=False, drop=("treated", 2)))
    assert (found.provisional, found.seeds, found.planned_seeds) == (False, 4, 5)
    assert "4 of the 5 seeds of the larger arm are in both arms." in found.notes
