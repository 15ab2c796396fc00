"""Interim looks, families and extensions: when a claim is decided, and whether its verdict is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from reports.data.frames import read_study
from reports.data.overview import missing_runs, runs_saved_by_looks, summarise_arms
from reports.inference.verdicts import Verdict, decided_arms, judge
from reports.inference.wording import reach_sentence
from reports.page.faq import questions
from reports.statistics.estimators import Estimate, over_seeds
from reports.statistics.group_sequential import decide
from reports.statistics.significance import holm
from tests.support.journal_builder import JournalBuilder, make_plan
from trainables import records
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED

TWO = {"a": {"train_fraction": 0.1}, "b": {"train_fraction": 0.2}}
LOOKS = {"points": 1, "seeds": 12, "looks": [6, 12], "look_alphas": [0.02, 0.03]}
NOISE = np.tile([0.002, -0.001, 0.001, -0.002, 0.0015, -0.0015], 4)


def journal_of(folder: Path, arms: dict[str, float], seeds: int, plan: dict[str, Any]) -> JournalBuilder:
    """Return a journal in which `METHOD/CONDITION` differs from a baseline of 0.8 by the given effect plus `NOISE`."""
    journal = JournalBuilder(folder, plan)
    for condition in plan["conditions"]:
        name = condition["name"]
        base = np.full((1, seeds), 0.8)
        journal.cells(name, "baseline", base, base)
        for arm, effect in arms.items():
            method, _, where = arm.partition("/")
            if where in ("", name):
                test = base + effect + NOISE[:seeds] * (1 if abs(effect) > 0.01 else 20)
                journal.cells(name, method, test, test)
    points = [{"k": 0, "arm": "baseline/a", "votes": 1, "values": {}}]
    for name in TWO:
        journal.decide(records.POOL, {"condition": name, "search": 0, "points": points})
    return journal


def look_plan(methods: Sequence[str] = ("baseline", "mixup"), **changes: object) -> dict[str, Any]:
    return make_plan(TWO, methods, trials_per_arm=0, **{**LOOKS, **changes})


def by_condition(verdicts: Sequence[Verdict]) -> dict[str, Verdict]:
    return {verdict.condition: verdict for verdict in verdicts}


def test_a_decided_claim_keeps_its_verdict_and_values_while_seeds_are_added(tmp_path: Path) -> None:
    with journal_of(tmp_path, {"mixup/a": 0.05, "mixup/b": 0.004}, 12, look_plan()):
        pass
    found = by_condition(judge(read_study(tmp_path)))
    assert (found["a"].verdict, found["a"].look, found["a"].seeds, found["a"].planned_seeds) == (HELPS, 6, 6, 6)
    assert (found["b"].verdict, found["b"].look, found["b"].seeds, found["b"].planned_seeds) == (
        UNDECIDED,
        None,
        12,
        12,
    )
    assert not found["a"].provisional
    plan = read_study(tmp_path).plan
    assert reach_sentence(found["a"], plan, 1) == "Decided at the interim look after 6 of at most 12 seeds."
    assert reach_sentence(found["b"], plan, 1) == ""


def test_p_values_of_a_look_are_compared_with_its_share_of_alpha(tmp_path: Path) -> None:
    with journal_of(tmp_path, {"mixup/a": 0.05, "mixup/b": 0.004}, 12, look_plan()):
        pass
    found = by_condition(judge(read_study(tmp_path)))
    first = stats.ttest_1samp(0.05 + NOISE[:6], 0).pvalue  # the conditions differ in spread
    second = stats.ttest_1samp(0.004 + 20 * NOISE[:12], 0).pvalue
    early, late = found["a"].tuned, found["b"].tuned
    assert early is not None
    assert late is not None
    assert early.p_adjusted == pytest.approx(2 * first * 0.05 / 0.02)
    assert late.p_adjusted == pytest.approx(min(1, second * 0.05 / 0.03))  # the other claim is settled


def test_a_look_is_not_final_before_all_of_its_runs_have_ended(tmp_path: Path) -> None:
    with journal_of(tmp_path, {"mixup/a": 0.05}, 6, look_plan()) as journal:
        journal.cells("b", "mixup", np.full((1, 3), 0.84), 0.84 + NOISE[None, :3])
    study = read_study(tmp_path)
    found = by_condition(judge(study))
    assert found["a"].verdict == HELPS
    assert found["a"].provisional
    assert found["a"].look is None
    assert "Other claims that are tested together with this one are not complete yet." in found["a"].notes
    assert found["b"].notes[0] == (
        "Seeds completed so far: 3 of 6; the next look takes place once all runs with these seeds have ended."
    )
    assert decided_arms(study, 6) == set()


def test_arms_with_only_decided_claims_are_settled(tmp_path: Path) -> None:
    arms = {"mixup": 0.05, "cutmix/a": -0.05, "cutmix/b": 0.004}
    with journal_of(tmp_path, arms, 6, look_plan(("baseline", "mixup", "cutmix"))):
        pass
    study = read_study(tmp_path)
    assert decided_arms(study, 6) == {("a", "baseline"), ("a", "mixup"), ("a", "cutmix"), ("b", "mixup")}
    assert decided_arms(study, 5) == set()


def test_a_settled_condition_needs_no_more_seeds(tmp_path: Path) -> None:
    with journal_of(tmp_path, {"mixup/a": 0.05, "mixup/b": 0.004}, 6, look_plan()) as journal:
        journal.decide(records.LOOK, {"look": 0, "seeds": 6, "settled": ["a"]})
        for seed in range(6, 12):
            for method, test in (("baseline", 0.8), ("mixup", 0.804 + 20 * NOISE[seed])):
                journal.end(journal.run("b", method, seed=seed), selection=float(test), test=float(test))
    study = read_study(tmp_path)
    found = by_condition(judge(study))
    assert (found["a"].look, found["a"].notes) == (
        6,
        ("Predictions of single images are not recorded, so the verdict cannot be generalised to other images.",),
    )
    assert not found["b"].provisional
    assert missing_runs(summarise_arms(study)) == []
    assert decided_arms(study, 12) == {("a", "baseline"), ("a", "mixup")}
    most = study.plan.seeds  # arms of "a" have 6 of them
    assert runs_saved_by_looks(study) == (2 * (most - 6), 4 * most)
    answers = " ".join(one.answer for one in questions(study.plan, judge(study), [], runs_saved_by_looks(study)))
    assert f"saved {2 * (most - 6)} of {4 * most} confirmation runs" in answers


def test_an_undecided_claim_waits_for_the_next_look(tmp_path: Path) -> None:
    with journal_of(tmp_path, {"mixup/a": 0.05, "mixup/b": 0.004}, 9, look_plan()):
        pass
    found = by_condition(judge(read_study(tmp_path)))
    assert found["a"].look == 6
    assert (found["b"].seeds, found["b"].planned_seeds, found["b"].provisional) == (9, 12, True)


def test_families_are_corrected_separately(tmp_path: Path) -> None:
    plan = make_plan({"a": TWO["a"]}, ("baseline", "mixup", "cutmix"), points=1, trials_per_arm=0)
    plan["contrasts"][1]["family"] = 1
    with JournalBuilder(tmp_path, plan) as journal:
        base = np.full((1, 6), 0.8)
        journal.cells("a", "baseline", base, base)
        for method in ("mixup", "cutmix"):
            journal.cells("a", method, base, base + 0.004 + NOISE[:6])
    study = read_study(tmp_path)
    verdicts = judge(study)
    assert [verdict.family for verdict in verdicts] == [0, 1]
    assert all(verdict.tuned and verdict.tuned.p_adjusted == verdict.tuned.p for verdict in verdicts)
    answers = " ".join(question.answer for question in questions(study.plan, verdicts, [], runs_saved_by_looks(study)))
    assert "1 claim was fixed before the first run" in answers
    assert "1 claim was added later" in answers


@pytest.mark.parametrize(("seeds_before", "exploratory"), [(3, True), (6, False)])
def test_claims_extended_after_results_are_exploratory_unless_decided_before(
    tmp_path: Path, seeds_before: int, exploratory: bool
) -> None:
    with journal_of(tmp_path, {"mixup/a": 0.05, "mixup/b": 0.004}, 12, look_plan()) as journal:
        before = look_plan(seeds=seeds_before)
        journal.decide(records.EXTEND, {"what": ["seeds from 6 to 12"], "exploratory": True, "plan": before})
    found = by_condition(judge(read_study(tmp_path)))
    note = "Exploratory: the study was extended after results could be seen (seeds from 6 to 12)."
    assert (note in found["a"].notes) is exploratory
    assert note in found["b"].notes


def estimates(*means: float | None) -> list[Estimate | None]:
    return [None if mean is None else Estimate(mean, 0.001, 9) for mean in means]


def test_the_share_of_a_found_difference_passes_to_the_other_claims() -> None:
    looks = decide([estimates(0.02, 0.0025), estimates(0.02, 0.0025)], [0.025, 0.025], 0.05, 0)
    assert [one.verdict for one in looks[0]] == [HELPS, UNDECIDED]
    single = 2 * stats.t.sf(2.5, 9)
    assert looks[0][1].p_adjusted == pytest.approx(2 * single)  # the last of two steps, at half of alpha
    assert looks[1][1].p_adjusted == pytest.approx(2 * single)
    assert looks[1][0] == looks[0][0]


def test_a_claim_without_data_keeps_its_earlier_decision() -> None:
    looks = decide([estimates(0.003, None), estimates(None, -0.02)], [0.025, 0.025], 0.05, 0)
    assert looks[0][1].verdict == UNDECIDED
    assert looks[1][0] == looks[0][0]
    assert (looks[1][1].verdict, looks[1][1].look) == (HURTS, 1)


def test_equivalence_is_decided_at_a_look_and_kept() -> None:
    looks = decide([estimates(0.0), estimates(0.02)], [0.025, 0.025], 0.05, 0.01)
    assert [one[0].verdict for one in looks] == [EQUIVALENT, EQUIVALENT]


def test_a_look_without_a_share_of_alpha_decides_nothing() -> None:
    assert decide([estimates(0.02)], [0.0], 0.05, 0)[0][0].verdict == UNDECIDED


def test_a_single_look_equals_holm() -> None:
    rng = np.random.default_rng(3)
    differences = [rng.normal(0.5, 1, 10) for _ in range(5)]
    (found,) = decide([[over_seeds(one) for one in differences]], [0.05], 0.05, 0)
    expected = holm([float(stats.ttest_1samp(one, 0).pvalue) for one in differences])
    assert [one.p_adjusted for one in found] == pytest.approx(expected)


def test_three_looks_keep_the_error_rate_and_uncorrected_looks_do_not() -> None:
    """Simulate equal methods: the family-wise error rate holds although conditions stop once all is decided."""
    rng = np.random.default_rng(17)
    studies, wrong, careless = 500, 0, 0
    for _ in range(studies):
        differences = rng.normal(0, 1, (3, 24))
        found = [[over_seeds(one[:seeds]) for one in differences] for seeds in (6, 12, 24)]
        wrong += any(one.verdict != UNDECIDED for one in decide(found, [0.01, 0.02, 0.02], 0.05, 0)[-1])
        careless += any(one.verdict != UNDECIDED for one in decide(found, [0.05, 0.05, 0.05], 0.05, 0)[-1])
    assert wrong / studies <= 0.065
    assert careless / studies > 0.07
