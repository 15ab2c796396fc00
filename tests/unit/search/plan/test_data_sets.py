"""Tests of studies on several data sets: their plans, and the data sets of which a level is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.plan import cost_estimate
from search.plan.builder import make_plan
from search.plan.cost_estimate import costs_at_throughput
from search.plan.data_validation import check_data, load_data_sets
from search.plan.extension import find_extension
from search.plan.model import Plan
from search.plan.preview import check_reports, draw_sheet
from search.plan.record import study_record
from search.study.loading import validate
from tests.support.studies import make_study
from trainables.errors import InputError
from trainables.records import PlanRecord

RECIPE = {"model": "resnet8", "augmentation": "crop", "epochs": 12}
METHODS = ["baseline", {"name": "mixup", "alpha": {"low": 0.2, "high": 1.0}}]


def archive(path: Path, classes: int = 3, side: int = 10, images: int = 90, channels: int = 3) -> Path:
    """Write a small data set; its test images are others than those for training."""
    rng = np.random.default_rng(classes)
    pixels = rng.integers(0, 256, (2 * images, side, side, channels), "uint8")
    labels = np.arange(images) % classes
    np.savez(path, x_train=pixels[:images], y_train=labels, x_test=pixels[images:], y_test=labels)
    return path


def plan_of(folder: Path, **changes: Any) -> Plan:
    toy = {"as": "toy", "source": "npz", "path": "toy.npz"}
    document = {"name": "two", "conditions": {"data": ["digits", toy]}, "recipe": RECIPE, "methods": METHODS, **changes}
    return make_plan(validate(document, "study.yaml", folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    archive(tmp_path / "toy.npz")
    return tmp_path


def test_a_condition_has_the_runs_of_a_study_on_its_data_alone(folder: Path) -> None:
    several = plan_of(folder)
    for name, data in (("digits", "digits"), ("toy", {"source": "npz", "path": "toy.npz"})):
        alone = plan_of(folder, conditions={}, data=data)
        assert several.nuisance == alone.nuisance
        for one, other in zip(several.in_condition(f"data={name}"), alone.arms, strict=True):
            assert (one.method, one.space, one.epochs, one.cost) == (
                other.method,
                other.space,
                other.epochs,
                other.cost,
            )
            values = {"learning_rate": 0.03, "weight_decay": 1e-4}
            for index in range(4):
                seeds = several.search_seeds(index), several.confirm_seeds(index)
                assert seeds == (alone.search_seeds(index), alone.confirm_seeds(index))
                for pair in seeds:
                    assert several.run_config(one, values, *pair) == alone.run_config(other, values, *pair)


def test_the_plan_names_data_sets_only_where_there_are_several(folder: Path) -> None:
    several, single = study_record(plan_of(folder)), study_record(make_plan(make_study()))
    assert [condition.data for condition in several.conditions] == ["digits", "toy"]
    assert PlanRecord.parse(several.dump()) == several
    assert [list(condition) for condition in single.dump()["conditions"]] == [
        ["name", "values", "epochs", "selection_epochs", "rungs", "unstopped"]
    ] * 2
    assert several.conditions[1].description == "on toy"


def test_each_data_set_is_loaded_and_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = check_data(plan_of(folder))
    assert {label: (len(one.class_names), one.images.shape) for label, one in data.items()} == {
        "digits": (10, (1201, 8, 8, 1)), "toy": (3, (90, 10, 10, 3)),
    }  # fmt: skip
    warnings = capsys.readouterr().err
    assert "data=toy: the validation part has 18 images" in warnings
    assert "data=toy: `batch_size` (128) is above the number of training images, 72" in warnings
    assert "data=digits: `batch_size`" not in warnings


def test_an_image_size_changes_the_images_and_their_fingerprint(folder: Path) -> None:
    plan = plan_of(folder, data={"source": "npz", "path": "toy.npz"}, conditions={"image_size": [8, 12]})
    data = check_data(plan)
    assert {label: one.images.shape[1:] for label, one in data.items()} == {
        "image_size=8": (8, 8, 3), "image_size=12": (12, 12, 3),
    }  # fmt: skip
    assert len({one.fingerprint for one in data.values()}) == 2


@pytest.mark.parametrize(
    ("written", "changes", "message"),
    [
        ({"images": 6}, {}, r"^toy: "),
        ({}, {"recipe": {**RECIPE, "classes": 5}}, r"^toy: .*classes"),
        ({"side": 4}, {"recipe": {**RECIPE, "model": "vgg11"}}, r"^digits: .*8 x 8|^toy: .*4 x 4"),
        ({"side": 3}, {}, r"^toy: .*3 x 3"),
    ],
)
def test_data_that_does_not_fit_is_refused_by_the_name_of_its_level(
    written: dict[str, int], changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    archive(tmp_path / "toy.npz", **written)
    with pytest.raises(InputError, match=message):
        check_data(plan_of(tmp_path, **changes))


def test_a_missing_file_is_refused_by_the_name_of_its_level(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^toy: .*toy\.npz: there is no such file"):
        check_data(plan_of(tmp_path))


def test_flips_are_refused_for_the_data_set_whose_classes_they_change(folder: Path) -> None:
    with pytest.raises(
        InputError, match=r"^study\.yaml: data=digits: baseline: augmentation `crop_flip` mirrors images"
    ):
        plan_of(folder, recipe={**RECIPE, "augmentation": "crop_flip"})
    toy = {"as": "toy", "source": "npz", "path": "toy.npz", "mirror_keeps_class": False}
    with pytest.raises(InputError, match=r"^study\.yaml: data=toy: baseline: augmentation `crop_flip` mirrors images"):
        plan_of(folder, recipe={**RECIPE, "augmentation": "crop_flip"}, conditions={"data": [toy]})


def test_the_same_images_under_two_names_are_refused(folder: Path) -> None:
    (folder / "copy.npz").write_bytes((folder / "toy.npz").read_bytes())
    levels = [{"as": name, "source": "npz", "path": f"{name}.npz"} for name in ("toy", "copy")]
    with pytest.raises(InputError, match=r"conditions: `toy` and `copy` have the same images and labels; remove one"):
        check_data(plan_of(folder, conditions={"data": levels}))


def test_costs_and_reports_are_those_of_each_data_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_estimate.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(cost_estimate, "visible_gpus", lambda: 2)
    plan, on_gpus = plan_of(folder), plan_of(folder, resources={"gpus": 0.5})
    costs = costs_at_throughput(plan, load_data_sets(plan.sources), 100)
    assert [costs.arms[arm.name].test_images for arm in plan.arms] == [596, 596, 90, 90]
    assert costs.arms["data=digits: baseline"].seconds > 5 * costs.arms["data=toy: baseline"].seconds
    assert (costs.slots, costs_at_throughput(on_gpus, load_data_sets(plan.sources), 100).slots) == (16, 4)
    path = folder / "study.yaml"
    path.write_text(
        "conditions: {data: [digits, {as: toy, source: npz, path: toy.npz}]}\n"
        "recipe: {model: resnet8, augmentation: crop, epochs: 12}\nmethods: [baseline, mixup]\n"
    )
    reports = check_reports(str(path))
    assert [len(report.classes) for report in reports.values()] == [10, 3]
    draw_sheet("augmentations", folder / "sheet.png", str(path))
    assert (folder / "sheet.png").stat().st_size > 0


def test_an_extension_may_add_a_data_set_before_the_others(folder: Path) -> None:
    before = plan_of(folder).study
    levels = ["mnist", {"as": "toy", "source": "npz", "path": "toy.npz"}, "digits"]
    assert find_extension(before, plan_of(folder, conditions={"data": levels}).study).what == ("conditions added",)
    with pytest.raises(InputError, match=r"but conditions\.data: digits would be removed"):
        find_extension(before, plan_of(folder, conditions={"data": levels[:2]}).study)
    changed = ["digits", {"as": "toy", "source": "npz", "path": "toy.npz", "mirror_keeps_class": False}]
    with pytest.raises(
        InputError, match=r"but conditions\.data\.toy\.mirror_keeps_class would change from True to Fal"
    ):
        find_extension(before, plan_of(folder, conditions={"data": changed}).study)
