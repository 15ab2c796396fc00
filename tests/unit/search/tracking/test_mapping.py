"""Mapping to MLflow: parameters, tags, names, points and outcomes of runs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from search.tracking import mapping
from search.tracking.mapping import Point, StudyTags
from trainables import records
from trainables.records import ArmRecord, ConditionRecord, DataFacts, Facts, Outcome, PlanRecord, ReportRow, Run

RUN = Run(
    name="s-mixup-3",
    phase=records.SEARCH,
    condition="small",
    arm="small: mixup",
    method="mixup",
    trial_index=3,
    point_index=None,
    seed_index=0,
    audit=True,
    config={},
    parameters={
        "learning_rate": 0.1,
        "mixup.alpha": 1,
        "optimizer": "sgd",
        "milestones": [0.5, 0.75],
        "flip": False,
    },
)
PLAN = PlanRecord(
    name="digits",
    metric="validation_accuracy",
    smallest_effect=0.005,
    alpha=0.05,
    seeds=12,
    points=2,
    trials_per_arm=8,
    looks=(6, 12),
    look_alphas=(0.02, 0.03),
    conditions=(
        ConditionRecord(name="small", values={"train_fraction": 0.1}, epochs=12, selection_epochs=3, rungs=()),
    ),
    arms=(
        ArmRecord(name="small: mixup", method="mixup", condition="small", cost=1.0, reference=False),
        ArmRecord(name="small: baseline", method="baseline", condition="small", cost=1.0, reference=True),
    ),
    contrasts=(),
)


def test_parameters_keep_their_plain_names():
    assert mapping.parameters(RUN) == {
        "learning_rate": "0.1",
        "mixup.alpha": "1",
        "optimizer": "sgd",
        "milestones": "[0.5, 0.75]",
        "flip": "false",
    }


def test_the_study_run_has_tags_of_the_plan():
    facts = Facts(
        versions={"keras": "3.15"}, machine={"cpus": 2}, data=DataFacts(fingerprint="abc"), git={"commit": "f00"}
    )
    study_tags = StudyTags.from_plan("id-1", PLAN, facts)
    assert study_tags.name == "digits"
    assert study_tags.parent_tags() == {
        "assay.study": "digits",
        "assay.study_id": "id-1",
        "assay.phase": "study",
        "assay.plan.metric": "validation_accuracy",
        "assay.plan.smallest_effect": "0.005",
        "assay.plan.alpha": "0.05",
        "assay.plan.seeds": "12",
        "assay.plan.points": "2",
        "assay.plan.trials_per_arm": "8",
        "assay.plan.designed": "8",
        "assay.plan.replicates": "1",
        "assay.plan.open_ended": "false",
        "assay.plan.match": "epochs",
        "assay.plan.test": "official",
        "assay.plan.variances": "own",
        "assay.plan.choice": "best",
        "assay.plan.look_alphas": "[0.02, 0.03]",
        "assay.plan.looks": "[6, 12]",
        "assay.version.keras": "3.15",
        "assay.machine.cpus": "2",
        "assay.data": "abc",
        "mlflow.source.git.commit": "f00",
    }


def test_a_run_has_tags_of_its_place_in_the_study():
    assert StudyTags.from_plan("id-1", PLAN, Facts()).run_tags(RUN, "parent-1") == {
        "mlflow.parentRunId": "parent-1",
        "assay.study": "digits",
        "assay.study_id": "id-1",
        "assay.run": "s-mixup-3",
        "assay.phase": "search",
        "assay.method": "mixup",
        "assay.condition": "small",
        "assay.condition.train_fraction": "0.1",
        "assay.arm": "small: mixup",
        "assay.seed": "0",
        "assay.trial": "3",
        "assay.audit": "true",
    }


def test_of_several_data_sets_a_run_has_the_fingerprint_of_its_own():
    condition = PLAN.conditions[0].model_copy(update={"data": "toy"})
    plan = PLAN.model_copy(update={"conditions": (condition,)})
    facts = Facts(data_sets={"digits": DataFacts(fingerprint="abc"), "toy": DataFacts(fingerprint="def")})
    study_tags = StudyTags.from_plan("id-1", plan, facts)
    assert study_tags.parent_tags()["assay.data"] == "digits: abc, toy: def"
    assert study_tags.run_tags(RUN, "parent-1")["assay.data"] == "def"


def test_a_run_of_a_factorial_has_tags_of_levels_and_compute():
    arm = PLAN.arms[0].model_copy(update={"levels": {"batch_size": 64}, "compute_of": "maxup"})
    plan = PLAN.model_copy(update={"arms": (arm,)})
    tags = StudyTags.from_plan("id-1", plan, Facts()).run_tags(RUN, "parent-1")
    assert tags["assay.level.batch_size"] == "64"
    assert tags["assay.compute_of"] == "maxup"


@pytest.mark.parametrize(
    ("outcome", "text", "status"),
    [
        (Outcome("completed", 12, "", {}), "completed", "FINISHED"),
        (Outcome("stopped", 4, "", {}), "stopped at epoch 4", "FINISHED"),
        (Outcome("diverged", 2, "", {}), "diverged at epoch 2", "FAILED"),
        (Outcome("failed", 0, "out of memory", {}), "failed: out of memory", "FAILED"),
        (
            Outcome("failed", 0, "http://me:pw@host/ is away", {}),
            "failed: http://***@host/ is away",
            "FAILED",
        ),
    ],
)
def test_outcomes_as_text(outcome, text, status):
    assert mapping.outcome_text(outcome) == text
    assert mapping.status(outcome) == status


def test_epochs_become_points_with_their_timestamps():
    reports = [
        ReportRow(1, "r", 1, {"train_loss": 2.0, "seconds": 1}, 100.25),
        ReportRow(2, "r", 2, {"train_loss": math.inf}, 101.5),
    ]
    assert mapping.epoch_points(reports) == [
        Point("train_loss", 2.0, 100250, 1),
        Point("seconds", 1.0, 100250, 1),
        Point("train_loss", math.inf, 101500, 2),
    ]


def test_missing_final_metrics_are_left_out():
    outcome = Outcome("completed", 12, "", {"selection": 0.5, "test_accuracy": None, "audit": True})
    assert mapping.final_points(outcome, 2.0) == [Point("selection", 0.5, 2000, 12)]


def test_a_run_started_before_its_first_epoch():
    one_by_one = [ReportRow(1, "r", 1, {"seconds": 2.0}, 102.0), ReportRow(2, "r", 2, {"seconds": 2.0}, 105.0)]
    together = [ReportRow(1, "r", 1, {"seconds": 2.0}, 104.0), ReportRow(2, "r", 2, {"seconds": 2.0}, 104.0)]
    assert mapping.started(90.0, one_by_one, 110.0) == 100_000
    assert mapping.started(90.0, together, 110.0) == 100_000
    assert mapping.started(101.0, together, 110.0) == 101_000
    assert mapping.started(90.0, [], 110.0) == 110_000


def test_long_values_are_truncated_and_returned():
    short, long = mapping.shorten({"a": "x" * 10, "b": "y" * 3}, 4)
    assert short == {"a": "xxxx", "b": "yyy"}
    assert long == {"a": "x" * 10}


def test_names_in_mlflow_begin_with_the_method_and_end_with_what_differs() -> None:
    assert mapping.run_name(RUN) == "mixup, small, trial 3"
    confirmed = replace(RUN, phase=records.CONFIRM, trial_index=None, point_index=1, seed_index=4)
    assert mapping.run_name(replace(confirmed, condition="all")) == "mixup, seed 4, point 1"
    assert mapping.run_name(replace(confirmed, phase=records.TRAIN, condition="final")) == "mixup, final, seed 4"
    long = mapping.run_name(replace(confirmed, condition="x" * 400))
    assert len(long) == mapping.MAX_NAME
    assert long.startswith("mixup, xxx")
    assert long.endswith("x…, seed 4, point 1")
