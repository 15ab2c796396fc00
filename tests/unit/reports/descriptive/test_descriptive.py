"""Descriptive analyses: tuning curves, leads, cost, responses, importances, secondary metrics, fairness."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.data.frames import StudyData, read_study
from reports.data.overview import run_costs
from reports.descriptive import tuning_curves as tuning
from reports.descriptive.cost import epoch_times, equal_compute_effects
from reports.descriptive.fairness import seed_spread, unequal_treatment
from reports.descriptive.importance import IMPORTANCE_FROM, importances
from reports.descriptive.lead_over_epochs import generalisation_gap, lead_over_epochs, overtaking_epoch
from reports.descriptive.responses import position_in_range, range_edges, responses
from reports.descriptive.secondary_metrics import class_accuracies, secondary_effects
from reports.descriptive.tuning_curves import tuning_curve
from reports.inference.verdicts import judge
from tests.support.journal_builder import FACTS, JournalBuilder, make_plan
from trainables import records
from trainables.records import pack_labels

C = "resnet8-0.1"
RATE = {"low": 0.001, "high": 1.0, "log": True, "integer": False}
ALPHA = {"low": 0.0, "high": 1.0, "log": False, "integer": False}


def small_plan(trials: int = 8, **changes: Any) -> dict[str, Any]:
    """Return a plan with one condition, the arms baseline and mixup, and their search spaces."""
    plan = make_plan({C: {"train_fraction": 0.1}}, ("baseline", "mixup"), trials_per_arm=trials, seeds=3, points=1)
    plan["arms"][0]["spaces"] = {"rate": RATE}
    plan["arms"][1]["spaces"] = {"rate": RATE, "mixup.alpha": ALPHA}
    return {**plan, **changes}


def epochs_of(journal: JournalBuilder, run: str, values: list[float], seconds: float = 1.0) -> None:
    for epoch, value in enumerate(values, start=1):
        metrics = {records.VALIDATION_ACCURACY: value, records.TRAIN_ACCURACY: value + 0.1, records.SECONDS: seconds}
        journal.report(run, epoch, {**metrics, records.PLAIN_EPOCHS: float(epoch)})


def searched(folder: Path, count: int = 8, **changes: Any) -> StudyData:
    """Write a search in which mixup gains a tenth of its alpha, independently of the learning rate."""
    with JournalBuilder(folder, small_plan(count, **changes)) as journal:
        rates = np.geomspace(0.002, 0.5, count)
        alphas = np.random.default_rng(0).permutation(np.linspace(0.0, 1.0, count))
        for k, (rate, alpha) in enumerate(zip(rates, alphas, strict=True)):
            level = 0.9 - 0.1 * abs(np.log10(rate) + 1)
            for method, own in (("baseline", {}), ("mixup", {"mixup.alpha": alpha})):
                values = {"rate": rate, **own}
                run = journal.run(C, method, phase=records.SEARCH, k=k, searched=values, parameters=values)
                epochs_of(journal, run, [0.1, level])
                journal.end(run, epoch=2, selection=level + (0.1 * alpha if own else 0.0))
    return read_study(folder)


def confirmed(folder: Path, curves: dict[str, list[list[float]]], plan: dict[str, Any] | None = None) -> StudyData:
    """Write confirmation runs with the given validation curves, by method and seed."""
    plan = plan or small_plan()
    with JournalBuilder(folder, plan) as journal:
        for method, seeds in curves.items():
            for seed, values in enumerate(seeds):
                run = journal.run(C, method, seed=seed)
                epochs_of(journal, run, values, seconds=2.0 if method == "mixup" else 1.0)
                journal.end(run, epoch=len(values), selection=values[-1], test=values[-1])
    return read_study(folder)


@pytest.mark.parametrize("weights", [tuning.unbiased_weights, tuning.plug_in_weights])
def test_expected_best_is_the_mean_of_the_maximum_over_all_draws(weights: Any) -> None:
    values = np.array([0.3, 0.9, 0.1, 0.7])
    found = tuning.expected_best(values, weights(4))
    for n in (1, 2, 3, 4):
        with_replacement = weights is tuning.plug_in_weights
        draws = itertools.product(values, repeat=n) if with_replacement else itertools.combinations(values, n)
        assert found[n - 1] == pytest.approx(np.mean([max(draw) for draw in draws]))


def test_tuning_curves_include_cost_and_exclude_adaptive_trials(tmp_path: Path) -> None:
    study = searched(tmp_path, designed=6)
    curve = tuning_curve(study, study.plan.arms[0], run_costs(study))
    assert curve is not None
    assert curve.plain_epochs.tolist() == pytest.approx([2.0 * n for n in range(1, 7)])
    assert curve.seconds[-1] == pytest.approx(12.0)
    assert np.all(np.diff(curve.plug_in) >= 0)
    assert np.all((curve.low <= curve.plug_in) & (curve.plug_in <= curve.high))


def test_a_stopped_run_counts_with_its_last_value_and_a_diverged_one_with_the_worst(tmp_path: Path) -> None:
    with JournalBuilder(tmp_path, small_plan(3)) as journal:
        for k, outcome in enumerate((records.STOPPED, records.DIVERGED, records.FAILED)):
            run = journal.run(C, "mixup", phase=records.SEARCH, k=k)
            epochs_of(journal, run, [0.2, 0.6])
            journal.end(run, outcome, epoch=2)
    study = read_study(tmp_path)
    curve = tuning_curve(study, study.plan.arms[1], run_costs(study))
    assert curve is not None
    assert curve.unbiased.tolist() == pytest.approx([0.3, 0.6])
    assert curve.stopped == 1


@pytest.mark.parametrize(
    ("lead", "expected"),
    [
        ([-1, -1, 1, 1], (3, False)),
        ([1, -1, 1, 1], (3, False)),
        ([1, 1, 1, 1], (1, True)),
        ([1, 1, 1, -1], (None, False)),
    ],
)
def test_overtaking_epoch_is_the_last_change_of_the_lead(lead: list[float], expected: tuple[int | None, bool]) -> None:
    assert overtaking_epoch(pd.Series(lead, index=[1, 2, 3, 4], dtype=float), window=1) == expected


def test_a_method_with_an_on_off_cycle_is_compared_while_off_and_its_off_phase_is_measured(tmp_path: Path) -> None:
    plan = small_plan()
    plan["arms"][1].update(block_ends=[3, 6], off_from=8)
    plan["conditions"][0]["epochs"] = 10
    sawtooth = [0.1, 0.1, 0.5, 0.1, 0.1, 0.6, 0.1, 0.1, 0.8, 0.9]
    seeds = [[value + 0.01 * seed for value in sawtooth] for seed in range(3)]
    base = [[0.55 + 0.01 * seed] * 10 for seed in range(3)]
    study = confirmed(tmp_path, {"baseline": base, "mixup": seeds}, plan)
    reference, arm = study.plan.arms
    found = lead_over_epochs(study, arm, reference, study.plan.conditions[0])
    assert found is not None
    assert found.epochs.tolist() == [3, 6, 9, 10]
    assert found.overtakes == 6
    assert found.off_gain is not None
    assert found.off_gain.mean == pytest.approx(np.mean([0.1, 0.8, 0.9]) - 0.6)  # the last three epochs minus epoch 6
    level = generalisation_gap(study, arm, study.plan.conditions[0])
    assert level is not None
    assert level.gap == pytest.approx(0.1)


def test_epoch_time_is_relative_to_the_reference(tmp_path: Path) -> None:
    study = confirmed(tmp_path, {"baseline": [[0.5, 0.6]], "mixup": [[0.5, 0.6]]})
    assert [one.relative for one in epoch_times(study, C)] == [1.0, 2.0]


def test_equal_compute_effects_are_relative_to_the_longer_arm(tmp_path: Path) -> None:
    plan = small_plan()
    longer = {**plan["arms"][0], "name": "longer", "method": "baseline, longer", "reference": False}
    plan["arms"].append({**longer, "epochs": 24, "compute_of": "mixup", "same_as": "baseline"})
    levels = {"baseline": [0.5, 0.5, 0.5], "mixup": [0.6, 0.61, 0.62], "baseline, longer": [0.7, 0.7, 0.7]}
    study = confirmed(tmp_path, {name: [[value] for value in values] for name, values in levels.items()}, plan)
    (found,) = equal_compute_effects(study)
    assert (found.method, found.against) == ("mixup", "baseline, longer")
    assert found.effect.mean == pytest.approx(-0.09)
    assert (found.value, found.other) == pytest.approx((0.61, 0.7))


def test_gains_at_shared_settings_isolate_the_method_from_the_learning_rate(tmp_path: Path) -> None:
    study = searched(tmp_path)
    found = {one.dimension: one for one in responses(study, study.plan.arms[1])}
    assert found["mixup.alpha"].trend == pytest.approx(1.0)
    np.testing.assert_allclose(found["mixup.alpha"].gains, 0.1 * np.array(found["mixup.alpha"].values))
    assert (found["mixup.alpha"].own, found["rate"].own) == (True, False)
    assert not any(one.paired for one in responses(study, study.plan.arms[0]))


def test_best_runs_near_the_end_of_a_range_are_found_on_the_scale_of_the_range(tmp_path: Path) -> None:
    study = searched(tmp_path, count=30)
    assert position_in_range(RATE, 0.1) == pytest.approx(2 / 3)
    assert [(edge.dimension, edge.end) for edge in range_edges(study, study.plan.arms[0])] == []
    with JournalBuilder(tmp_path / "edge", small_plan()) as journal:
        for k, rate in enumerate((0.9, 0.8, 0.1, 0.01)):
            run = journal.run(C, "baseline", phase=records.SEARCH, k=k, searched={"rate": rate})
            journal.end(run, selection=rate)
    near = range_edges(study := read_study(tmp_path / "edge"), study.plan.arms[0])
    assert [(edge.end, edge.limit, edge.runs) for edge in near] == [("high", 1.0, 2)]


def test_importances_require_enough_runs_and_find_the_important_dimension(tmp_path: Path) -> None:
    few = searched(tmp_path / "few")
    assert importances(few, few.plan.arms[1]) == []
    study = searched(tmp_path / "many", count=2 * IMPORTANCE_FROM)
    found = importances(study, study.plan.arms[1])
    assert {one.dimension for one in found} == {"rate", "mixup.alpha"}
    assert sum(one.ped_anova for one in found) == pytest.approx(1.0)
    shares = {one.dimension: one.mean_decrease or 0.0 for one in found}
    assert shares["rate"] > shares["mixup.alpha"]


def test_secondary_metrics_and_class_accuracies_accompany_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = np.array([0, 0, 1, 1, 2])
    monkeypatch.setitem(FACTS["data"], "test_labels", pack_labels(labels))
    correct = {"baseline": [1, 1, 0, 0, 1], "mixup": [1, 0, 1, 1, 1]}
    with JournalBuilder(tmp_path, small_plan()) as journal:
        for method, seed in itertools.product(correct, range(3)):
            run = journal.run(C, method, seed=seed)
            test = float(np.mean(correct[method]))
            journal.end(run, selection=test, test=test)
            journal.examples(run, np.array(correct[method], dtype=bool))
    study = read_study(tmp_path)
    verdicts = judge(study)
    (loss,) = secondary_effects(study, verdicts)
    assert (loss.metric, loss.better) == (records.TEST_LOSS, True)
    assert loss.effect.mean == pytest.approx(-0.4)
    (classes,) = class_accuracies(study, verdicts)
    assert classes.accuracy.tolist() == [0.5, 1.0, 1.0]
    assert classes.reference.tolist() == [1.0, 0.0, 1.0]


def test_seed_spread_and_unequal_treatment(tmp_path: Path) -> None:
    study = confirmed(tmp_path, {"baseline": [[0.5], [0.6]], "mixup": [[0.5]]})
    spread = seed_spread(study, study.plan.arms[0])
    assert spread is not None
    assert spread.deviation == pytest.approx(np.std([0.5, 0.6], ddof=1))
    assert seed_spread(study, study.plan.arms[1]) is None
    assert unequal_treatment(study, study.plan.conditions[0]) == ["Confirmation runs per method: baseline 2, mixup 1."]
    fair = searched(tmp_path / "fair")
    assert unequal_treatment(fair, fair.plan.conditions[0]) == []
