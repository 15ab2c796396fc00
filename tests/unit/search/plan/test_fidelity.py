"""Trials with a short complete schedule: their length, what is counted, and how a study with them goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from reports.page.faq import questions
from search.monitor.status import study_progress
from search.plan.builder import make_plan
from search.plan.extension import find_extension
from search.plan.model import Plan
from search.plan.power import study_size
from search.plan.record import study_record
from search.plan.summary import summary_rows
from search.plan.unused_settings import unused_settings
from tests.support.driver import carry_out
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.records import PlanRecord

SEARCH = {"trials_per_arm": 4, "fidelity": "schedule"}
RECIPE = {"model": "resnet8", "augmentation": "crop", "epochs": 12}


def short_plan(**changes: Any) -> Plan:
    return make_plan(make_study(**{"search": SEARCH} | changes))


def test_a_trial_is_a_third_of_the_training_with_everything_scaled() -> None:
    method = {"name": "sample_pairing", "start": 0.1, "end": 0.8, "on_epochs": 6, "off_epochs": 3}
    recipe = {"augmentation": "crop", "epochs": 60, "steps": 600, "milestones": [0.5, 0.75]}
    plan = short_plan(methods=["baseline", method], recipe=recipe, conditions={})
    arm = plan.arms[1]
    trial, whole = plan.trial_config(arm, {}, 0), plan.run_config(arm, {}, *plan.confirm_seeds(0))
    assert (trial.epochs, trial.steps, trial.milestone_fractions) == (20, 200, (0.5, 0.75))
    assert (whole.epochs, whole.steps, whole.milestone_fractions) == (60, 600, (0.5, 0.75))
    assert [each.parameters()["sample_pairing.on_epochs"] for each in (trial, whole)] == [2, 6]
    assert (trial.seed, trial.split_seed) == plan.search_seeds(0)


def test_trials_of_all_arms_have_one_length_and_none_is_stopped(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    plan = short_plan()
    controller = carry_out(plan, tmp_path / "study.db", write_curves())
    states = list(controller.states.values())
    lengths = {(state.run.phase, state.outcome.epoch if state.outcome else 0) for state in states}
    assert lengths == {(records.SEARCH, 4), (records.CONFIRM, 12)}
    assert {state.outcome.outcome for state in states if state.outcome} == {records.COMPLETED}
    trial = next(state for state in states if state.run.phase == records.SEARCH)
    assert trial.outcome
    assert trial.outcome.metrics[records.SELECTION] == pytest.approx(fmean(trial.curve[epoch] for epoch in (2, 3, 4)))


@pytest.mark.parametrize(
    ("changes", "sentences"),
    [
        ({"search": {**SEARCH, "audit": 3}}, ["`search.audit` has no effect: with `fidelity: schedule`"]),
        (
            {"search": {"early_stopping": False, "audit": 3, "reduction_factor": 2}},
            ["`, `search.audit` have no effect"],
        ),
        ({"search": {"early_stopping": False, "audit": 2}}, []),
        ({"search": {"sampler": "none", "replicates": 3}}, ["`search.replicates` has no effect"]),
        (
            {"search": "none", "nuisance": {"learning_rate": {"low": 0.001, "high": 0.003}}},
            ["`nuisance.learning_rate` has"],
        ),
        ({"search": "none"}, []),
        ({"search": {"sampler": "none"}, "confirm": {"points": 3}}, ["`confirm.points` is 3, but nothing is searched"]),
        ({"search": {"trials_per_arm": 3}, "confirm": {"points": 4}}, ["of 3 trials yields at most 3 points"]),
        ({"confirm": {"seeds": "open", "looks": [2, 60]}}, ["begins with 2, but open seeds decide nothing before 4"]),
        ({"search": {"trials_per_arm": 6, "audit": 3}}, []),
        (
            {"methods": ["baseline", {"name": "maxup", "m": 4, "temperature": {"low": 1, "high": 2}}]},
            ["`maxup.temperature` has no effect: no run has `maxup.reduction: softmax`."],
        ),
        (
            {"methods": ["baseline", {"name": "maxup+mixup", "maxup.temperature": 2}]},
            ["`maxup.temperature` has no eff"],
        ),
        ({"methods": ["baseline", {"name": "maxup", "m": 4, "reduction": "softmax", "temperature": 2}]}, []),
        ({"methods": ["baseline", {"name": "maxup", "m": 4, "reduction": ["max", "softmax"]}]}, []),
        (
            {"recipe": {**RECIPE, "schedule": "cosine", "decay_factor": 0.2, "fine_tune_off": "all"}},
            [
                "`decay_factor` has no effect: no run has `schedule: milestones`.",
                "`fine_tune_off` has no effect: no run has `fine_tune` above 0.",
            ],
        ),
        ({"recipe": {**RECIPE, "schedule": "constant"}, "nuisance": ["learning_rate", "decay_factor"]}, ["`decay_fac"]),
        (
            {"recipe": {**RECIPE, "resnet8.fine_tune_off": "all"}},
            ["`fine_tune_off` has no effect: no run has `fine_tune`"],
        ),
        (
            {
                "recipe": {**RECIPE, "decay_factor": 0.2, "fine_tune_off": "all"},
                "conditions": {"schedule": ["cosine", "milestones"], "fine_tune": [0, 0.3]},
            },
            [],
        ),
    ],
)
def test_settings_without_effect_are_named(changes: dict[str, Any], sentences: list[str]) -> None:
    found = [*unused_settings(make_plan(make_study(**changes)))]
    assert len(found) == len(sentences)
    assert all(part in sentence for part, sentence in zip(sentences, found, strict=True))


@pytest.mark.parametrize("fuse", [7, 40, 90])
def test_progress_ends_at_the_planned_work_wherever_it_was_interrupted(
    fuse: int, tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    plan, path, curves = short_plan(), tmp_path / "study.db", write_curves()
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, path, curves, fuse)
    carry_out(plan, path, curves)
    progress = study_progress(path)
    assert progress
    trials = sum(4 * arm.cost * 4 for arm in plan.arms)
    confirmed = sum(
        arm.expected[records.CONFIRM] * 12 * own.cost for arm, own in zip(progress.arms, plan.arms, strict=True)
    )
    assert progress.done == pytest.approx(progress.total) == pytest.approx(trials + confirmed)


def test_plan_and_record_state_the_lengths() -> None:
    plan = short_plan()
    record = study_record(plan)
    assert PlanRecord.parse(record.dump()) == record
    assert {condition.trial_epochs for condition in record.conditions} == {4}
    size = study_size(record, spread_points=1.0)
    rows = dict(summary_rows(record, size))
    assert rows["fidelity"] == "complete schedules of 4 of 12 epochs; no early stopping"
    assert size.plain_epochs == pytest.approx(
        sum(arm.cost * (4 * 4 + 12 * record.most_confirmations) for arm in record.arms)
    )
    assert rows["work"].endswith("epochs of plain training")
    usual = study_record(make_plan(make_study()))
    assert {condition.trial_epochs for condition in usual.conditions} == {None}
    assert "trial_epochs" not in usual.conditions[0].dump()
    assert "fidelity" not in dict(summary_rows(usual, study_size(usual, spread_points=1.0)))


def test_without_a_search_there_is_no_length_of_trials() -> None:
    plan = short_plan(search={"sampler": "none", "fidelity": "schedule"}, confirm={"points": 1, "seeds": 3})
    assert {condition.trial_epochs for condition in study_record(plan).conditions} == {None}


def test_a_training_too_short_to_be_shortened_is_refused() -> None:
    with pytest.raises(InputError, match=r"search.fidelity: .* has only 9 epochs; set `epochs` to 10 or more"):
        short_plan(recipe={"augmentation": "crop", "epochs": 9}, conditions={})
    assert short_plan(recipe={"augmentation": "crop", "epochs": 10}, conditions={}).conditions[0].trial_epochs == 4


def test_a_cycle_that_leaves_nothing_of_the_method_in_a_trial_is_refused() -> None:
    method = {"name": "sample_pairing", "start": 0.6, "end": 0.97, "on_epochs": 3, "off_epochs": 1}
    changes: dict[str, Any] = {
        "methods": ["baseline", method],
        "recipe": {"augmentation": "crop", "epochs": 60},
        "conditions": {},
    }
    make_plan(make_study(**changes))
    with pytest.raises(InputError, match=r"in a trial of 20 epochs .*, .* of 20 epochs.*fidelity: full"):
        short_plan(**changes)


def test_an_extension_cannot_change_the_fidelity() -> None:
    study = make_study(search=SEARCH)
    with pytest.raises(InputError, match=r"search\.fidelity"):
        find_extension(study, make_study(search={"trials_per_arm": 8}))


@pytest.mark.parametrize(
    ("search", "answer"),
    [
        (SEARCH, "each search run trained a complete schedule of a third of the length"),
        ({"trials_per_arm": 4, "early_stopping": False}, "each search run was trained to its end"),
        ({"sampler": "none"}, "Nothing was searched"),
        ({"trials_per_arm": 4}, "Runs compete only with runs of the same method"),
    ],
)
def test_the_report_answers_what_early_stopping_did(search: dict[str, Any], answer: str) -> None:
    plan = study_record(make_plan(make_study(search=search)))
    assert answer in questions(plan, [], [], (0, 0))[2].answer
