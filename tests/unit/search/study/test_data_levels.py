"""Tests of `data` and `image_size` as conditions in a study file: what they mean, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.plan.builder import make_plan
from search.study.data_levels import name_of
from search.study.loading import validate
from search.study.schema import Study
from tests.support.studies import study_document
from trainables.errors import InputError

TOY = {"as": "toy", "source": "npz", "path": "toy.npz"}
NPZ = {"source": "npz", "path": "toy.npz"}


def study(folder: Path = Path("/project"), **changes: Any) -> Study:
    document = {**study_document(), **changes}
    return validate({key: value for key, value in document.items() if value is not None}, "study.yaml", folder)


def sizes(*levels: Any, **data: Any) -> Study:
    return study(data={**NPZ, **data}, conditions={"image_size": list(levels)})


def test_a_dumped_study_validates_as_the_same_study() -> None:
    for made in (
        study(data=None, conditions={"data": ["digits", TOY], "train_fraction": [0.1, 0.5]}),
        sizes(16, {"as": "wide", "image_size": [16, 24], "batch_size": 32}),
        study(data=None, conditions={"data": [TOY, {**TOY, "as": "pad", "resize": "pad"}], "image_size": [8, 16]}),
    ):
        assert validate(made.document(), "again", Path("/elsewhere")) == made


def test_a_relative_path_refers_to_the_folder_of_the_study_file() -> None:
    plan = make_plan(study(data=None, conditions={"data": ["digits", TOY, {"as": "own", "source": "my.module:load"}]}))
    assert plan.sources["toy"].model_dump(mode="json")["path"] == "/project/toy.npz"
    assert plan.sources["own"].model_dump(mode="json")["path"] == "/project", "the folder of the module"


def test_the_name_of_a_source_stands_for_the_data_of_the_study() -> None:
    plan = make_plan(study(data={**NPZ, "size": 16}, conditions={"data": ["digits", "npz"]}))
    assert plan.sources["npz"] == plan.study.data
    assert plan.sources["npz"].model_dump()["size"] == 16


def test_without_data_the_first_level_takes_its_place() -> None:
    made = study(data=None, conditions={"data": [TOY, "digits"]})
    assert made.data.model_dump(mode="json") == made.conditions["data"][0].values["data"]


def test_sizes_multiply_the_data_sets() -> None:
    made = study(data=None, conditions={"data": [TOY, "cifar10"], "image_size": [8, 16], "train_fraction": [0.5, 1.0]})
    plan = make_plan(made)
    assert len(plan.conditions) == 8
    assert {label: source.model_dump()["size"] for label, source in plan.sources.items()} == {
        "toy, image_size=8": 8, "toy, image_size=16": 16, "cifar10, image_size=8": 8, "cifar10, image_size=16": 16,
    }  # fmt: skip
    assert [name_of(label) for label in plan.sources] == ["toy", "toy", "cifar10", "cifar10"]
    assert plan.conditions[0].values == {"data": "toy", "image_size": 8, "train_fraction": 0.5}


def test_a_named_size_may_set_more_and_the_study_may_leave_combinations_out() -> None:
    wide = {"as": "wide", "image_size": [16, 24], "batch_size": 32}
    made = study(data=None, conditions={"data": [TOY, "mnist"], "image_size": [8, wide]}, exclude=[{"data": "mnist"}])
    plan = make_plan(made)
    assert list(plan.sources) == ["toy, image_size=8", "toy, image_size=16x24"]
    config = plan.run_config(plan.arms[-1], {}, 0, 0)
    assert (config.data.model_dump()["size"], config.batch_size) == ((16, 24), 32)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"data": ["digits", "digits"]}, "conditions.data: 'digits' is listed twice"),
        ({"data": ["digits", {**TOY, "as": "digits"}]}, "conditions.data: 'digits' is listed twice"),
        ({"data": ["digits", {"as": "again", "source": "digits"}]}, "`digits` and `again` are the same data"),
        (
            {"data": ["digits", "digitz"]},
            "conditions.data: digitz: unknown data source `digitz`. Did you mean `digits`",
        ),
        ({"data": ["digits", NPZ]}, "conditions.data: a level must be the name of a data source, or a source with"),
        ({"data": ["digits", {**TOY, "as": "a=b"}]}, "without comma and equals sign"),
        ({"data": ["digits", {**TOY, "as": "a, b"}]}, "without comma and equals sign"),
        ({"data": ["digits", 3]}, "conditions.data: a level must be the name of a data source"),
        ({"data": [{"as": "x"}]}, "conditions.data: x: `source` is missing; choose from: cifar10,"),
        ({"data": "digits"}, "conditions.data: must be a list of levels, but got 'digits'"),
        ({"data": ["digits", {**TOY, "sice": 3}]}, "conditions.data: toy: unknown key `sice`. Did you mean `size`?"),
        ({"data": ["digits", {"as": "toy", "source": "npz"}]}, "conditions.data: toy: `path` is missing"),
        ({"data": ["digits", {**TOY, "path": "~nosuchuser/x"}]}, "not a valid path"),
        ({"data": ["mnist", TOY]}, "`data` is not one of the levels of conditions.data, mnist, toy"),
        ({"image_size": [8, 16]}, "image_size 8: the images of `data` (source `digits`) cannot be resized; those of"),
        (
            {"length": [{"as": "a", "data": "digits", "epochs": 9}]},
            "`data` can only be a separate condition",
        ),
        ({"data": ["digits", TOY], "image_size": [8]}, "image_size 8: the images of `digits` (source `digits`) cannot"),
    ],
)
def test_levels_of_data_are_refused_by_name(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refused:
        study(conditions=conditions)
    assert message in str(refused.value)


@pytest.mark.parametrize("size", [0, 5000, 8.5, True, "8", [8], [8, 0]])
def test_what_is_no_size_is_refused(size: Any) -> None:
    level = {"as": "it", "image_size": size} if isinstance(size, list) else size
    with pytest.raises(InputError, match=r"conditions\.image_size: image_size must be a whole number of pixels"):
        sizes(level)


def test_a_size_that_is_also_set_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match=r"the size of the images is also set in `data`, `size: 32`; remove one"):
        sizes(8, 16, size=32)
    with pytest.raises(InputError, match=r"the size of the images is also set in `toy`, `size: 32`; remove one"):
        study(data=None, conditions={"data": [{**TOY, "size": 32}, "mnist"], "image_size": [8]})
    shape = [{"as": "a", "image_size": 8}, {"as": "b", "epochs": 12}]
    with pytest.raises(InputError, match=r"conditions\.shape: `b` sets no `image_size`, but other levels do"):
        study(data=NPZ, recipe={"augmentation": "crop"}, conditions={"shape": shape})


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"image_size": 8}},
        {"recipe": {"data": "digits"}},
        {"nuisance": {"image_size": [8, 16]}},
        {"compare": {"image_size": [8, 16]}},
        {"compare": {"data": ["digits", "mnist"]}},
    ],
)
def test_both_are_for_conditions_only(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"`(data|image_size)` can only be a separate condition, .* for all runs"):
        study(**changes)
