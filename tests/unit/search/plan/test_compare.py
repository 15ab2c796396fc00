"""Factorial comparisons, bundles of values, nuisance parameters of one model, and unfair comparisons."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.plan.builder import make_plan
from search.plan.cost_estimate import ArmCost, StudyCosts
from search.plan.model import Plan
from search.plan.power import study_size
from search.plan.record import study_record
from search.study.loading import load_study, presets, validate
from tests.support.studies import make_study, study_document
from trainables.errors import InputError

OPTIMIZERS = [
    {"as": "adam", "optimizer": "adam", "learning_rate": 0.001},
    {"as": "sgd", "optimizer": "sgd", "learning_rate": 0.1, "milestones": [0.25, 0.75]},
]


def factorial(**changes: object) -> Plan:
    """Return the plan of a factorial of two factors under two lengths."""
    document = {
        "data": "digits",
        "recipe": {"model": "resnet18", "augmentation": "none"},
        "compare": {"stem": ["imagenet", "cifar"], "optimizer": OPTIMIZERS},
        "conditions": {"length": [{"as": "short", "epochs": 8}, {"as": "long", "epochs": 16, "warm_up": 0.1}]},
        "nuisance": {},
        "search": "none",
        "confirm": {"points": 1, "seeds": 3},
        **changes,
    }
    return make_plan(validate(document, "study.yaml", Path.cwd()))


def test_a_factorial_has_a_cell_for_every_combination() -> None:
    plan = factorial()
    assert [arm.method for arm in plan.in_condition("length=short")] == [
        "stem=imagenet, optimizer=adam",
        "stem=imagenet, optimizer=sgd",
        "stem=cifar, optimizer=adam",
        "stem=cifar, optimizer=sgd",
    ]
    assert plan.contrasts[0] == ("length=short", "stem=imagenet, optimizer=sgd", "stem=imagenet, optimizer=adam")
    assert len(plan.contrasts) == 6
    document = study_record(plan).dump()
    assert document["factors"] == {"stem": ["imagenet", "cifar"], "optimizer": ["adam", "sgd"]}
    assert document["arms"][3]["levels"] == {"stem": "cifar", "optimizer": "sgd"}


def test_levels_and_bundles_are_part_of_the_run_config() -> None:
    plan = factorial()
    arm = next(arm for arm in plan.arms if arm.name == "length=long: stem=cifar, optimizer=sgd")
    config = plan.run_config(arm, {}, 0, 0).parameters()
    assert (config["stem"], config["optimizer"], config["learning_rate"]) == ("cifar", "sgd", 0.1)
    assert (config["epochs"], config["warm_up"], config["milestones"]) == (16, 0.1, [0.25, 0.75])
    assert plan.run_config(plan.arms[0], {}, 0, 0).parameters()["warm_up"] == 0


def test_rungs_wait_for_the_first_milestone_of_every_cell() -> None:
    late = [*OPTIMIZERS, {"as": "late", "optimizer": "sgd", "learning_rate": 0.1, "milestones": [0.7]}]
    search = {"search": {"trials_per_arm": 2}, "nuisance": {"weight_decay": {"low": 1e-5, "high": 1e-2, "log": True}}}
    early = factorial(**search)
    assert min(early.conditions[1].rungs) == 9  # of 16: an epoch after half of them, the default milestone
    assert min(factorial(compare={"optimizer": late}, **search).conditions[1].rungs) == 13


def test_any_cell_can_be_the_reference_or_part_of_a_contrast() -> None:
    plan = factorial(
        reference={"optimizer": "sgd"},
        contrasts=[["stem=cifar, optimizer=adam", {"stem": "imagenet", "optimizer": "adam"}]],
    )
    assert next(arm for arm in plan.arms if arm.reference).method == "stem=imagenet, optimizer=sgd"
    assert ("length=short", "stem=cifar, optimizer=adam", "stem=imagenet, optimizer=adam") in plan.contrasts


def test_methods_and_factors_cross() -> None:
    plan = factorial(methods=["baseline", {"name": "mixup", "alpha": 0.2}], compare={"stem": ["imagenet", "cifar"]})
    assert [arm.method for arm in plan.in_condition("length=long")] == [
        "baseline, stem=imagenet",
        "baseline, stem=cifar",
        "mixup, stem=imagenet",
        "mixup, stem=cifar",
    ]
    assert study_record(plan).dump()["arms"][2]["levels"] == {"method": "mixup", "stem": "imagenet"}


def test_a_resolved_factorial_can_be_read_back() -> None:
    study = factorial(reference={"optimizer": "sgd"}).study
    again = validate(study.document(), "again", Path.cwd())
    assert again == study
    assert study_record(make_plan(again)) == study_record(make_plan(study))


def test_a_nuisance_parameter_set_to_one_value_is_fixed() -> None:
    plan = make_plan(make_study(nuisance={"learning_rate": "auto", "weight_decay": 0.002}))
    assert set(plan.nuisance) == {"learning_rate"}
    assert plan.run_config(plan.arms[0], {"learning_rate": 0.1}, 0, 0).parameters()["weight_decay"] == 0.002


def test_a_model_can_have_a_range_of_its_own() -> None:
    plan = make_plan(
        make_study(
            conditions={"model": ["resnet8", "vgg11"]},
            recipe={"augmentation": "crop", "epochs": 12},
            nuisance={
                "resnet8.learning_rate": {"low": 0.05, "high": 0.5, "log": True},
                "vgg11.learning_rate": {"low": 0.001, "high": 0.01, "log": True},
                "weight_decay": "auto",
            },
        )
    )
    values = {"resnet8.learning_rate": 0.2, "vgg11.learning_rate": 0.004, "weight_decay": 1e-4}
    rates = {
        arm.condition.values["model"]: plan.run_config(arm, values, 0, 0).parameters()["learning_rate"]
        for arm in plan.arms
    }
    assert rates == {"resnet8": 0.2, "vgg11": 0.004}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compare": {"stem": ["imagenet", "cifra"]}}, "cifra"),
        ({"compare": {"stem": ["cifar"]}}, "nothing is compared"),
        ({"compare": {"train_fraction": [0.1, 1.0]}}, "make it a condition"),
        ({"compare": {"epochs": [8, 16]}}, "make it a condition"),
        ({"compare": {"stem": ["cifar", "imagenet"], "model": ["resnet18", "resnet34"]}}, "is set in `recipe`"),
        (
            {"compare": {"optimizer": [{"as": "a", "optimizer": "sgd"}, {"as": "b", "optimizer": "sgd"}]}},
            "are identical; remove one of the levels",
        ),
        ({"compare": {"optimizer": [{"optimizer": "sgd"}]}}, "needs a name"),
        ({"compare": {"optimizer": [{"as": "x"}]}}, "sets nothing"),
        ({"compare": {"stemm": ["imagenet", "cifar"]}}, "Did you mean `stem`?"),
        ({"compare": {"stem": []}}, "compare.stem: the list of levels is empty"),
        ({"compare": {"stem": "cifar"}}, "must be a list of levels"),
        ({"compare": {"stem": ["imagenet", None]}}, "a level must be a single value"),
        ({"reference": {"stem": "cifra"}}, "`stem` has no level `cifra`. Did you mean `cifar`?"),
        ({"reference": {"stam": "cifar"}}, "unknown compared factor `stam`. Did you mean `stem`?"),
        ({"conditions": {"length": [{"as": "a", "epochs": 8}], "epochs": [8, 16]}}, "`epochs` is set in"),
        ({"conditions": {"batch_size": [*range(1, 99)], "epochs": [*range(4, 99)]}}, "at most 10,000 are allowed"),
        ({"confirm": {"looks": [6, 4]}}, "must be increasing"),
        ({"confirm": {"looks": [4, 6], "seeds": 8}}, "leave out `seeds`"),
        ({"confirm": {"seeds": True}}, "seeds: expected a number, but got True"),
        ({"confirm": {"seeds": "3"}}, "seeds: expected a number"),
        ({"search": {"early_stopping": 1}}, "expected true or false"),
        ({"conditions": {"epochs": [10**30]}}, "epochs must be a whole number"),
    ],
)
def test_invalid_comparisons_are_refused_with_the_key(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refused:
        factorial(**changes)
    assert message in str(refused.value)


def test_arms_that_differ_in_more_than_what_is_compared_are_refused() -> None:
    with pytest.raises(InputError, match="arms may differ only in what is compared"):
        make_plan(
            make_study(
                conditions={},
                recipe={"augmentation": "crop", "epochs": 12, "resnet8.batch_size": 16, "vgg11.batch_size": 64},
                compare={"model": ["resnet8", "vgg11"]},
                methods=["baseline"],
                nuisance=["learning_rate"],
            )
        )


@pytest.mark.parametrize("name", sorted(presets()))
def test_the_header_of_a_packaged_study_agrees_with_its_plan(name: str) -> None:
    study = load_study(name)
    size = study_size(study_record(make_plan(study)), spread_points=1.0)
    header = presets()[name].split("\nname:")[0]
    for word in ("command    assay run", "hardware", "budget", "expect"):
        assert f"# {word}" in header
    assert name in header
    if name != "quickstart":
        assert f"{size.search_runs + size.confirmation_runs:,} runs, {size.plain_epochs:,.0f} plain epochs" in header


def test_hours_count_every_run_once_and_proposals_fit_the_budget() -> None:
    plan = make_plan(make_study(confirm={"points": 2, "seeds": 10}, methods=["baseline", {"name": "maxup", "m": 4}]))
    costs = StudyCosts({arm.name: ArmCost(35.0, 12, 1000, 360) for arm in plan.arms}, 10.0, slots=2)
    record = study_record(plan)
    assert costs.hours(record) == pytest.approx((30 + 10 + 4 * (4 + 20) * 36 / 2) / 3600)
    size = study_size(record, 1.0, costs, budget_hours=0.4)
    assert size.hours == pytest.approx(costs.hours(record))
    assert size.proposals
    for one in size.proposals:
        assert one.hours <= 0.4
        assert one.detectable_points < 5
    assert any("budget is 24 min" in warning for warning in size.warnings) == (size.hours > 0.4)


def test_too_many_pooled_points_give_a_warning() -> None:
    plans = [
        study_record(make_plan(make_study(search={"trials_per_arm": 8}, confirm={"points": points, "seeds": 10})))
        for points in (4, 5)
    ]
    assert ["The study pools" in " ".join(study_size(plan, 1.0).warnings) for plan in plans] == [False, True]


def test_comparing_methods_only_is_a_valid_study() -> None:
    assert make_plan(validate({**study_document(), "compare": "method"}, "s", Path.cwd()))
