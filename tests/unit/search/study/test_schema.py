"""Tests of the study file: valid files, overrides, and messages for invalid ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.store.yaml_files import parse_mapping
from search.study.loading import load_study, presets, validate
from tests.support.studies import make_study, study_document
from trainables.errors import InputError
from trainables.registration.fields import Choice, Range


def test_a_dumped_study_validates_as_the_same_study() -> None:
    study = make_study(
        nuisance={"learning_rate": {"low": 0.01, "high": 0.1, "log": True}, "batch_size": [16, 32]},
        methods=["baseline", {"name": "mixup", "as": "mixup_strong", "alpha": {"low": 0.5, "high": 2.0}}],
    )
    assert validate(study.document(), "again", Path.cwd()) == study
    assert study.nuisance["batch_size"] == Choice((16, 32))
    assert study.methods[1].settings["alpha"] == Range(0.5, 2.0)


@pytest.mark.parametrize("name", sorted(presets()))
def test_every_preset_is_valid_and_states_its_cost(name: str) -> None:
    load_study(name)
    header = presets()[name].split("\nname:")[0]
    for word in ("command", "hardware", "budget", "expect"):
        assert f"# {word}" in header


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confirm": {"seedz": 3}}, "confirm: unknown key `seedz`. Did you mean `seeds`?"),
        (
            {"search": 3},
            "search: input should be a mapping with keys such as sampler, trials_per_arm, fidelity, but got 3",
        ),
        ({"confirm": 4}, "confirm: input should be a mapping with keys such as points, seeds, most, but got 4"),
        ({"alpha": 5}, "alpha: input should be less than or equal to 0.2, but got 5"),
        ({"confirm": {"seeds": 1}}, "confirm.seeds: must be from 2 to 1,000, or `open`, but got 1"),
        ({"methods": ["baseline", "mixap"]}, "unknown method `mixap`. Did you mean `mixup`?"),
        (
            {"methods": ["baseline", {"name": "mixup", "alfa": 1}]},
            "`mixup` has no field `alfa`. Did you mean `alpha`?",
        ),
        ({"methods": ["baseline", "mixup", "mixup"]}, "two methods are named `mixup`"),
        ({"data": {"source": "digitz"}}, "unknown data source `digitz`. Did you mean `digits`?"),
        ({"nuisance": {"learning_rat": "auto"}}, "unknown recipe factor `learning_rat`"),
        ({"nuisance": {"learning_rate": {"low": 1, "high": 0.1}}}, "low must be < high"),
        ({"nuisance": {"learning_rate": []}}, "the list of values is empty"),
        ({"recipe": {"train_fraction": 0.5}}, "is set in `recipe` and in `conditions`"),
        ({"recipe": {"seed": 1}}, "unknown recipe factor `seed`"),
        ({"exclude": [{"model": "vgg11"}]}, "`conditions` has no factor `model`"),
        ({"search": {"trials_per_arm": 1}}, "raise trials_per_arm, or disable the search"),
        ({"conditions": {"train_fraction": [0.5, 0.5]}}, "0.5 is listed twice"),
        ({"exclude": [{"train_fraction": 0.7}]}, "train_fraction has no level 0.7; choose from ["),
        ({"nuisance": {"epochs": [5, 10]}}, "trials with different values cannot be compared"),
        ({"nuisance": {"validation_fraction": [0.1, 0.5]}}, "trials with different values cannot be compared"),
        ({"nuisance": {"learning_rate": {"low": "a", "high": 1}}}, "low and high must be numbers"),
        ({"nuisance": {"learning_rate": [0.1, 0.1]}}, "the list contains a value twice"),
        ({"nuisance": {"learning_rate": [[0.1]]}}, "a list must contain single values"),
        ({"data": {"source": "npz", "path": "~nosuchuser/x"}}, "not a valid path"),
        ({"name": "../escape"}, "name: must consist of at most 80 letters, digits, spaces, `.`, `_` and `-`"),
        ({"conditions": {"train_fraction": []}}, "conditions.train_fraction"),
    ],
)
def test_messages_give_the_key_and_the_remedy(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refused:
        make_study(**changes)
    assert message in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_overrides_change_single_entries() -> None:
    study = load_study("quickstart", ("confirm.seeds=9", "recipe.learning_rate=1e-2", "nuisance={weight_decay: auto}"))
    assert study.confirm.seeds == 9
    assert study.recipe["learning_rate"] == 0.01


@pytest.mark.parametrize("override", ["confirm.seeds", "=3", "confirm.seeds.x=3", "confirm..seeds=3", "a=[1"])
def test_invalid_overrides_are_refused(override: str) -> None:
    with pytest.raises(InputError):
        load_study("quickstart", (override,))


def test_relative_data_paths_refer_to_the_folder_of_the_study_file(tmp_path: Path) -> None:
    document = study_document(data={"source": "npz", "path": "images.npz"})
    assert validate(document, "study.yaml", tmp_path).data.model_dump(mode="json")["path"] == str(
        tmp_path / "images.npz"
    )


@pytest.mark.parametrize("text", ["a: [", "- a list", "a: 1\na: 2", "!!python/object/apply:os.system ['true']"])
def test_only_plain_yaml_mappings_are_read(text: str) -> None:
    with pytest.raises(InputError):
        parse_mapping(text, "study.yaml")


def test_learning_rate_and_weight_decay_are_searched_unless_they_are_set() -> None:
    plain = {"data": "digits", "recipe": {"model": "resnet8"}, "methods": ["baseline", "mixup"]}
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"learning_rate", "weight_decay"}),
        ({"recipe": {"model": "resnet8", "learning_rate": 0.1}}, {"weight_decay"}),
        ({"recipe": {"model": "resnet8", "sgd.weight_decay": 0.1}}, {"learning_rate"}),
        ({"conditions": {"weight_decay": [0, 0.1]}}, {"learning_rate"}),
        (
            {"conditions": {"rule": [{"as": "a", "learning_rate": 0.1}, {"as": "b", "learning_rate": 0.2}]}},
            {"weight_decay"},
        ),
        ({"nuisance": {}}, set()),
    ]
    for changes, searched in cases:
        assert set(validate({**plain, **changes}, "s", Path.cwd()).searched) == searched


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": {"source": "directory", "path": "x", "sizee": 16}},
            "data: unknown key `sizee`. Did you mean `size`?",
        ),
        ({"data": {"source": "npz", "path": "x", "sze": 16}}, "Choose from: mirror_keeps_class, size, resize"),
        ({"data": {"source": "directory", "path": "x", "size": 0}}, "data.size: input should be a list, but got 0"),
        ({"data": None}, "data: input should be a mapping, but got None"),
        ({"exclude": [{"foo": 1}], "conditions": {}}, "this study has no `conditions`"),
        ({"tracking": {"uri": "nonsense://x"}}, "MLflow has no store with the scheme `nonsense`"),
        ({"tracking": {"uri": "some/folder"}}, "a folder, which MLflow no longer supports as a store"),
    ],
)
def test_messages_give_the_allowed_values(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        validate({**study_document(), **changes}, "study.yaml", Path.cwd())
    assert message in str(caught.value)


def test_a_duplicate_key_is_reported_with_its_line() -> None:
    with pytest.raises(InputError, match="duplicate key `search` in line 3"):
        parse_mapping("search: none\ndata: digits\nsearch: tpe\n", "study.yaml")
