"""The simulator of the benchmark `truth`: what is put in comes out, and the rules are the product's own."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from reports.data.frames import read_study
from reports.inference.verdicts import judge
from reports.statistics.group_sequential import decide
from tests.benchmarks import truth_confirm, truth_stopping
from tests.benchmarks.truth import PARTS, PLAIN, Simulation, parse, percent, play_one
from tests.benchmarks.truth_stopping import MIXUP, OURS, RULES, TRIALS, search
from tests.benchmarks.truth_world import EPOCHS, NUISANCE, TRAIL, World, draw_landscape, draw_trials, trail
from tests.support.journal_builder import JournalBuilder, make_plan

ALONE = Simulation(studies=4, processes=1)


def test_the_same_studies_give_the_same_figures() -> None:
    once, again = (ALONE.play(truth_confirm.coverage, PLAIN) for _ in range(2))
    assert {name: list(values) for name, values in once.items()} == {
        name: list(values) for name, values in again.items()
    }
    assert set(once) >= {"tuned 10", "best 6", "matched 20"}


def test_processes_change_nothing() -> None:
    alone = ALONE.play(truth_stopping.compare, MIXUP)
    apart = replace(ALONE, processes=2).play(truth_stopping.compare, MIXUP)
    assert {name: list(values) for name, values in alone.items()} == {
        name: list(values) for name, values in apart.items()
    }


def test_known_effects_come_out() -> None:
    world = World(methods=2, effect=0.6)
    studies = [truth_confirm.confirmed(world, np.random.default_rng(number)) for number in range(25)]
    tuned = np.array([study.tuned(method, 20)[0].mean for study in studies for method in (1, 2)])
    assert tuned.mean() == pytest.approx(0.6, abs=0.04)
    assert np.mean([study.matched(1, 20)[0].mean for study in studies]) == pytest.approx(0.6, abs=0.04)
    assert all(study.matched(1, 20)[1] == pytest.approx(0.6) for study in studies)


def test_a_large_effect_is_found_and_none_is_not() -> None:
    found = play_one(truth_confirm.power, World(methods=1, effect=3.0), 0)
    assert [found["tuned 10"], found["matched 10"], found["tuned wrong 10"], found["tuned equivalent 10"]] == [
        1,
        1,
        0,
        0,
    ]
    assert play_one(truth_confirm.power, World(methods=1, seed_sd=0.01, spread=0.01), 0)["tuned equivalent 10"] == 1


def test_choosing_among_equals_flatters_only_the_arm_that_has_several() -> None:
    one, six = (
        Simulation(studies=150, processes=1).play(
            partial(truth_confirm.lopsided, points), replace(PLAIN, agreement=1.0)
        )
        for points in (1, 6)
    )
    assert six["tuned 6"].mean() < one["tuned 6"].mean() - 0.02


def test_the_luck_of_runs_is_shared_as_said() -> None:
    world = World(methods=1, pairing=0.5, suiting=0.2, agreement=0.4, seed_sd=2.0)
    validation, test = truth_confirm.confirm_runs(world, np.zeros((2, 2)), 40_000, np.random.default_rng(0))
    assert test.std(axis=2) == pytest.approx(np.full((2, 2), 2.0), rel=0.03)
    assert np.corrcoef(test[0, 0], test[1, 1])[0, 1] == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef(test[0, 0], test[0, 1])[0, 1] == pytest.approx(0.7, abs=0.03)
    assert np.corrcoef(test[0, 0], validation[0, 0])[0, 1] == pytest.approx(0.4, abs=0.03)


def test_landscapes_spread_as_said_and_peak_at_the_best_setting() -> None:
    rng = np.random.default_rng(3)
    land = draw_landscape(World(methods=1, effect=1.0, spread=0.5, shift=0.1, own=0.2), rng)
    cube = rng.random((20_000, len(NUISANCE)))
    assert land.quality(0, cube, np.zeros(len(cube))).std() == pytest.approx(0.5, rel=0.03)
    assert land.quality(1, land.best[1:], land.own_best[1:]) == pytest.approx(1.0)
    assert np.linalg.norm(land.best[1] - land.best[0]) == pytest.approx(0.1)


def test_methods_trail_as_measured() -> None:
    behind = trail(120.0)
    assert {epoch: behind[epoch - 1] for epoch in TRAIL} == pytest.approx(TRAIL)
    assert not behind[119:].any()
    assert (np.diff(behind) >= 0).all()


def test_stopped_trials_cost_less_and_audited_ones_run_to_the_end() -> None:
    rng = np.random.default_rng(5)
    trials = draw_trials(draw_landscape(MIXUP, rng), TRIALS, rng)
    everything, ours = search(trials, RULES[0], rng), search(trials, OURS, rng)
    assert everything.spent == 1
    assert 0.5 < ours.spent < 0.9
    assert set(np.unique(ours.epochs)) == {*OURS.rungs, EPOCHS}
    assert (ours.epochs[:, : OURS.audit] == EPOCHS).all()
    completed = np.isfinite(ours.selection)
    assert (ours.selection[completed] == everything.selection[completed]).all()


def test_a_rule_that_is_as_good_as_none_is_compared_with_all_trials() -> None:
    found = Simulation(studies=30, processes=1).play(truth_stopping.compare, MIXUP)
    none = next(row for row in truth_stopping.rows(found, percent) if row[0] == "none")
    assert none[-2:] == ["100", "100"]


def test_all_parts_are_printed_by_default_and_unknown_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse([]) == (2000, list(PARTS))
    assert parse(["--quick", "claims"]) == (100, ["claims"])
    with pytest.raises(SystemExit):
        parse(["claim"])
    assert "choose from coverage" in capsys.readouterr().err


def test_shares_have_intervals() -> None:
    assert percent(np.array([1.0] * 19 + [0.0])) == "95.0 [75.1, 99.9]"
    assert percent(np.array([0.25, 0.75])) == "50.0 [1.0, 99.0]"


def test_judge_says_of_a_journal_what_the_simulation_says(tmp_path: Path) -> None:
    study = truth_confirm.confirmed(World(methods=2, effect=0.3), np.random.default_rng(2))
    seeds, points = 6, study.test.shape[1]
    plan = make_plan(methods=("baseline", "mixup", "maxup"), conditions={"c": {}}, seeds=seeds, points=points)
    with JournalBuilder(tmp_path, plan) as journal:
        for arm, method in enumerate(("baseline", "mixup", "maxup")):
            journal.cells("c", method, study.selection[arm, :, :seeds] / 100, study.test[arm, :, :seeds] / 100)
    family = judge(read_study(tmp_path))[:2]
    estimates = [study.tuned(method, seeds)[0] for method in (1, 2)]
    margin = 100 * plan["smallest_effect"]
    decisions = decide([estimates], [0.05], 0.05, margin)[-1]
    assert [verdict.verdict for verdict in family] == [decision.verdict for decision in decisions]
    for verdict, estimate, decision in zip(family, estimates, decisions, strict=True):
        assert verdict.tuned
        assert 100 * verdict.tuned.mean == pytest.approx(estimate.mean)
        assert verdict.tuned.p_adjusted == pytest.approx(decision.p_adjusted)
