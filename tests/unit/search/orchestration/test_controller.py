"""Study controller without Ray: fair arms, pooled and crossed confirmation, and resuming at any moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.orchestration import controller as controller_module
from search.orchestration.controller import StudyController
from search.orchestration.pooling import Nuisance, Trial, pool
from search.plan.builder import make_plan
from search.plan.model import Plan
from search.store.optuna_storage import OptunaFile
from tests.support.driver import carry_out
from tests.support.snapshots import journal_rows
from tests.support.studies import make_study
from trainables import records
from trainables.records import JournalReader, PoolDecision, Run, RungDecision


def facts(path: Path) -> tuple[dict[str, str], dict[tuple[str, int], str], dict[str, float]]:
    """Return outcomes, rung decisions and selection metrics by run."""
    with JournalReader.open(path) as journal:
        outcomes = {row.run: row.outcome for row in journal.outcomes()}
        rungs = {(str(row.run), row.decision.rung): row.decision.action for row in journal.decisions(RungDecision)}
    selected = {name: o.metrics[records.SELECTION] for name, o in outcomes.items() if records.SELECTION in o.metrics}
    return {name: o.outcome for name, o in outcomes.items()}, rungs, selected


def test_all_arms_have_the_same_runs_points_and_seeds(
    plan: Plan, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    controller = carry_out(plan, tmp_path / "study.db", write_curves())
    runs = [state.run for state in controller.states.values()]
    search = Counter(run.arm for run in runs if run.phase == records.SEARCH)
    confirm = Counter(run.arm for run in runs if run.phase == records.CONFIRM)
    assert set(search.values()) == {4}
    assert len(set(confirm.values())) == 1
    by_cell: dict[tuple[str, int, int], list[Run]] = {}
    for run in runs:
        if run.phase == records.CONFIRM:
            by_cell.setdefault((run.condition, run.index, run.seed_index), []).append(run)
    for cell in by_cell.values():
        assert [run.method for run in cell] == ["baseline", "mixup", "maxup"]
        shared = [{key: run.config[key] for key in run.config if key != "method"} for run in cell]
        assert shared[0] == shared[1] == shared[2]
    assert len({(run.config["seed"], run.config["split_seed"]) for run in runs if run.phase == records.CONFIRM}) == 3


def test_the_same_trials_are_audited_in_every_arm(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    plan = make_plan(make_study(search={"trials_per_arm": 6, "audit": 3, "reduction_factor": 2}))
    controller = carry_out(plan, tmp_path / "study.db", write_curves(ks=6))
    for arm in plan.arms:
        runs = [s for s in controller.states.values() if s.run.arm == arm.name and s.run.phase == records.SEARCH]
        assert sorted(s.run.index for s in runs if s.run.audit) == [0, 1, 2]
        assert all(s.outcome and s.outcome.outcome == records.COMPLETED for s in runs if s.run.audit)
        study = controller._searches[arm.name, 0].study
        states = [trial.state.name for trial in study.trials]
        assert len(states) == 6
        assert "RUNNING" not in states


@pytest.mark.parametrize("fuse", [1, 13, 50, 120, 260, 300, 301, 302, 333, 500])
def test_a_study_resumed_after_a_kill_has_the_same_runs_and_decisions(
    fuse: int, plan: Plan, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    curves = write_curves()
    carry_out(plan, tmp_path / "whole.db", curves)
    kills = 0
    while True:
        try:
            carry_out(plan, tmp_path / "broken.db", curves, fuse)
            break
        except KeyboardInterrupt:
            before = facts(tmp_path / "broken.db")
            kills += 1
            fuse *= 2
    assert kills >= 1
    after, whole = facts(tmp_path / "broken.db"), facts(tmp_path / "whole.db")
    for part_before, part_after in zip(before, after, strict=True):
        assert part_before.items() <= part_after.items()
    assert set(after[0]) == set(whole[0])


def test_without_early_stopping_a_resumed_study_has_the_same_results(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    plan = make_plan(make_study(search={"trials_per_arm": 4, "early_stopping": False}))
    curves = write_curves()
    carry_out(plan, tmp_path / "whole.db", curves)
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, tmp_path / "broken.db", curves, fuse=400)
    carry_out(plan, tmp_path / "broken.db", curves)
    assert facts(tmp_path / "broken.db") == facts(tmp_path / "whole.db")


@pytest.mark.parametrize("sampler", ["sobol", "tpe"])
@pytest.mark.parametrize("fuse", [7, 83, 150, 170, 190])
def test_one_run_at_a_time_a_resumed_study_is_the_same_row_by_row(
    fuse: int, sampler: str, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    """Stops at rungs, decisions, proposed points and what Optuna knows of a trial."""
    plan = make_plan(
        make_study(
            conditions={},
            search={"trials_per_arm": 6, "sampler": sampler},
            confirm={"points": 2, "looks": [2, 4]},
        )
    )
    curves = write_curves(ks=6, seeds=4, maxup="diverge")
    whole = carry_out(plan, tmp_path / "whole.db", curves)
    broken = None
    while broken is None:
        with suppress(KeyboardInterrupt):
            broken = carry_out(plan, tmp_path / "broken.db", curves, fuse)
        fuse += 3
    assert journal_rows(tmp_path / "broken.db") == journal_rows(tmp_path / "whole.db")
    assert trials_of(broken) == trials_of(whole)


def trials_of(controller: StudyController) -> list[tuple[object, ...]]:
    """Return what Optuna knows of the trials of all arms."""
    return [
        (study.study_name, trial.number, trial.state, trial.values, trial.params, trial.intermediate_values)
        for study in controller.optuna_studies
        for trial in study.trials
    ]


@pytest.mark.parametrize("fault", ["raise", "diverge"])
def test_an_arm_in_which_all_trials_fail_does_not_end_the_study(
    fault: str, plan: Plan, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    controller = carry_out(plan, tmp_path / "study.db", write_curves(mixup=fault))
    outcomes = Counter(
        (state.run.method, state.run.phase, state.outcome.outcome)
        for state in controller.states.values()
        if state.outcome
    )
    bad = records.FAILED if fault == "raise" else records.DIVERGED
    assert outcomes["mixup", records.SEARCH, bad] == 8
    assert outcomes["mixup", records.CONFIRM, bad] == 0
    assert outcomes["maxup", records.CONFIRM, records.COMPLETED] > 0


def test_a_study_without_search_confirms_one_point(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    plan = make_plan(make_study(search={"sampler": "none"}))
    controller = carry_out(plan, tmp_path / "study.db", write_curves())
    assert len(controller.states) == 2 * 3 * 3
    assert {state.run.phase for state in controller.states.values()} == {records.CONFIRM}


NUISANCE = Nuisance(make_plan(make_study()).nuisance)


def trials(*values: tuple[float, float]) -> list[Trial]:
    return [
        Trial(k, {"learning_rate": rate, "weight_decay": 1e-4}, selected) for k, (rate, selected) in enumerate(values)
    ]


def test_the_best_point_of_the_reference_is_always_confirmed() -> None:
    arms = {
        "baseline": trials((0.01, 0.9), (0.1, 0.5), (0.4, 0.4)),
        "mixup": trials((0.01, 0.1), (0.1, 0.9), (0.4, 0.2)),
        "maxup": trials((0.01, 0.1), (0.1, 0.8), (0.4, 0.2)),
    }
    assert [(point.trial_index, point.votes) for point in pool(arms, NUISANCE, 1)] == [(0, 1)]
    assert [(point.trial_index, point.votes) for point in pool(arms, NUISANCE, 3)] == [(0, 1), (1, 2)]


def test_nearly_equal_points_are_merged() -> None:
    arms = {"baseline": trials((0.1, 0.9)), "mixup": trials((0.1001, 0.9))}
    assert [(point.arm, point.votes) for point in pool(arms, NUISANCE, 5)] == [("baseline", 2)]


def test_points_that_differ_only_in_a_dimension_without_effect_are_merged() -> None:
    plan = make_plan(make_study(nuisance={"optimizer": ["sgd", "adam"], "learning_rate": "auto"}))
    one = {"optimizer": "sgd", "sgd.learning_rate": 0.1, "adam.learning_rate": 1e-3}
    arms = {
        "baseline": [Trial(0, one, 0.9)],
        "mixup": [Trial(1, {**one, "adam.learning_rate": 1e-2}, 0.9)],
        "maxup": [Trial(2, {**one, "sgd.learning_rate": 0.01}, 0.9)],
        "cutmix": [Trial(3, {**one, "optimizer": "adam"}, 0.9)],
    }
    found = pool(arms, Nuisance(plan.nuisance, plan.only_if), 5)
    assert [(point.arm, point.votes) for point in found] == [("baseline", 2), ("maxup", 1), ("cutmix", 1)]
    assert found[0].values == one


def test_ranks_count_at_points_that_all_arms_share() -> None:
    def ended(*selected: float) -> list[Trial]:  # trials 2 and 3 are at other points in every arm
        rates = (0.01, 0.03, 0.1, 0.4)
        return [
            Trial(k, {"learning_rate": rate, "weight_decay": 1e-4}, value, shared=k < 2)
            for k, (rate, value) in enumerate(zip(rates, selected, strict=True))
        ]

    arms = {
        "baseline": ended(0.9, 0.1, 0.2, 0.3),
        "mixup": ended(0.5, 0.6, 0.1, 0.9),  # its best point is of its own
        "maxup": ended(0.5, 0.9, 0.1, 0.2),  # point 1 has the ranks 1, 0 and 0
    }
    assert [point.arm for point in pool(arms, NUISANCE, 3)] == ["baseline", "maxup", "mixup"]


def test_an_arm_without_results_contributes_no_point() -> None:
    assert [point.arm for point in pool({"baseline": [], "mixup": trials((0.1, 0.9))}, NUISANCE, 2)] == ["mixup"]


def test_the_optuna_file_has_one_study_per_arm(plan: Plan, tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    controller = carry_out(plan, tmp_path / "study.db", write_curves(mixup="raise"))
    file = OptunaFile(tmp_path / "optuna.db")
    file.update(controller.optuna_studies)
    file.close()
    storage = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert sorted(optuna.get_all_study_names(storage)) == sorted(arm.name for arm in plan.arms)
    for arm in plan.arms:
        states = {trial.state.name for trial in optuna.load_study(study_name=arm.name, storage=storage).trials}
        assert states <= ({"FAIL"} if arm.method == "mixup" else {"COMPLETE", "PRUNED"})


def test_a_new_run_does_not_look_at_all_the_others(
    plan: Plan, tmp_path: Path, write_curves: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Counter()
    original = controller_module._trial_name

    def counted(*arguments: Any) -> str:
        asked["names"] += 1
        return original(*arguments)

    monkeypatch.setattr(controller_module, "_trial_name", counted)
    controller = carry_out(plan, tmp_path / "study.db", write_curves())
    trials = sum(state.run.phase == records.SEARCH for state in controller.states.values())
    assert asked["names"] <= 6 * trials


def test_decisions_are_the_same_for_a_loss_and_for_its_negative(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    """Replayed losses are 1 minus the accuracy, so both metrics must lead to the same decisions."""
    curves = write_curves()
    found = {}
    for metric in (records.VALIDATION_ACCURACY, records.VALIDATION_LOSS):
        plan = make_plan(make_study(metric=metric))
        carry_out(plan, tmp_path / f"{metric}.db", curves)
        with JournalReader.open(tmp_path / f"{metric}.db") as journal:
            stops = [(row.run, row.decision.rung, row.decision.action) for row in journal.decisions(RungDecision)]
            pools = [row.decision.points for row in journal.decisions(PoolDecision)]
            selected = {row.run: row.outcome.metrics.get(records.SELECTION) for row in journal.outcomes()}
            found[metric] = stops, pools, selected
    accuracy, loss = found.values()
    assert accuracy[:2] == loss[:2]
    assert len(accuracy[0]) > 0
    assert {point.trial_index for points in accuracy[1] for point in points} == {3}  # the best trial there is
    for name, value in accuracy[2].items():
        assert (value is None and loss[2][name] is None) or loss[2][name] == pytest.approx(1 - value)
