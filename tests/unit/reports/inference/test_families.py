"""Families of claims: their data at looks, and when a decision is final."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reports.data.completeness import Look
from reports.data.frames import StudyData, read_study
from reports.inference.families import Family
from reports.statistics.estimators import Estimate
from tests.support.journal_builder import JournalBuilder, make_plan
from trainables import records
from trainables.records import HELPS, UNDECIDED

LARGE, NONE = Estimate(0.05, 0.001, 5), Estimate(0.001, 0.01, 5)


def study_with(folder: Path, seeds: int, settled_at: int | None = None) -> StudyData:
    """Return a study of two arms with looks at 4 and 8 seeds; `mixup` may be settled early."""
    plan = make_plan(
        {"a": {}}, ("baseline", "mixup"), points=1, trials_per_arm=0, seeds=8, looks=[4, 8], look_alphas=[0.02, 0.03]
    )
    with JournalBuilder(folder, plan) as journal:
        points = [{"k": 0, "arm": "baseline/a", "votes": 1, "values": {}}]
        journal.decide(records.POOL, {"condition": "a", "search": 0, "points": points})
        for method in ("baseline", "mixup"):
            own = min(seeds, settled_at or seeds) if method == "mixup" else seeds
            journal.cells("a", method, np.full((1, own), 0.8), np.full((1, own), 0.8))
        if settled_at:
            arms = [["a", "mixup"]]
            journal.decide(records.LOOK, {"look": 0, "seeds": settled_at, "settled": [], "arms": arms})
    return read_study(folder)


def family_of(study: StudyData, first: Estimate, second: Estimate) -> Family[tuple[int, Estimate]]:
    """Return a family of one claim about both arms, with one estimate at each look."""
    arms = [[("a", "baseline"), ("a", "mixup")]]
    return Family(study, arms, lambda look: [(look.seeds, first if look.seeds == 4 else second)])


@pytest.mark.parametrize(
    ("seeds", "first", "second", "look", "verdict", "provisional"),
    [
        (8, LARGE, NONE, Look(4, False, True), HELPS, False),
        (8, NONE, LARGE, Look(8, True, True), HELPS, False),
        (8, NONE, NONE, Look(8, True, True), UNDECIDED, False),
        (6, NONE, NONE, Look(8, True, False), UNDECIDED, True),
        (3, LARGE, LARGE, Look(4, False, False), HELPS, True),
    ],
)
def test_a_claim_is_final_once_its_look_or_if_undecided_the_last_look_is_complete(
    tmp_path: Path, seeds: int, first: Estimate, second: Estimate, look: Look, verdict: str, provisional: bool
) -> None:
    [claim] = family_of(study_with(tmp_path, seeds), first, second).judge(lambda data: data[1])
    assert (claim.look, claim.decision.verdict, claim.provisional) == (look, verdict, provisional)
    assert claim.data == (look.seeds, first if look.seeds == 4 else second)


def test_a_claim_with_a_settled_arm_keeps_its_decision(tmp_path: Path) -> None:
    [claim] = family_of(study_with(tmp_path, 8, settled_at=4), NONE, LARGE).judge(lambda data: data[1])
    assert (claim.look.seeds, claim.decision.verdict, claim.decision.estimate) == (4, UNDECIDED, NONE)


def test_an_arm_settled_before_the_first_look_gives_no_estimate(tmp_path: Path) -> None:
    [claim] = family_of(study_with(tmp_path, 8, settled_at=3), LARGE, LARGE).judge(lambda data: data[1])
    assert (claim.data, claim.decision.verdict, claim.decision.estimate) == ((4, LARGE), UNDECIDED, None)


def test_the_margin_can_be_other_than_that_of_the_plan(tmp_path: Path) -> None:
    same = Estimate(0.0, 0.0001, 5)
    family = family_of(study_with(tmp_path, 8), same, same)
    [[by_plan], *_], [[without], *_] = (family.decide(lambda data: data[1], margin) for margin in (None, 0.0))
    assert (by_plan.verdict, without.verdict) == (records.EQUIVALENT, UNDECIDED)
