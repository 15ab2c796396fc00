"""Policies: several augmentations in sequence, their notation and their settings in a study."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from keras import ops
from pydantic import ValidationError

from search.plan.builder import make_plan
from tests.support.studies import make_study
from tests.unit.trainables.augmentation.oracles import augmented, images
from trainables.augmentation import AUGMENTATIONS, Policy, make_policy, policy_apply
from trainables.config import RunConfig
from trainables.errors import InputError


def test_policies_have_four_notations() -> None:
    assert make_policy("none") == make_policy([]) == make_policy(["none"]) == Policy()
    assert make_policy("crop_flip+cutout") == make_policy(["crop_flip", {"name": "cutout"}])
    assert make_policy({"name": "affine_flip", "rotation": 10}).settings()["affine_flip.rotation"] == 10
    policy = make_policy(["crop", {"name": "cutout", "size": 0.25}])
    assert policy.name == "crop+cutout"
    assert Policy.model_validate(json.loads(policy.model_dump_json())) == policy


def test_a_later_augmentation_does_not_change_the_draws_of_the_first() -> None:
    alone, both = (
        make_policy(name).draw(np.random.default_rng(0), 20, (16, 16, 3)) for name in ("crop", "crop+cutout")
    )
    assert all(np.array_equal(value, both[key]) for key, value in alone.items())
    assert set(both) - set(alone) == {f"1.{key}" for key in ("top", "bottom", "left", "right", "fill")}


def test_composition_is_one_after_the_other() -> None:
    batch = images(10, (16, 16, 3))
    draws, result = augmented("crop_flip+cutout", batch)
    first = policy_apply("crop_flip")(batch, {key: draws[key] for key in ("down", "right", "mirror")})
    second = {key[2:]: value for key, value in draws.items() if key.startswith("1.")}
    assert np.array_equal(result, ops.convert_to_numpy(policy_apply("cutout")(first, second)))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("flip", "Did you mean `crop_flip`?"),
        ("crop+crop", "`crop` is given twice"),
        (3, "an augmentation is a name or"),
        ({"rotation": 3}, "an augmentation is a name or"),
        ({"name": "affine_flip", "rotation": 300}, "less than or equal to 180"),
        ({"name": "crop", "rotation": 3}, "Extra inputs"),
        ({"name": "jpeg", "lowest": 0}, "greater than or equal to 1"),
        ({"name": "jpeg", "lowest": 96}, "`lowest` must be at most `highest`, but got lowest=96, highest=95"),
    ],
)
def test_bad_policies_are_refused(written: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_policy(written)
    assert message in str(caught.value)


def test_which_policies_mirror_and_vary() -> None:
    assert [name for name in AUGMENTATIONS if make_policy(name).mirrors] == [
        "affine_flip", "crop_flip", "one_of", "photometric",
    ]  # fmt: skip
    assert not make_policy({"name": "affine_flip", "flip": 0}).mirrors
    assert make_policy("crop+affine_flip").mirrors
    assert [make_policy(each).varies for each in ("none", {"name": "crop", "padding": 0}, "crop")] == [
        False, False, True,
    ]  # fmt: skip


def test_qualified_names_set_the_settings() -> None:
    plain = {"data": "digits", "augmentation": "affine_flip+cutout", "affine_flip.rotation": 5, "cutout.size": 0.25}
    config = RunConfig.from_plain({**plain, "crop.padding": 2})
    parameters = config.parameters()
    assert (parameters["augmentation"], parameters["affine_flip.rotation"]) == ("affine_flip+cutout", 5)
    assert parameters["cutout.size"] == 0.25
    assert "crop.padding" not in parameters
    assert RunConfig.from_plain(parameters) == config
    assert RunConfig.model_validate(json.loads(config.model_dump_json())) == config
    with pytest.raises(ValidationError, match="less than or equal to 180"):
        RunConfig.from_plain({**plain, "affine_flip.rotation": 200})
    with pytest.raises(InputError, match="`crop` has no field"):
        RunConfig.from_plain({**plain, "crop.pading": 2})


def test_settings_can_be_fixed_compared_and_searched_in_a_study() -> None:
    study = make_study(
        recipe={"augmentation": {"name": "affine_flip", "flip": 0, "zoom": 0.1}, "epochs": 12},
        conditions={"affine_flip.rotation": [0, 30]},
        nuisance={"affine_flip.shift": "auto", "affine_flip.shear": {"low": 0, "high": 5}},
    )
    plan = make_plan(study)
    assert {arm.condition.name for arm in plan.arms} == {"affine_flip.rotation=0", "affine_flip.rotation=30"}
    assert set(plan.nuisance) == {"affine_flip.shift", "affine_flip.shear"}
    config = plan.run_config(plan.arms[-1], {"affine_flip.shift": 0.25, "affine_flip.shear": 1.5}, 0, 0)
    step = config.parameters()
    assert (step["affine_flip.rotation"], step["affine_flip.zoom"]) == (30, 0.1)
    assert (step["affine_flip.shift"], step["affine_flip.shear"]) == (0.25, 1.5)
    with pytest.raises(InputError, match="mirror image changes the class"):
        make_plan(make_study(recipe={"augmentation": "affine_flip", "epochs": 12}))
