"""Error messages name the key that the user wrote, not the path of the value in a run configuration."""

from __future__ import annotations

import pytest

from search.plan.builder import make_plan
from search.study.loading import load_study
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.model=resnet", "recipe.model: unknown model `resnet`. Did you mean `resnet8`?"),
        ("recipe.optimizer=foo", "recipe.optimizer: unknown optimizer `foo`. Choose from: adam,"),
        ("recipe.optimizer={name: foo}", "recipe.optimizer: unknown optimizer `foo`"),
        ("recipe.optimizer={name: sgd, momentum: 3}", "recipe.optimizer.momentum: input should be less than 1"),
        ("recipe.augmentation=foo", "recipe.augmentation: unknown augmentation `foo`"),
        ("recipe.augmentation=[crop, {name: jpeg, foo: 1}]", "recipe.augmentation: unknown key `foo`."),
        ("recipe.batch_size=0", "recipe.batch_size: input should be greater than or equal to 1, but got 0"),
        ("recipe.foo=1", "recipe: unknown recipe factor `foo`"),
        ("nuisance.learning_rate=abc", "nuisance.learning_rate: expected a number, but got 'abc'"),
        ("nuisance.momentum={low: 0, high: 3}", "nuisance.momentum: input should be less than 1"),
        ("nuisance.learning_rate={a: 1}", "nuisance.learning_rate: low and high must be numbers"),
        ("conditions.train_fraction=[0.2, 3]", "conditions.train_fraction: input should be less than or equal to 1"),
        ("resources.gpus=1.5", "resources.gpus: must be a fraction of one GPU (below 1) or a whole number"),
        ("confirm.seeds=x", "confirm.seeds: expected a number, or `open`, but got 'x'"),
        ("name=a/b", "name: must consist of at most 80 letters, digits, spaces, `.`, `_` and `-`, and start with"),
        ("methods=[baseline, {name: mixup, as: 1x}]", "methods.1.as: must consist of at most 40 letters, digits,"),
        ("exclude=[{a: 1}]", "exclude: `conditions` has no factor `a`. Choose from: train_fraction."),
    ],
)
def test_a_refused_value_is_named_by_its_key(override: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        make_plan(load_study("quickstart", (override,)))
    assert str(refused.value).startswith(f"quickstart: {message}")


def test_an_error_of_a_single_arm_names_the_arm() -> None:
    with pytest.raises(InputError, match=r"quickstart: train_fraction=0.2: baseline: `steps` \(2\) must be at least"):
        make_plan(load_study("quickstart", ("recipe.steps=2",)))
