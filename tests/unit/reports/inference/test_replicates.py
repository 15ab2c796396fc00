"""Studies with several searches, arms at the compute of another method, and metrics other than accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reports.data.completeness import is_confirmed, planned_confirmations
from reports.data.frames import StudyData, read_study
from reports.data.overview import missing_runs, pooled_points, summarise_arms
from reports.inference.verdicts import judge
from reports.inference.wording import effect_summary, headings, reach_sentence, sentence, values, verdict_table
from reports.page.faq import questions
from reports.statistics import estimators, significance
from tests.support.journal_builder import JournalBuilder, make_plan
from trainables import records
from trainables.records import HELPS, unit_of

ONE = {"c": {"model": "resnet8"}}
LUCK = np.array([0.002, -0.001, 0.001, -0.002, 0.0015, -0.0015])


def test_an_arm_is_not_confirmed_at_points_that_an_extension_added_for_others(tmp_path: Path) -> None:
    plan = make_plan(ONE, ("baseline", "mixup", "cutmix"), points=2, trials_per_arm=2, seeds=6, looks=[6])
    methods = ("baseline", "mixup", "cutmix")
    with JournalBuilder(tmp_path, plan) as journal:
        names = [f"{method}/c" for method in methods]
        own = [names, names, [name for name in names if name != "mixup/c"]]
        points = [
            {"k": k, "arm": "mixup/c", "votes": 1, "values": {}, "own": {name: {} for name in own[k]}} for k in range(3)
        ]
        journal.decide(records.POOL, {"condition": "c", "search": 0, "points": points})
        for method, count in zip(methods, (3, 2, 3), strict=True):
            for k in range(count):
                for seed in range(6):
                    journal.end(journal.run("c", method, phase=records.CONFIRM, k=k, seed=seed), test=0.8)
    study = read_study(tmp_path)
    assert [planned_confirmations(study, "c", method) for method in methods] == [18, 12, 18]
    assert [is_confirmed(study, "c", method, 6) for method in methods] == [True] * 3
    assert missing_runs(summarise_arms(study)) == ["0 of 6 search runs have ended."]


def replicated(folder: Path, by_search: list[float], points: int = 2) -> StudyData:
    """Return a study in which mixup has a given effect at the points of each search."""
    plan = make_plan(ONE, ("baseline", "mixup"), seeds=6, points=points, replicates=len(by_search), trials_per_arm=0)
    quality = np.repeat(np.arange(len(by_search)) * 0.01, points)[:, None]
    with JournalBuilder(folder, plan) as journal:
        base = 0.7 + quality + np.zeros((len(quality), 6))
        effects = np.repeat(by_search, points)[:, None]
        journal.cells("c", "baseline", base, base)
        journal.cells("c", "mixup", base, base + effects + LUCK)
        pool = [{"k": k, "arm": "mixup/c", "votes": 1, "values": {"learning_rate": 0.1}} for k in range(points)]
        for search in range(len(by_search)):
            journal.decide(records.POOL, {"condition": "c", "search": search, "points": pool})
    return read_study(folder)


def test_the_effect_is_the_mean_over_searches_of_the_effect_within_each(tmp_path: Path) -> None:
    (found,) = judge(replicated(tmp_path, [0.02, 0.05, 0.035]))
    assert found.searches == 3
    assert found.points == ((0, 0), (2, 2), (4, 4))  # the first of tied points in each search
    assert found.tuned is not None
    assert found.tuned.mean == pytest.approx(0.035)
    assert found.tuned.interval is not None
    expected = stats.ttest_1samp(0.035 + LUCK, 0).confidence_interval()
    assert (found.tuned.interval.low, found.tuned.interval.high) == pytest.approx((expected.low, expected.high))


def test_the_effect_of_a_single_lucky_search_holds_for_the_configurations_found_here_only(tmp_path: Path) -> None:
    lucky = replicated(tmp_path / "lucky", [0.12, 0.0, 0.0])
    steady = replicated(tmp_path / "steady", [0.04, 0.041, 0.039])
    (one,), (other,) = judge(lucky), judge(steady)
    assert one.verdict == other.verdict == HELPS
    assert one.for_these_searches
    assert not other.for_these_searches
    assert (
        "The verdict holds for the configurations found here only: it changes if the variation between searches is "
        "taken into account."
    ) in one.notes
    assert one.other_searches is not None
    assert one.other_searches.low < 0
    assert reach_sentence(one, lucky.plan, 1).startswith("95 % interval over seeds and 3 searches: −")
    assert questions(lucky.plan, [one], [], (0, 0))[-1].answer.startswith("Nothing was searched")


def test_two_searches_are_too_few_to_generalise_to_others(tmp_path: Path) -> None:
    (found,) = judge(replicated(tmp_path, [0.12, 0.0]))
    assert found.other_searches is None
    assert not found.for_these_searches
    assert "2 searches are too few to determine whether the verdict generalises to other searches." in found.notes


def test_pooled_points_are_numbered_over_all_searches(tmp_path: Path) -> None:
    study = replicated(tmp_path, [0.0, 0.0, 0.0])
    pool = pooled_points(study, "c")
    assert pool is not None
    assert [point.number for point in pool] == [0, 1, 2, 3, 4, 5]
    assert planned_confirmations(study, "c", "mixup") == 6 * 6
    assert planned_confirmations(study, "c", "mixup", 4) == 4 * 6


def test_an_arm_is_not_confirmed_at_the_points_of_a_search_in_which_it_failed(tmp_path: Path) -> None:
    plan = make_plan(ONE, ("baseline", "mixup"), points=1, replicates=2, trials_per_arm=2, seeds=6)
    with JournalBuilder(tmp_path, plan) as journal:
        for k in range(4):
            run = journal.run("c", "mixup", phase=records.SEARCH, k=k)
            journal.end(run, records.COMPLETED if k < 2 else records.FAILED, selection=0.8)
        for search in range(2):
            own = {} if search else {"mixup/c": {}}
            pool = [{"k": 0, "arm": "mixup/c", "votes": 1, "values": {}, "own": own}]
            journal.decide(records.POOL, {"condition": "c", "search": search, "points": pool})
    study = read_study(tmp_path)
    assert planned_confirmations(study, "c", "mixup") == 6
    assert [summary.search.planned for summary in summarise_arms(study)] == [4, 4]


@pytest.mark.parametrize("shrunken", [False, True])
def test_the_sign_flip_test_repeats_the_selection_within_each_search(shrunken: bool) -> None:
    rng = np.random.default_rng(4)
    selection, test = rng.normal(0, 1, (2, 2, 4, 5))
    searches = np.array([0, 0, 1, 1])

    def effect(pattern: int) -> float:
        arrays = [array.copy() for array in (selection, test)]
        for array in arrays:
            for seed in range(5):
                if pattern >> seed & 1:
                    array[:, :, seed] = array[::-1, :, seed]
        return abs(estimators.tuned_differences(*arrays, searches, shrunken)[0].mean())

    observed = effect(0)
    expected = np.mean([effect(pattern) >= observed - 1e-12 for pattern in range(2**5)])
    assert significance.sign_flip_p(selection, test, searches, shrunken) == pytest.approx(expected)


def test_matched_differences_give_every_search_the_same_weight() -> None:
    test = np.array([[[0.3], [0.1], [0.1]], [[0.0], [0.0], [0.0]]])
    assert estimators.matched_differences(test, np.array([0, 1, 1])).tolist() == pytest.approx([0.2])


@pytest.mark.parametrize("spread", [0.0, 0.3, 2.0])
def test_the_interval_over_seeds_and_searches_covers_with_three_searches(spread: float) -> None:
    rng = np.random.default_rng(12)
    covered, repeats = 0, 600
    for _ in range(repeats):
        luck = rng.normal(0, 1, (10, 1)) + rng.normal(0, spread, (1, 3)) + rng.normal(0, 1, (10, 3))
        interval = estimators.over_seeds_and(luck).interval
        covered += interval is not None and interval.low <= 0 <= interval.high
    assert covered / repeats >= 0.91


def test_an_arm_at_the_compute_of_another_is_not_searched_and_reported_as_not_retuned(tmp_path: Path) -> None:
    plan = make_plan(ONE, ("baseline", "maxup"), points=1, trials_per_arm=1, seeds=6)
    longer = "baseline at maxup's compute"
    arm = {**plan["arms"][0], "name": "longer/c", "method": longer, "reference": False, "epochs": 28}
    plan["arms"].append({**arm, "compute_of": "maxup", "same_as": "baseline"})
    plan["contrasts"].append({"condition": "c", "method": "maxup", "reference": longer})
    with JournalBuilder(tmp_path, plan) as journal:
        for method in ("baseline", "maxup"):
            journal.end(journal.run("c", method, phase=records.SEARCH), selection=0.8)
        base = np.full((1, 6), 0.8)
        for method, effect in (("baseline", 0), ("maxup", 0.05), (longer, 0.045)):
            journal.cells("c", method, base, base + effect + (LUCK if method == "maxup" else 0))
        journal.decide(
            records.POOL, {"condition": "c", "points": [{"k": 0, "arm": "maxup/c", "votes": 1, "values": {"a": 1}}]}
        )
    study = read_study(tmp_path)
    assert [summary.search.planned for summary in summarise_arms(study)] == [1, 1, 0]
    assert [summary.confirm.waiting for summary in summarise_arms(study)] == [0, 0, 0]
    against = judge(study)[1]
    assert not against.provisional
    assert f"{longer} trains longer with the settings of baseline, not retuned for that length." in against.notes
    assert sentence(against, study.plan, 1).startswith("maxup against baseline at maxup's compute on resnet8: ")


@pytest.mark.parametrize(
    ("metric", "figure", "better", "shown"),
    [
        (records.VALIDATION_MACRO_F1, records.TEST_MACRO_F1, 0.05, "+5.0 points"),
        (records.VALIDATION_LOSS, records.TEST_LOSS, -0.05, "+0.050 nats"),
        (records.VALIDATION_CALIBRATION_ERROR, records.TEST_CALIBRATION_ERROR, -0.05, "+5.0 points"),
    ],
)
def test_a_study_is_judged_on_the_test_metric_that_belongs_to_its_metric(
    tmp_path: Path, metric: str, figure: str, better: float, shown: str
) -> None:
    """Test accuracy has the opposite sign, which must not matter."""
    with JournalBuilder(tmp_path, make_plan(ONE, ("baseline", "mixup"), points=1, metric=metric)) as journal:
        for method, effect in (("baseline", 0.0), ("mixup", better)):
            for seed in range(6):
                value = 0.5 + effect + 2 * LUCK[seed] * (method == "mixup")
                run = journal.run("c", method, seed=seed)
                journal.end(run, selection=value, test=0.9 - effect, other_metrics={figure: value})
    study = read_study(tmp_path)
    (found,) = judge(study)
    assert found.metric == figure
    assert found.verdict == HELPS
    assert found.value == pytest.approx(0.5 + better)
    assert shown in effect_summary(found, study.plan, unit_of(metric).digits)
    assert any(f"The {figure.replace('_', ' ')} of single images is not recorded" in note for note in found.notes)
    assert headings(study.plan.unit).effect == f"effect ({study.plan.unit.many})"
    assert verdict_table([found])[0].effect.startswith(shown.partition(" ")[0])
    assert values(found).endswith("nats" if figure == records.TEST_LOSS else "%")
