"""Judgement of tables: the verdicts of a native study, pairs, duplicates, unpaired runs, factorials, other metrics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import reports
from reports.inference.factorial import factorial_effects
from reports.inference.moderation import effect_changes
from reports.judging.judgement import JudgedRuns, judge_runs
from reports.judging.page import judged_view
from reports.judging.question import Question
from reports.judging.sources.recognise import read_source
from reports.page.writer import write_report
from reports.statistics.estimators import over_seeds
from reports.statistics.significance import difference_p
from reports.statistics.variance_pooling import pool_variances
from tests.unit.reports.judging.tables import ASKED, NATIVE, assert_same_verdicts, native_study, runs_frame
from trainables.errors import InputError


def judged(frame: pd.DataFrame, question: Question = ASKED, **changes: object) -> JudgedRuns:
    return judge_runs(read_source(frame), replace(question, **changes), "runs")  # type: ignore[arg-type]


def found(judgement: JudgedRuns) -> dict[tuple[str, str], str]:
    return {(verdict.condition, verdict.method): verdict.verdict for verdict in judgement.verdicts}


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "csv.gz"])
def test_a_native_study_exported_as_a_table_has_the_same_verdicts(tmp_path: Path, ending: str) -> None:
    folder = native_study(tmp_path / "study")
    runs = pd.read_csv(write_report(folder).tables["runs"])
    path = tmp_path / f"runs.{ending}"
    if ending == "parquet":
        runs.to_parquet(path)
    else:
        runs.to_csv(path, index=False, sep="\t" if ending == "tsv" else ",")
    judgement = judge_runs(read_source(path), NATIVE, "table")
    assert_same_verdicts(judgement.verdicts, folder)
    assert judgement.evidence.left_out == ("24 runs without test_accuracy, selection.",)


def test_verdicts_are_those_of_the_paired_t_test_with_pooled_variances() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02, "cutout": 0.0})
    judgement = judged(frame)
    assert found(judgement) == {
        ("these conditions", "cutout"): "equivalent",
        ("these conditions", "mixup"): "helps",
    }
    table = frame.pivot_table(index="seed", columns="method", values="test_accuracy")
    by_arm = {verdict.method: verdict for verdict in judgement.verdicts}
    arms = ("mixup", "cutout")
    pooled = pool_variances([over_seeds((table[arm] - table["baseline"]).to_numpy()) for arm in arms])
    for arm, estimate in zip(arms, pooled, strict=True):
        assert estimate is not None
        assert by_arm[arm].tuned.p == pytest.approx(difference_p(estimate))  # type: ignore[union-attr]
        assert not by_arm[arm].provisional


def test_a_single_claim_is_judged_by_the_paired_t_test() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    table = frame.pivot_table(index="seed", columns="method", values="test_accuracy")
    [verdict] = judged(frame).verdicts
    expected = stats.ttest_rel(table["mixup"], table["baseline"])
    assert verdict.tuned.p == pytest.approx(expected.pvalue)  # type: ignore[union-attr]


def test_a_seed_that_one_arm_lacks_is_named_and_left_out_of_its_pair() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    judgement = judged(frame[~((frame["method"] == "mixup") & (frame["seed"] == 3))])
    assert [(verdict.seeds, verdict.planned_seeds) for verdict in judgement.verdicts] == [(7, 8)]
    assert "mixup: 7 pairs; mixup has no run for 3." in judgement.evidence.limits


def test_a_run_that_is_listed_twice_counts_once() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    judgement = judged(pd.concat([frame, frame.head(3)]))
    assert judgement.evidence.left_out == ("3 runs that repeat another run exactly.",)
    assert judgement.verdicts == judged(frame).verdicts


def test_of_a_few_repeated_seeds_the_first_counts_and_more_are_refused() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02}, seeds=10)
    once = frame[(frame["method"] == "mixup") & (frame["seed"] == 3)].assign(test_accuracy=0.99)
    judgement = judged(pd.concat([frame, once]))
    assert judgement.verdicts == judged(frame).verdicts
    assert judgement.evidence.left_out == ("1 run beyond one per arm and pair; the first one counts.",)
    again = frame[frame["method"] == "mixup"].assign(test_accuracy=0.99, lr=0.5)
    repeated = pd.concat([frame.assign(lr=0.1), again])
    with pytest.raises(InputError, match=r"2 different runs have the arm mixup and seed 0.*These columns differ: lr"):
        judged(repeated)
    assert judged(repeated, duplicates="last").verdicts[0].value == pytest.approx(0.99)
    mean = judged(repeated, duplicates="mean").verdicts[0].value
    assert mean == pytest.approx((0.99 + frame.loc[frame["method"] == "mixup", "test_accuracy"].mean()) / 2)


@pytest.mark.parametrize("changes", [{"seed": ()}, {"pair": ("none",)}])
def test_runs_without_pairs_are_compared_by_welch(changes: dict[str, tuple[str, ...]]) -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.03})[:-2]
    judgement = judged(frame, **changes)
    [verdict] = judgement.verdicts
    sides = [own["test_accuracy"] for _, own in frame.groupby("method")]
    expected = stats.ttest_ind(sides[1], sides[0], equal_var=False)
    assert verdict.tuned is not None
    assert verdict.tuned.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (verdict.tuned.interval.low, verdict.tuned.interval.high) == pytest.approx((interval.low, interval.high))  # type: ignore[union-attr]
    assert (verdict.verdict, verdict.seeds, verdict.planned_seeds) == ("helps", 6, 8)
    assert any(line.startswith("Unpaired") for line in judgement.evidence.used)
    unused = "The runs have a column seed: with --seed seed they are compared within pairs."
    assert (unused in judgement.evidence.limits) == ("seed" in changes)


def test_arms_that_share_no_seed_are_compared_without_pairs_and_named() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.03})
    frame.loc[frame["method"] == "mixup", "seed"] += 100
    judgement = judged(frame)
    assert not judgement.paired
    assert any("mixup share fewer than two pairs" in line for line in judgement.evidence.used)


def test_one_seed_per_arm_decides_nothing() -> None:
    judgement = judged(runs_frame({"baseline": 0.0, "mixup": 0.2}, seeds=1))
    assert found(judgement) == {("these conditions", "mixup"): "undecided"}
    assert judgement.evidence.limits[0].startswith("Only one seed of baseline, mixup")


def test_pairs_may_be_formed_by_any_columns() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02}).rename(columns={"seed": "fold"}).assign(repeat="r1")
    assert judged(frame, seed=(), pair=("repeat", "fold")).verdicts[0].seeds == 8


def test_conditions_without_the_reference_are_named() -> None:
    both = runs_frame({"baseline": 0.0, "mixup": 0.02}, data="a")
    judgement = judged(pd.concat([both, both[both["method"] == "mixup"].assign(data="b")]), condition=("data",))
    assert found(judgement) == {("a", "mixup"): "helps"}
    assert "Not judged, because baseline has no run there: b." in judgement.evidence.limits
    assert judged_view(judgement).summary == "1 claim: helps in 1."


def test_pairs_that_are_no_repetitions_are_named() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02}).rename(columns={"seed": "dataset"})
    limits = " ".join(judged(frame, seed=(), pair=("dataset",)).evidence.limits)
    assert "The pairs are combinations of dataset, not repetitions" in limits


def test_several_columns_form_a_factorial() -> None:
    cells = {"sgd,crop": 0.0, "sgd,none": -0.02, "adam,crop": 0.02, "adam,none": 0.0}
    frame = runs_frame(cells)
    frame[["optimizer", "augmentation"]] = frame["method"].str.split(",", expand=True)
    judgement = judged(frame, arm=("optimizer", "augmentation"), reference="sgd, crop")
    assert found(judgement)["these conditions", "optimizer=adam, augmentation=crop"] == "helps"
    main = {effect.term.changes[0].factor: effect for effect in factorial_effects(judgement.study)[:2]}
    assert main["optimizer"].decision.estimate.mean == pytest.approx(0.02, abs=0.004)  # type: ignore[union-attr]
    assert main["augmentation"].decision.estimate.mean == pytest.approx(-0.02, abs=0.004)  # type: ignore[union-attr]
    named = judged(frame, arm=("optimizer", "augmentation"), reference="optimizer=sgd,augmentation=crop")
    assert named.verdicts == judgement.verdicts


def test_an_effect_that_depends_on_a_condition_is_found() -> None:
    small = runs_frame({"baseline": 0.0, "mixup": 0.03}, images=1_000)
    large = runs_frame({"baseline": 0.0, "mixup": 0.0}, random=8, images=50_000)
    judgement = judged(pd.concat([small, large]), condition=("images",))
    assert found(judgement) == {("1000", "mixup"): "helps", ("50000", "mixup"): "equivalent"}
    [change] = effect_changes(judgement.study)
    assert (change.pair.factor, change.decision.verdict) == ("images", "hurts")


def test_the_direction_of_a_loss_is_known_and_that_of_an_unknown_metric_must_be_given() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.2})
    frame["test_loss"], frame["quux"] = frame["test_accuracy"], frame["test_accuracy"]
    assert found(judged(frame, metric="test_loss"))["these conditions", "mixup"] == "hurts"
    with pytest.raises(
        InputError, match="cannot infer whether higher values of `quux` are better; specify --higher or --lower"
    ):
        judged(frame, metric="quux")
    assert found(judged(frame, metric="quux", higher=False))["these conditions", "mixup"] == "hurts"


def test_percent_and_fractions_give_the_same_effects_in_points() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    percent = frame.assign(test_accuracy=100 * frame["test_accuracy"])
    one, other = judged(frame).verdicts[0], judged(percent).verdicts[0]
    assert one.tuned is not None
    assert other.tuned is not None
    assert 100 * one.tuned.mean == pytest.approx(other.tuned.mean)
    assert one.verdict == other.verdict
    assert one.equivalence_p == pytest.approx(other.equivalence_p)
    assert (one.unit.scale, other.unit.scale) == (100, 1)


def test_equivalence_needs_a_smallest_effect_for_metrics_that_are_not_accuracies() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.0}, metric="test_loss")
    assert judged(frame, metric="test_loss").verdicts[0].verdict == "undecided"
    assert judged(frame, metric="test_loss", smallest=0.05).verdicts[0].verdict == "equivalent"


def test_the_last_epochs_of_a_table_are_averaged() -> None:
    runs = runs_frame({"baseline": 0.0, "mixup": 0.02})
    rise = {1: 0.5, 2: 0.9, 3: 1.1}
    epochs = pd.concat([runs.assign(epoch=e, test_accuracy=share * runs["test_accuracy"]) for e, share in rise.items()])
    epochs = epochs.sample(frac=1, random_state=0)
    value = runs.loc[runs["method"] == "mixup", "test_accuracy"].mean()
    assert judged(epochs, epoch="epoch", percent=False).verdicts[0].value == pytest.approx(1.1 * value)
    assert judged(epochs, epoch="epoch", percent=False, last=2).verdicts[0].value == pytest.approx(value)


def epochs_of(runs: pd.DataFrame, noise: float, epochs: int = 20) -> pd.DataFrame:
    """Return one row per epoch: curves that rise by 20 points towards the value of each run, with noise."""
    rng = np.random.default_rng(0)
    return pd.DataFrame([
        {"method": run.method, "seed": run.seed, "epoch": epoch,
         "test_accuracy": run.test_accuracy - 0.2 / epoch + rng.normal(0, noise)}
        for run in runs.itertuples() for epoch in range(1, epochs + 1)
    ])  # fmt: skip


def test_a_best_epoch_that_was_chosen_on_the_judged_metric_is_recognised() -> None:
    frame = epochs_of(runs_frame({"baseline": 0.0, "mixup": 0.02}), noise=0.01)
    groups = frame.groupby(["method", "seed"])["test_accuracy"]
    running = frame.assign(best_accuracy=groups.cummax())
    limits = judged(running, epoch="epoch", metric="best_accuracy").evidence.limits
    assert limits[0].startswith("`best_accuracy` seems to be that of the best epoch.")
    renamed = running.rename(columns={"best_accuracy": "accuracy"})
    limits = judged(renamed, epoch="epoch", metric="accuracy").evidence.limits
    assert limits[0].startswith("`accuracy` never gets worse from epoch to epoch and often stays exactly the same")
    peak = frame.assign(reported=groups.transform("max"))
    table = replace(read_source(peak), source="curves")
    found = judge_runs(table, replace(ASKED, epoch="epoch", metric="reported", higher=True, percent=False), "runs")
    assert found.evidence.limits[0].startswith("`reported` is the best epoch of `test_accuracy`, not the last one, in ")


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_last_epoch_of_a_curve_that_grows_is_no_best_epoch(noise: float) -> None:
    frame = epochs_of(runs_frame({"baseline": 0.0, "mixup": 0.02}), noise)
    assert "best" not in " ".join(judged(frame, epoch="epoch").evidence.limits)


def test_names_of_runs_are_no_settings_that_differ() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    frame["params.trial_name"] = [f"t{row}" for row in range(len(frame))]
    assert "trial_name" not in " ".join(judged(frame).evidence.limits)


def test_settings_are_chosen_on_the_validation_metric() -> None:
    good = runs_frame({"baseline": 0.0, "mixup": 0.02}, lr=0.1)
    bad = runs_frame({"baseline": -0.1, "mixup": 0.1}, lr=0.9)
    frame = pd.concat([good.assign(val_loss=0.1), bad.assign(val_loss=0.5)])
    [verdict] = judged(frame, setting=("lr",), select="val_loss").verdicts
    assert verdict.points == ((0, 0),)
    assert verdict.tuned is not None
    assert verdict.tuned.mean == pytest.approx(0.02, abs=0.004)
    [worst] = judged(frame, setting=("lr",), select="val_loss", select_higher=True).verdicts
    assert worst.points == ((1, 1),)


def test_other_settings_that_differ_between_arms_or_within_pairs_are_named() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    frame["epochs"] = frame["method"].map({"baseline": 100, "mixup": 200})
    frame["learning_rate"] = np.random.default_rng(0).random(len(frame))
    frame["weight_decay"] = frame["seed"] / 10
    limits = " ".join(judged(frame).evidence.limits)
    assert "The arms also differ in epochs" in limits
    assert "Runs of a pair also differ in learning_rate:" in limits
    assert "weight_decay" not in limits


def test_columns_are_taken_from_run_names() -> None:
    frame = runs_frame({"baseline": 0.0, "mixup": 0.02})
    named = pd.DataFrame(
        {"run": "exp/" + frame["method"] + "/s" + frame["seed"].astype(str), "test_accuracy": frame["test_accuracy"]}
    )
    assert judged(named, names="{method}/s{seed}").verdicts == judged(frame).verdicts


def test_rows_are_chosen_with_where() -> None:
    frame = pd.concat([runs_frame({"baseline": 0.0, "mixup": 0.02}, phase="test"), runs_frame({"a": 0}, phase="draft")])
    judgement = judged(frame, where=("phase=test", "seed!=7"))
    assert judgement.verdicts[0].seeds == 7
    assert judgement.evidence.left_out == ("10 rows excluded by --where.",)


def test_the_python_interface_has_frames_figures_and_files(tmp_path: Path) -> None:
    frame = pd.concat([runs_frame({"baseline": 0.0, "mixup": 0.03}).assign(epoch=epoch) for epoch in (1, 2)])
    result = reports.judge(frame, arm="method", seed="seed", metric="test_accuracy", epoch="epoch", name="mine")
    assert repr(result).startswith("mixup against baseline, these conditions: helps")
    assert "helps" in result._repr_html_()
    assert result.verdicts["verdict"].tolist() == ["helps"]
    assert len(result.runs) == 16
    assert set(result.figures) == {"effects-1", "metric-1", "leads-1"}
    assert result.evidence.limits
    assert result.markdown.startswith("### mine")
    assert (result.holds("mixup helps"), result.holds("mixup hurts")) == (True, False)
    paths = result.write(tmp_path / "report")
    assert paths.html.is_file()
    assert set(paths.tables) == {"verdicts", "evidence", "values", "runs"}
