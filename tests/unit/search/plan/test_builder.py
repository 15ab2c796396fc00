"""Plan builder: conditions, arms and contrasts, and the arms that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from search.plan.builder import make_plan
from search.plan.model import Plan, file_name
from search.plan.power import detectable_effect, study_size
from search.plan.record import study_record
from spaces.design import sobol_points
from tests.support.studies import make_study
from trainables.errors import InputError
from trainables.methods.sample_pairing import SamplePairing


def test_all_arms_have_the_same_number_of_runs_and_all_contrasts_are_in_the_family(plan: Plan) -> None:
    assert [arm.name for arm in plan.arms][:3] == [
        "train_fraction=0.1: baseline",
        "train_fraction=0.1: mixup",
        "train_fraction=0.1: maxup",
    ]
    assert plan.contrasts[0] == ("train_fraction=0.1", "mixup", "baseline")
    assert len(plan.contrasts) == 4
    size = study_size(study_record(plan), spread_points=1.0)
    assert (size.search_runs, size.confirmation_runs) == (24, 36)
    assert size.plain_epochs == pytest.approx(2 * 10 * 12 * (1 + 1 + 7 / 3))


def test_excluded_combinations_are_not_conditions() -> None:
    study = make_study(
        conditions={"train_fraction": [0.1, 0.3], "model": ["resnet8", "resnet20"]},
        recipe={"augmentation": "crop", "epochs": 12},
        exclude=[{"train_fraction": 0.1, "model": "resnet20"}],
    )
    assert [condition.name for condition in make_plan(study).conditions] == [
        "train_fraction=0.1, model=resnet8",
        "train_fraction=0.3, model=resnet8",
        "train_fraction=0.3, model=resnet20",
    ]


def test_the_configs_of_all_arms_differ_in_the_method_only(plan: Plan) -> None:
    values = {"learning_rate": 0.1, "weight_decay": 1e-4}
    configs = [
        plan.run_config(arm, values, *plan.confirm_seeds(0)).model_dump(exclude={"method"})
        for arm in plan.in_condition("train_fraction=0.1")
    ]
    assert configs[0] == configs[1] == configs[2]


def test_a_method_field_set_by_a_condition_is_not_searched() -> None:
    plan = make_plan(make_study(conditions={"mixup.alpha": [0.2, 1.0]}, methods=["baseline", "mixup"]))
    alphas = [plan.run_config(arm, {}, 0, 0).parameters()["mixup.alpha"] for arm in plan.arms if arm.method == "mixup"]
    assert alphas == [0.2, 1.0]
    assert all(not arm.space for arm in plan.arms)


def test_rungs_and_costs_hold_for_all_searched_values() -> None:
    pairing = {"name": "sample_pairing", "on_epochs": [2, 4], "off_epochs": 1}
    plan = make_plan(
        make_study(recipe={"augmentation": "crop", "epochs": 40}, conditions={}, methods=["baseline", pairing, "maxup"])
    )
    for on_epochs in (2, 4):
        kind = SamplePairing(on_epochs=on_epochs, off_epochs=1)
        for rung in plan.conditions[0].rungs:
            assert not kind.cycle(40).on(rung - 1)
    assert plan.arms[2].cost == pytest.approx((5 / 3 + 13 / 3) / 2)


def test_search_and_confirmation_have_different_seeds(plan: Plan) -> None:
    search = {plan.search_seeds(k) for k in range(50)}
    confirm = {plan.confirm_seeds(s) for s in range(50)}
    assert len({seed for seed, _ in search | confirm}) == 100
    assert len({split for _, split in search}) == 1
    assert len({split for _, split in confirm}) == 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"augmentation": "crop_flip", "epochs": 12}}, "but a mirror image changes the class"),
        ({"recipe": {"augmentation": "none", "epochs": 12}}, "maxup needs a base augmentation"),
        ({"recipe": {"augmentation": "crop", "full_data": True}}, "it is for `assay train --full-data`"),
        ({"recipe": {"epochs": 2, "augmentation": "crop"}}, "epochs must be a whole number from 4 to 100,000"),
        ({"methods": ["baseline", {"name": "mixup", "alpha": 0.001}]}, "alpha"),
        ({"methods": ["baseline", {"name": "maxup", "m": 1}]}, "m"),
        ({"methods": ["baseline", "sample_pairing"]}, "fewer than two blocks"),
        ({"methods": ["baseline", "mixup", {"name": "mixup", "as": "again"}]}, "are the same"),
        (
            {"recipe": {"optimizer": {"name": "sgd", "learning_rate": 0.1}, "augmentation": "crop", "epochs": 12}},
            "it is also set by recipe.optimizer.learning_rate; remove one of them",
        ),
        ({"recipe": {"beta_1": 0.5, "augmentation": "crop", "epochs": 12}}, "beta_1"),
        ({"recipe": {"milestones": 0.5, "augmentation": "crop", "epochs": 12}}, "milestones"),
        ({"methods": ["baseline", "maxup", "maxup_mean"], "contrasts": [["maxup", "maxup_mean"]]}, "set `m` to one"),
        (
            {
                "methods": [
                    "baseline",
                    {"name": "maxup+mixup", "maxup.m": 4},
                    {"name": "maxup_mean+mixup", "maxup_mean.m": 2},
                ],
                "contrasts": [["maxup+mixup", "maxup_mean+mixup"]],
            },
            "such as {name: maxup+mixup, maxup.m: 4}",
        ),
        ({"nuisance": {"nesterov": "auto"}}, "`auto` needs a declared range"),
        ({"methods": ["mixup", "maxup"]}, "this study has no method `baseline`"),
        ({"contrasts": [["mixup", "cutmix"]]}, "this study has no method `cutmix`"),
        ({"contrasts": [["mixup", "mixup"]]}, "compares a method with itself"),
        ({"contrasts": [["baseline", "mixup"]]}, "is already part of the study"),
        ({"contrasts": [["maxup", "mixup"], ["mixup", "maxup"]]}, "is listed twice"),
        ({"exclude": [{"train_fraction": 0.1}, {"train_fraction": 0.3}]}, "leaves no condition"),
    ],
)
def test_arms_that_cannot_run_or_cannot_differ_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refused:
        make_plan(make_study(**changes))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": ["baseline", {"name": "mixup", "as": "a"}, {"name": "mixup", "as": "b"}]},
        {"contrasts": [["mixup", "baseline"]]},
        {"nuisance": {"schedule": ["cosine", "constant"]}},
        {"recipe": {"epochs": 2}},
        {"recipe": {"epochs": 12, "full_data": True}},
        {"recipe": {"epochs": 12, "augmentation": "crop_flip"}},
    ],
)
def test_what_a_plan_refuses_names_the_study_file(changes: dict[str, Any]) -> None:
    study = make_study(**changes)
    with pytest.raises(InputError, match=r"^study\.yaml: "):
        make_plan(study)
    with pytest.raises(InputError, match=r"^other\.yaml: "):
        make_plan(study.read_from("other.yaml").with_precision("mixed").on_official_test())
    assert study.read_from("other.yaml") == study
    with pytest.raises(InputError, match=r"^(?!study)"):
        make_plan(study.read_from(""))


def test_more_seeds_detect_smaller_effects() -> None:
    few, many = detectable_effect(5, 0.05), detectable_effect(20, 0.05)
    assert few == pytest.approx(1.68, abs=0.02)  # statsmodels TTestPower(): 1.6819
    assert many == pytest.approx(0.66, abs=0.01)


def test_file_names_are_valid_and_distinct() -> None:
    assert file_name("search", "train_fraction=0.1, model=a/b", "mixup", "k001") == (
        "search_train-fraction=0.1-model=a-b~c398b629737d_mixup_k001"
    )
    assert file_name("search", "train_fraction=0.1, label_noise=0.2", "maxup_mean") == (
        "search_train-fraction=0.1-label-noise=0.2_maxup-mean"
    )
    alike = [
        "mixup_1",
        "mixup-1",
        "mixup 1",
        "mixup, 1",
        "-mixup_1",
        "少",
        "多",
        "",
        "~",
        "a=1, b=2",
        "a=1_b=2",
        "a=1-b=2",
    ]
    assert len({file_name("confirm", name, "s000") for name in alike}) == len(alike)
    long = file_name("x" * 300), file_name("x" * 301)
    assert len(long[0]) <= 120
    assert long[0] != long[1]


def test_a_range_of_an_integer_field_is_a_range_of_integers() -> None:
    study = make_study(
        methods=["baseline", {"name": "maxup", "m": {"low": 2, "high": 8}}],
        nuisance={"learning_rate": "auto", "batch_size": {"low": 16, "high": 64}},
    )
    plan = make_plan(study)
    arm = next(arm for arm in plan.arms if arm.space)
    for point in sobol_points({**plan.nuisance, **arm.space}, 16, seed=1):
        assert isinstance(point["batch_size"], int)
        assert isinstance(point["maxup.m"], int)
        plan.run_config(arm, point, 0, 0)


@pytest.mark.parametrize(
    ("nuisance", "message"),
    [
        ({"batch_size": {"low": 16.5, "high": 64}}, "must be whole numbers"),
        ({"learning_rate": {"low": 0.1, "high": 1e300}}, "must lie within"),
        ({"batch_size": {"low": 16, "high": 1e9}}, "less than or equal to 1000000"),
    ],
)
def test_a_search_range_outside_the_bounds_of_its_field_is_refused(nuisance: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_plan(make_study(nuisance=nuisance))


def test_conditions_are_counted_before_they_are_built() -> None:
    levels = [round(0.001 * i, 3) for i in range(1, 900)]
    grid = {"train_fraction": levels, "label_noise": levels, "weight_decay": levels}
    with pytest.raises(InputError, match="conditions before `exclude`"):
        make_plan(make_study(conditions=grid, nuisance=["learning_rate"]))
