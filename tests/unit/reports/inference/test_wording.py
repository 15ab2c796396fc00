"""Wording of verdicts: the same rounded numbers for terminal, page and Markdown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.inference import wording as text
from reports.inference.records import verdict_records
from reports.inference.verdicts import Effect, Verdict
from reports.statistics.estimators import Interval, Proportion
from reports.statistics.significance import SeedsNeeded
from tests.support.journal_builder import make_plan
from trainables.records import EQUIVALENT, HELPS, POINTS, TEST_ACCURACY, UNDECIDED, PlanRecord

PLAN = PlanRecord.parse(make_plan())
EFFECT = Effect(0.0042, 0.01, Interval(-0.0091, 0.0174), 0.3, 0.9, None)
VERDICT = Verdict(
    condition="resnet8-0.1",
    method="mixup",
    reference="baseline",
    metric=TEST_ACCURACY,
    unit=POINTS,
    verdict=UNDECIDED,
    on_this_test_set=False,
    for_these_searches=False,
    provisional=False,
    look=None,
    family=0,
    seeds=6,
    planned_seeds=6,
    searches=1,
    points=((0, 1),),
    value=0.865,
    reference_value=0.8608,
    tuned=EFFECT,
    matched=replace(EFFECT, mean=-0.001),
    official=None,
    images=Interval(-0.01, 0.02),
    other_searches=None,
    sign_flip_p=0.3,
    correlation=0.5,
    improvement=Proportion(4 / 6, Interval(0.22, 0.96)),
    equivalence_p=0.4,
    equivalence_p_adjusted=1.0,
    seeds_needed=SeedsNeeded(29, 67, 381),
    notes=("One thing.", "Another."),
)


def test_the_sentence_contains_comparison_condition_verdict_effect_and_interval() -> None:
    assert text.sentence(VERDICT, PLAN, 1) == (
        "mixup on resnet8 with 10 % of the data: undecided; +0.4 points, 95 % interval −0.9 to +1.7, 6 seeds."
    )


def test_a_reference_other_than_that_of_the_condition_is_named() -> None:
    other = replace(VERDICT, method="maxup", reference="maxup_mean")
    assert text.sentence(other, PLAN, 1).startswith("maxup against maxup_mean on resnet8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": HELPS}, "helps"),
        ({"verdict": HELPS, "on_this_test_set": True}, "helps on this test set"),
        ({"verdict": HELPS, "on_this_test_set": True, "provisional": True}, "helps on this test set, so far"),
        ({"tuned": None}, "no answer"),
        ({"tuned": None, "provisional": True}, "no answer yet"),
    ],
)
def test_the_label_includes_the_qualifications(changes: dict[str, object], words: str) -> None:
    assert text.label(replace(VERDICT, **changes)) == words


def test_equivalence_is_reported_with_its_margin() -> None:
    found = text.sentence(replace(VERDICT, verdict=EQUIVALENT), PLAN, 1)
    assert ": equivalent, less than 0.5 points apart; +0.4 points" in found


def test_a_single_seed_has_no_interval() -> None:
    found = replace(VERDICT, tuned=replace(EFFECT, interval=None, spread=None), seeds=1)
    assert text.sentence(found, PLAN, 1).endswith("undecided; +0.4 points, 1 seed.")
    assert text.verdict_table([found])[0].interval == "none"


def test_without_pairs_there_are_no_numbers() -> None:
    empty = replace(VERDICT, tuned=None, matched=None, improvement=None, images=None, seeds=0)
    assert text.sentence(empty, PLAN, 1).endswith("no answer; no seed has finished in both arms.")
    row = text.verdict_table([empty])[0]
    assert (row.effect, row.interval, row.matched, row.better, row.seeds) == ("", "", "", "", "0/6")


@pytest.mark.parametrize(
    ("fraction", "words"), [(0.0042, "+0.4"), (-0.0091, "−0.9"), (0.0, "0.0"), (-0.0004, "0.0"), (0.1, "+10.0")]
)
def test_signed_differences_have_no_negative_zero(fraction: float, words: str) -> None:
    assert text.signed(fraction, 1) == words


def test_narrow_intervals_get_a_second_decimal() -> None:
    narrow = replace(VERDICT, tuned=replace(EFFECT, interval=Interval(0.001, 0.008)))
    assert text.digits_for([VERDICT]) == 1
    assert text.digits_for([VERDICT, narrow]) == 2


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (SeedsNeeded(29, 67, 381), "29 to 381 seeds, probably about 67."),
        (SeedsNeeded(88, 219, None), "88 to more than 1000 seeds, probably about 219."),
        (SeedsNeeded(700, None, None), "700 to more than 1000 seeds."),
        (SeedsNeeded(None, None, None), "more than 1000 seeds."),
    ],
)
def test_the_seeds_needed_are_reported_as_a_range(needed: SeedsNeeded, words: str) -> None:
    found = text.seeds_sentence(replace(VERDICT, seeds_needed=needed), PLAN)
    assert found == f"Detecting a true effect of 0.5 points would require {words}"
    assert text.seeds_sentence(replace(VERDICT, seeds_needed=None), PLAN) == ""
    assert text.seeds_sentence(replace(VERDICT, seeds_needed=needed, provisional=True), PLAN) == ""


def test_the_table_row_contains_the_same_numbers_as_the_sentence_and_the_record() -> None:
    row, record = text.verdict_table([VERDICT])[0], verdict_records([VERDICT])[0]
    assert (row.effect, row.interval) == ("+0.4", "−0.9 to +1.7")
    assert row.matched == "−0.1 (−0.9 to +1.7)"
    assert row.better == "67 % (22 to 96)"
    assert row.notes == "One thing. Another."
    assert record["tuned_effect"] == pytest.approx(0.42)
    assert record["tuned_low"] == pytest.approx(-0.91)
    assert record["seeds_needed_high"] == 381


def test_text_in_markdown_cells_is_escaped() -> None:
    rows = text.verdict_table([replace(VERDICT, method="a|b\n<i>`*[x](y)")])
    lines = text.markdown_table(rows).splitlines()
    assert len(lines) == 3
    assert "a\\|b &lt;i&gt;\\`\\*\\[x](y)" in lines[2]
    assert lines[2].replace("\\|", "").count("|") == lines[0].count("|")
