"""The plan as stored in the journal."""

from __future__ import annotations

import pytest

from tests.support.journal_builder import make_plan
from trainables.errors import InputError
from trainables.records import VALIDATION_LOSS, ConditionRecord, PlanRecord


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "resnet8", "train_fraction": 0.1}, "on resnet8 with 10 % of the data"),
        ({"train_fraction": 0.005}, "with 0.5 % of the data"),
        ({"model": "vgg", "train_fraction": 1.0}, "on vgg with all of the data"),
        ({"label_noise": 0.2, "model": "vgg"}, "on vgg with label_noise 0.2"),
        ({"data": {"source": "cifar10", "classes": 10}}, "on cifar10"),
        ({}, "under c"),
    ],
)
def test_a_condition_is_described_in_words(values: dict[str, object], words: str) -> None:
    assert ConditionRecord(name="c", values=values, epochs=10, selection_epochs=3, rungs=()).description == words


def test_references_come_first_among_the_methods() -> None:
    plan = make_plan(methods=("mixup", "baseline"))
    for arm in plan["arms"]:
        arm["reference"] = arm["method"] == "baseline"
    found = PlanRecord.parse(plan)
    assert found.methods == ("baseline", "mixup")
    assert found.reference("resnet8-0.1") == "baseline"


def test_arms_and_the_reference_belong_to_a_condition() -> None:
    plan = PlanRecord.parse(make_plan(methods=("baseline", "mixup")))
    assert [arm.name for arm in plan.arms_of("resnet8-0.2")] == ["baseline/resnet8-0.2", "mixup/resnet8-0.2"]
    assert plan.reference_arm("resnet8-0.2") == plan.arm("resnet8-0.2", "baseline")
    assert (plan.arms_of("other"), plan.reference_arm("other"), plan.reference("other")) == ((), None, None)


def test_lower_losses_are_better() -> None:
    assert PlanRecord.parse(make_plan()).higher_is_better
    assert not PlanRecord.parse(make_plan(metric=VALIDATION_LOSS)).higher_is_better


def test_unknown_entries_are_ignored() -> None:
    assert PlanRecord.parse(make_plan(colour="blue")).seeds == 6


@pytest.mark.parametrize("change", [{"seeds": "many"}, {"arms": [{"name": "a"}]}, {"conditions": 3}])
def test_a_plan_of_the_wrong_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="plan"):
        PlanRecord.parse({**make_plan(), **change})
