"""Searched milestones: whole schedules and single falls, from the study file to rungs, journal and recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.plan.builder import make_plan
from search.plan.model import Plan
from search.plan.power import study_size
from search.plan.record import study_record
from search.plan.summary import summary_rows
from search.store.journal import JournalReader
from search.study.loading import validate
from spaces.design import sobol_points
from tests.support.driver import carry_out
from tests.support.studies import make_study
from trainables import records
from trainables.config import RunConfig
from trainables.errors import InputError

RECIPE = {"model": "resnet8", "augmentation": "crop", "epochs": 40}
SCHEDULES = [[0.5, 0.75], [0.3, 0.6, 0.9]]


def planned(nuisance: dict[str, Any], **recipe: Any) -> Plan:
    return make_plan(make_study(nuisance=nuisance, recipe={**RECIPE, **recipe}, conditions={}))


def schedules(plan: Plan, count: int = 16) -> set[tuple[float, ...]]:
    """Return the milestones of some trials, of which every arm has the same."""
    points = sobol_points(plan.nuisance, count, seed=0)
    found = [[plan.run_config(arm, point, 0, 0).milestones for point in points] for arm in plan.arms]
    assert all(each == found[0] for each in found)
    return set(found[0])


def test_whole_schedules_are_chosen_with_their_number_of_falls() -> None:
    plan = planned({"milestones": SCHEDULES})
    assert schedules(plan) == {(0.5, 0.75), (0.3, 0.6, 0.9)}
    assert plan.conditions[0].rungs == (21,)  # an epoch behind the later of both first falls


def test_declared_schedules_are_searched_with_auto() -> None:
    assert schedules(planned({"milestones": "auto"})) == {(0.5, 0.75), (0.3, 0.6, 0.9), (0.6,)}


def test_a_single_milestone_replaces_that_of_the_recipe() -> None:
    plan = planned({"milestone_1": {"low": 0.3, "high": 0.7}})
    found = schedules(plan)
    assert len(found) == 16
    assert all(0.3 <= first <= 0.7 and second == 0.75 for first, second in found)
    assert plan.conditions[0].rungs == (29,)


def test_milestones_of_a_range_a_list_and_a_value_in_epochs() -> None:
    nuisance = {"milestone_1": {"low": 60, "high": 90}, "milestone_2": [110, 120], "milestone_3": 150}
    plan = planned(nuisance, milestones=[80, 120], milestones_of=160)
    found = schedules(plan)
    assert all(60 <= first <= 90 and (second, third) in {(110, 150), (120, 150)} for first, second, third in found)
    assert plan.conditions[0].rungs == (24,)  # behind 90 / 160 of 40 epochs


@pytest.mark.parametrize("sampler", ["sobol", "tpe"])
def test_rungs_are_the_same_for_all_arms_and_every_run_passes_its_first_fall_before(sampler: str) -> None:
    study = make_study(nuisance={"milestones": [*SCHEDULES, [0.65]]}, search={"sampler": sampler, "trials_per_arm": 4})
    for condition in make_plan(study).conditions:
        assert min(condition.rungs) > 0.65 * condition.epochs


def test_schedules_of_one_model_move_the_rungs_too() -> None:
    assert planned({"resnet8.milestones": [[0.7], [0.2]]}).conditions[0].rungs == (29,)


@pytest.mark.parametrize(
    ("schedules", "reason"),
    [
        ([[0.5], []], "the learning rate drops in some of the searched schedules, but not in others"),
        ([[0.5], [0.98]], "no epoch follows the latest first drop of the learning rate (0.98 of the training length)"),
    ],
)
def test_stopping_is_off_where_no_rung_is_fair_and_the_plan_says_so(schedules: list[Any], reason: str) -> None:
    plan = planned({"milestones": schedules})
    record = study_record(plan)
    assert (plan.conditions[0].rungs, record.conditions[0].unstopped) == ((), reason)
    assert ("early stopping", f"off under all: {reason}") in summary_rows(record, study_size(record, 1.0))
    quiet = make_study(recipe=RECIPE, nuisance={"milestones": schedules}, search={"early_stopping": False})
    assert make_plan(quiet).conditions[0].unstopped == ""


def test_a_study_file_is_repeated_by_its_document() -> None:
    for nuisance in (
        {"milestones": SCHEDULES},
        {"milestones": [[], [0.5]]},
        {"milestone_1": {"low": 0.3, "high": 0.7}},
    ):
        study = make_study(nuisance=nuisance)
        assert validate(study.document(), "study.yaml", Path.cwd()) == study


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nuisance": {"milestones": [0.5, 0.75]}}, "must be a list of schedules such as"),
        ({"nuisance": {"milestones": 3}}, "must be a list of schedules such as"),
        ({"nuisance": {"milestones": [[0.5], ["x"]]}}, "must be a list of schedules such as"),
        ({"nuisance": {"milestones": [[0.5], [0.5]]}}, "the list contains a schedule twice"),
        ({"nuisance": {"milestones": [[0.5], [0.5, 0.3]]}}, "`milestones` must increase, but got"),
        ({"nuisance": {"milestones": [[0.5], [1.5]]}}, "must be less than the training length"),
        ({"nuisance": {"milestone_1": "auto"}}, "nuisance.milestone_1: must be a number, a list of numbers or"),
        ({"nuisance": {"milestone_1": {"low": 0.3, "high": 0.9}}}, "`milestones` must increase, but got"),
        ({"nuisance": {"milestone_4": [0.8, 0.9]}}, "there are 2 milestones before it"),
        (
            {"nuisance": {"milestone_1": [0.2, 0.6], "milestone_2": {"low": 0.5, "high": 0.9}}},
            "nuisance.milestone_2: its smallest value must be greater than the largest of `milestone_1`",
        ),
        ({"nuisance": {"milestones": SCHEDULES, "milestone_1": [0.2, 0.3]}}, "whole schedules are set in `milestones`"),
        (
            {"nuisance": {"milestones": SCHEDULES}, "conditions": {"schedule": ["cosine", "milestones"]}},
            "the schedule of schedule=cosine is 'cosine', which has no milestones",
        ),
        ({"conditions": {"milestone_1": [0.3, 0.5]}}, "unknown recipe factor `milestone_1`"),
    ],
)
def test_schedules_that_cannot_be_searched_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(make_study(**changes))
    assert message in str(caught.value)


def test_a_study_is_searched_confirmed_and_resumed_with_schedules(
    tmp_path: Path, write_curves: Callable[..., Path]
) -> None:
    """The journal keeps schedules as text, and runs have them as numbers, also after an interruption."""
    plan = make_plan(
        make_study(
            nuisance={"milestones": SCHEDULES, "learning_rate": "auto"}, search={"sampler": "tpe", "trials_per_arm": 4}
        )
    )
    path, curves = tmp_path / records.JOURNAL_FILE, write_curves()
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, path, curves, fuse=40)
    carry_out(plan, path, curves)
    with JournalReader.open(tmp_path) as journal:
        runs = [run for _, run, _ in journal.runs()]
    assert {run.searched["milestones"] for run in runs} == {"0.5, 0.75", "0.3, 0.6, 0.9"}
    for run in runs:
        expected = [float(number) for number in run.searched["milestones"].split(",")]
        assert run.config["milestones"] == expected
    assert {run.phase for run in runs} == {records.SEARCH, records.CONFIRM}


def test_a_configuration_takes_milestones_by_number_and_as_text() -> None:
    plain = {"data": "digits", "milestones": [0.4, 0.6]}
    assert RunConfig.from_plain({**plain, "milestone_2": 0.7, "milestone_3": 0.9}).milestones == (0.4, 0.7, 0.9)
    assert RunConfig.from_plain({"data": "digits", "milestones": "0.4, 0.6"}).milestones == (0.4, 0.6)
    assert RunConfig.from_plain({"data": "digits", "milestones": "none"}).milestones == ()
    with pytest.raises(InputError, match="there are 2 milestones before it"):
        RunConfig.from_plain({**plain, "milestone_4": 0.9})
