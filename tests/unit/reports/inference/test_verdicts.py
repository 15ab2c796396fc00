"""Verdicts: which runs count, the decision rule, and the caveats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reports.data.frames import StudyData, read_study
from reports.data.overview import missing_runs, pooled_points, summarise_arms
from reports.inference.paired_cells import paired_cells
from reports.inference.verdicts import Verdict, judge
from tests.support.journal_builder import JournalBuilder, make_plan, simulate_study
from trainables import records
from trainables.records import EQUIVALENT, HELPS, HURTS, UNDECIDED

ONE = {"c": {"model": "resnet8"}}
PAIR = ("mixup", "baseline")
SEEDS = np.array([0.0, 0.004, -0.003, 0.006, -0.005, 0.001])  # shared by both arms
LUCK = np.array([0.002, -0.001, 0.001, -0.002, 0.0015, -0.0005])  # not shared


def one_contrast(folder: Path, fill: Callable[[JournalBuilder], None], **changes: object) -> StudyData:
    """Return a study with one contrast; `fill` writes its confirmation runs."""
    changes = {"seeds": 6, "points": 1, **changes}
    with JournalBuilder(folder, make_plan(ONE, ("baseline", "mixup"), **changes)) as journal:
        fill(journal)
    return read_study(folder)


def effect_of(mean: float) -> Callable[[JournalBuilder], None]:
    """Return a writer of six seeds at one point whose differences have the given mean and vary by `LUCK`."""

    def fill(journal: JournalBuilder) -> None:
        base = (0.85 + SEEDS)[None]
        journal.cells("c", "baseline", base, base)
        journal.cells("c", "mixup", base + mean, base + mean + LUCK - LUCK.mean())

    return fill


def grids(**cells: np.ndarray) -> Callable[[JournalBuilder], None]:
    """Return a writer of test accuracies (points, seeds) by method; points are selected on the same values."""

    def fill(journal: JournalBuilder) -> None:
        for method, test in cells.items():
            journal.cells("c", method, test, test)

    return fill


@pytest.mark.parametrize(("mean", "verdict"), [(0.02, HELPS), (-0.02, HURTS), (0.0005, EQUIVALENT), (0.004, UNDECIDED)])
def test_the_four_verdicts(tmp_path: Path, mean: float, verdict: str) -> None:
    changes = {"smallest_effect": 0.005} if verdict != UNDECIDED else {"smallest_effect": 0.001, "alpha": 1e-4}
    (found,) = judge(one_contrast(tmp_path, effect_of(mean), **changes))
    assert found.verdict == verdict
    assert found.tuned is not None
    assert found.tuned.mean == pytest.approx(mean)
    assert found.seeds == found.planned_seeds == 6
    assert not found.provisional


def test_equivalence_takes_precedence_over_a_small_but_certain_difference(tmp_path: Path) -> None:
    (found,) = judge(one_contrast(tmp_path, effect_of(0.003), smallest_effect=0.02))
    assert found.tuned is not None
    assert found.tuned.p_adjusted < 0.05
    assert found.verdict == EQUIVALENT


def test_the_tuned_effect_equals_scipys_paired_t_test_at_the_chosen_points(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    baseline = 0.8 + rng.normal(0, 0.01, (3, 6))
    mixup = 0.82 + rng.normal(0, 0.01, (3, 6))
    (found,) = judge(one_contrast(tmp_path, grids(baseline=baseline, mixup=mixup), points=3))
    own, other = int(mixup.mean(axis=1).argmax()), int(baseline.mean(axis=1).argmax())
    expected = stats.ttest_rel(mixup[own], baseline[other])
    assert found.points == ((own, other),)
    assert found.tuned is not None
    assert found.matched is not None
    assert found.tuned.p == pytest.approx(expected.pvalue)
    assert found.matched.p == pytest.approx(stats.ttest_1samp((mixup - baseline).mean(axis=0), 0).pvalue)
    assert found.value == pytest.approx(mixup[own].mean())
    assert found.reference_value == pytest.approx(baseline[other].mean())


def test_a_loss_as_selection_metric_is_minimised(tmp_path: Path) -> None:
    def fill(journal: JournalBuilder) -> None:
        loss = np.array([[0.9] * 6, [0.4] * 6])
        for method in ("baseline", "mixup"):
            journal.cells("c", method, loss, np.array([0.7 + LUCK, 0.8 + LUCK]))

    (found,) = judge(one_contrast(tmp_path, fill, points=2, metric=records.VALIDATION_LOSS))
    assert found.points == ((1, 1),)


def test_a_seed_counts_only_if_both_arms_finished_it_at_every_kept_point(tmp_path: Path) -> None:
    baseline, mixup = np.full((2, 6), 0.8), np.full((2, 6), 0.9)
    baseline[0, 1] = np.nan
    mixup[1, 4] = np.nan
    cells = paired_cells(one_contrast(tmp_path, grids(baseline=baseline, mixup=mixup), points=2), "c", PAIR)
    assert cells.seeds.tolist() == [0, 2, 3, 5]
    assert cells.incomplete == (1, 4)
    assert cells.test.shape == cells.selection.shape == cells.runs.shape == (2, 2, 4)


def test_a_point_that_one_arm_rarely_finishes_is_left_out_of_both(tmp_path: Path) -> None:
    baseline, mixup = np.full((2, 6), 0.8), np.full((2, 6), 0.9)
    mixup[1, :4] = np.nan
    study = one_contrast(tmp_path, grids(baseline=baseline, mixup=mixup), points=2)
    cells = paired_cells(study, "c", PAIR)
    assert cells.points.tolist() == [0]
    assert cells.left_out == (1,)
    assert len(cells.seeds) == 6
    (found,) = judge(study)
    assert "Setting 1 is left out: too few seeds were completed there by both arms." in found.notes


def test_the_family_is_defined_by_the_plan_and_not_by_finished_runs(tmp_path: Path) -> None:
    alone = make_plan(ONE, ("baseline", "mixup"), points=1)
    many = make_plan(ONE, ("baseline", "mixup", *(f"m{i}" for i in range(9))), points=1)
    found: list[Verdict] = []
    for name, plan in (("alone", alone), ("many", many)):
        with JournalBuilder(tmp_path / name, plan) as journal:
            effect_of(0.004)(journal)
        found.append(judge(read_study(tmp_path / name))[0])
    few, full = (verdict.tuned for verdict in found)
    assert few is not None
    assert full is not None
    assert few.p_adjusted == pytest.approx(few.p)
    assert full.p_adjusted == pytest.approx(min(1.0, 10 * full.p))


def test_only_undecided_claims_report_the_seeds_they_would_need(tmp_path: Path) -> None:
    undecided = judge(one_contrast(tmp_path / "a", effect_of(0.004), alpha=1e-4, smallest_effect=0.003))[0]
    decided = judge(one_contrast(tmp_path / "b", effect_of(0.02)))[0]
    assert undecided.verdict == UNDECIDED
    assert undecided.seeds_needed is not None
    assert decided.seeds_needed is None


def test_the_seeds_needed_do_not_depend_on_claims_of_another_family(tmp_path: Path) -> None:
    methods = ("baseline", "mixup", *(f"m{i}" for i in range(9)))
    found = []
    for name, compared in (("alone", methods[:2]), ("extended", methods)):
        plan = make_plan(ONE, compared, points=1, smallest_effect=0.002, alpha=1e-4, variances="pooled")
        for contrast in plan["contrasts"][1:]:
            contrast["family"] = 1
        with JournalBuilder(tmp_path / name, plan) as journal:
            effect_of(0.002)(journal)
        found.append(judge(read_study(tmp_path / name))[0])
    assert found[0].verdict == found[1].verdict == UNDECIDED
    assert found[0].seeds_needed == found[1].seeds_needed is not None


def test_an_undecided_claim_whose_interval_excludes_zero_is_explained(tmp_path: Path) -> None:
    plan = make_plan(ONE, ("baseline", "mixup", *(f"m{i}" for i in range(199))), points=1, smallest_effect=1e-4)
    with JournalBuilder(tmp_path, plan) as journal:
        effect_of(0.003)(journal)
    found = judge(read_study(tmp_path))[0]
    assert found.verdict == UNDECIDED
    assert any(
        "excludes zero, but it is not corrected for multiple testing (200 claims): the adjusted" in note
        for note in found.notes
    )


def test_a_single_undecided_claim_whose_interval_excludes_zero_is_explained_by_its_p_value(tmp_path: Path) -> None:
    (found,) = judge(one_contrast(tmp_path, effect_of(0.004), alpha=1e-4, smallest_effect=0.003))
    assert found.verdict == UNDECIDED
    assert any(note.startswith("The 95 % interval excludes zero, but the p-value is 0.00") for note in found.notes)
    assert any(note.endswith(", above 0.0001.") for note in found.notes)


def test_several_points_without_pairs_are_named_together(tmp_path: Path) -> None:
    baseline, mixup = np.full((3, 6), 0.8), np.full((3, 6), 0.9)
    mixup[1:, :4] = np.nan
    (found,) = judge(one_contrast(tmp_path, grids(baseline=baseline, mixup=mixup), points=3))
    assert "Settings 1, 2 are left out: too few seeds were completed there by both arms." in found.notes


def test_verdicts_before_the_end_are_provisional(tmp_path: Path) -> None:
    half = np.full((1, 6), np.nan)
    half[0, :3] = 0.8 + LUCK[:3]
    better = half + np.array([0.02, 0.021, 0.022, 0, 0, 0])
    (found,) = judge(one_contrast(tmp_path, grids(baseline=half, mixup=better)))
    assert found.provisional
    assert found.seeds == 3
    assert found.notes[0].startswith("Seeds completed so far: 3 of 6;")


@pytest.mark.parametrize(("seeds", "noted"), [(5, True), (6, False)])
def test_the_sign_flip_test_cannot_be_significant_with_five_seeds(tmp_path: Path, seeds: int, noted: bool) -> None:
    base = np.full((1, seeds), 0.8)
    (found,) = judge(one_contrast(tmp_path, grids(baseline=base, mixup=base + 0.05 + LUCK[:seeds]), seeds=seeds))
    assert found.verdict == HELPS
    note = (
        "The t-test alone decided: 5 seeds are too few for the second test, by sign flips, which also repeats the "
        "selection of settings."
    )
    assert (note in found.notes) is noted
    assert not any("does not confirm the difference" in note for note in found.notes)


def test_failed_runs_are_missing_and_reported(tmp_path: Path) -> None:
    def fill(journal: JournalBuilder) -> None:
        effect_of(0.02)(journal)
        journal.connection.execute(
            "UPDATE outcomes SET outcome = 'failed', metrics = '{}', reason = 'hang\nfor long'"
            " WHERE run = 'confirm/mixup/c/k0/s5'"
        )

    (found,) = judge(one_contrast(tmp_path, fill))
    assert found.seeds == 5
    assert not found.provisional
    assert "5 of 6 planned seeds are complete in both arms." in found.notes
    assert "1 of 6 confirmation runs of mixup failed: hang for long." in found.notes


def test_diverged_runs_count_with_their_metrics_and_are_reported(tmp_path: Path) -> None:
    def fill(journal: JournalBuilder) -> None:
        effect_of(-0.02)(journal)
        journal.connection.execute("UPDATE outcomes SET outcome = 'diverged' WHERE run = 'confirm/mixup/c/k0/s5'")

    (found,) = judge(one_contrast(tmp_path, fill))
    assert found.seeds == 6
    assert any("1 of 6 confirmation runs of mixup diverged" in note for note in found.notes)


def test_seeds_beyond_the_plan_are_exploratory(tmp_path: Path) -> None:
    (found,) = judge(one_contrast(tmp_path, effect_of(0.02), seeds=4))
    assert any("exploratory" in note for note in found.notes)


def test_without_predictions_of_single_images_a_decided_claim_holds_for_this_test_set_only(tmp_path: Path) -> None:
    (found,) = judge(one_contrast(tmp_path, effect_of(0.02)))
    assert found.images is None
    assert found.on_this_test_set
    assert any("Predictions of single images are not recorded" in note for note in found.notes)


@pytest.mark.parametrize(("better", "worse", "on_this_test_set"), [(30, 0, False), (230, 200, True)])
def test_the_flag_follows_the_interval_over_seeds_and_images(
    tmp_path: Path, better: int, worse: int, on_this_test_set: bool
) -> None:
    """An effect of three points: from images that only improve, or from many that improve and many that get worse."""
    base = np.arange(1000) < 600

    def fill(journal: JournalBuilder) -> None:
        for seed in range(6):
            correct = base.copy()
            correct[600 : 600 + better + seed] = True  # one more with each seed
            correct[:worse] = False
            for method, found in (("baseline", base), ("mixup", correct)):
                run = journal.run("c", method, seed=seed)
                journal.end(run, selection=float(found.mean()), test=float(found.mean()))
                journal.examples(run, found)

    (found,) = judge(one_contrast(tmp_path, fill))
    assert found.verdict == HELPS
    assert found.images is not None
    assert (found.images.low > 0) is not on_this_test_set
    assert found.on_this_test_set is on_this_test_set
    assert any("holds for this test set only" in note for note in found.notes) is on_this_test_set


def test_a_true_effect_is_found_and_no_effect_is_claimed_without_one(tmp_path: Path) -> None:
    folder = simulate_study(tmp_path, effects={"mixup": 0.05}, images=1000)
    verdicts = judge(read_study(folder))
    by_method = {(verdict.condition, verdict.method): verdict.verdict for verdict in verdicts}
    assert by_method["resnet8-0.1", "mixup"] == HELPS
    assert by_method["resnet8-0.2", "mixup"] == HELPS
    assert {by_method[condition, "sample_pairing"] for condition in ("resnet8-0.1", "resnet8-0.2")} == {UNDECIDED}


def test_an_arm_without_successful_runs_has_no_answer(tmp_path: Path) -> None:
    verdicts = judge(read_study(simulate_study(tmp_path, failing=["mixup"])))
    failed = [verdict for verdict in verdicts if verdict.method == "mixup"]
    assert all(verdict.tuned is None and verdict.verdict == UNDECIDED for verdict in failed)
    assert all("12 of 12 confirmation runs of mixup failed" in verdict.notes[0] for verdict in failed)


def test_all_claims_of_a_study_without_runs_are_undecided(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path):
        pass
    verdicts = judge(read_study(tmp_path))
    assert len(verdicts) == 10
    assert {(verdict.verdict, verdict.seeds, verdict.provisional) for verdict in verdicts} == {(UNDECIDED, 0, True)}


def test_the_same_journal_gives_the_same_verdicts(tmp_path: Path) -> None:
    folder = simulate_study(tmp_path, plan=make_plan(ONE, seeds=21), images=50, search=False)
    verdicts = judge(read_study(folder))
    assert verdicts == judge(read_study(folder))
    assert all(verdict.tuned and verdict.tuned.bca for verdict in verdicts)


def test_verdicts_can_be_written_as_json(tmp_path: Path) -> None:
    verdicts = judge(read_study(simulate_study(tmp_path, search=False, images=50)))
    found = json.loads(json.dumps([asdict(verdict) for verdict in verdicts], allow_nan=False))
    assert found[0]["tuned"]["interval"]["low"] < found[0]["tuned"]["mean"]


def test_an_arm_whose_search_failed_completely_is_not_confirmed_and_not_waited_for(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path, make_plan(ONE, ("baseline", "mixup"), points=1, trials_per_arm=2)) as journal:
        for k in range(2):
            journal.end(journal.run("c", "baseline", phase=records.SEARCH, k=k), selection=0.8)
            failed = journal.run("c", "mixup", phase=records.SEARCH, k=k)
            journal.end(failed, records.FAILED, epoch=0, reason="out of memory")
        points = [{"k": 1, "arm": "baseline/c", "votes": 1, "values": {"learning_rate": 0.1}}]
        journal.decide(records.POOL, {"condition": "c", "points": points})
        journal.cells("c", "baseline", np.full((1, 6), 0.8), np.full((1, 6), 0.8))
    study = read_study(tmp_path)
    (found,) = judge(study)
    assert not found.provisional
    assert found.tuned is None
    assert found.notes == ("2 of 2 search runs of mixup failed.",)
    pool = pooled_points(study, "c")
    assert pool is not None
    assert [(point.number, point.origin) for point in pool] == [(0, "baseline, search run 1")]
    assert missing_runs(summarise_arms(study)) == ["2 runs failed; the reasons are listed in the table of runs."]
