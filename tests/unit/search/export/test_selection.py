"""Selection of the exported configuration, and recipes with origin and checksum."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.export.recipe import read_recipe, write_recipe
from search.export.selection import Export, _matching_conditions, select_best
from search.plan.builder import make_plan
from search.plan.record import study_record
from search.store.delivery_state import DeliveryRecord, read_delivery, write_delivery
from search.store.journal import Journal
from tests.support.runs import run_of
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.records import ConditionRecord, Outcome

FACTS = {
    "versions": {"keras": "3.15.0"},
    "data": {"fingerprint": "f" * 64, "class_names": ["a", "b"], "image_shape": [8, 8, 1], "brings": []},
}
Values = dict[tuple[str, str, int], list[float]]
SMALL, LARGE = "train_fraction=0.1, epochs=12", "train_fraction=0.1, epochs=20"


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the journal of a study by its validation accuracies."""

    def write(values: Values, compute_of: str = "", reason: str = "", **changes: Any) -> Path:
        plan = make_plan(
            make_study(
                **{
                    "recipe": {"model": "resnet8", "augmentation": "crop"},
                    "conditions": {"train_fraction": [0.1], "epochs": [12, 20]},
                    **changes,
                }
            )
        )
        document = study_record(plan).dump()
        for arm in document["arms"]:
            arm["compute_of"] = "maxup" if arm["method"] == compute_of else None
        with Journal.create(tmp_path / records.JOURNAL_FILE) as journal:
            journal.set_meta_once(records.META_ID, "id")
            journal.set_meta_once(records.META_PLAN, document)
            known = {label: {**FACTS["data"], "fingerprint": label} for label in plan.sources if label}
            facts = {**FACTS, **({"data": None, "data_sets": known} if known else {})}
            journal.set_meta_once(records.META_FACTS, facts)
            for (condition, method, point), accuracies in values.items():
                arm = next(arm for arm in plan.in_condition(condition) if arm.method == method)
                for seed, accuracy in enumerate(accuracies):
                    config = plan.run_config(
                        arm, {"learning_rate": 0.1, "weight_decay": 1e-4}, *plan.confirm_seeds(seed)
                    )
                    name = f"{method}-{condition}-{point}-{seed}"
                    dumped = config.model_dump(mode="json")
                    run = run_of(name, records.CONFIRM, condition, arm.name, method, point, seed, False, dumped, {})
                    journal.add_runs([run])
                    metrics = {
                        records.SELECTION: accuracy,
                        records.TEST_ACCURACY: accuracy - 0.1,
                        records.TEST_LOSS: 1.0,
                    }
                    journal.end(name, Outcome(records.COMPLETED, 12, reason if seed == 0 else "", metrics))
        return tmp_path

    return write


def chosen(exported: Export) -> tuple[str, str]:
    return exported.recipe.origin.method, exported.recipe.origin.condition


def test_of_several_data_sets_the_first_is_exported_unless_another_is_named(study: Callable[..., Path]) -> None:
    toy = {"as": "toy", "source": "npz", "path": "/toy.npz"}
    recipe = {"model": "resnet8", "augmentation": "crop", "epochs": 12}
    folder = study(
        {("data=digits", "mixup", 0): [0.5] * 3, ("data=toy", "maxup", 0): [0.9] * 3},
        recipe=recipe,
        conditions={"data": ["digits", toy]},
    )
    first = select_best(folder)
    assert chosen(first) == ("mixup", "data=digits")
    assert first.notes == (
        "this is the best configuration on `digits`; for another data set add `--condition data=toy`",
    )
    other = select_best(folder, condition="data=toy")
    assert (chosen(other), other.notes) == (("maxup", "data=toy"), ())
    assert [each.recipe.fingerprint for each in (first, other)] == ["digits", "toy"]
    assert other.recipe.train.data.model_dump(mode="json")["path"] == "/toy.npz"


def test_the_sizes_of_one_data_set_are_compared(study: Callable[..., Path]) -> None:
    folder = study(
        {("image_size=8", "mixup", 0): [0.5] * 3, ("image_size=16", "maxup", 0): [0.9] * 3},
        data={"source": "npz", "path": "/toy.npz"},
        recipe={"model": "resnet8", "augmentation": "crop", "epochs": 12},
        conditions={"image_size": [8, 16]},
    )
    best = select_best(folder)
    assert (chosen(best), best.notes) == (("maxup", "image_size=16"), ())
    assert (best.recipe.fingerprint, best.recipe.train.data.model_dump()["size"]) == ("image_size=16", 16)


def test_the_best_point_is_exported_with_its_result(study: Callable[..., Path]) -> None:
    folder = study(
        {(SMALL, "mixup", 0): [0.8, 0.9, 0.85], (SMALL, "baseline", 0): [0.7] * 3, (LARGE, "mixup", 0): [0.6] * 3}
    )
    exported = select_best(folder, mlflow_runs={f"mixup-{SMALL}-0-1": "abc"})
    recipe = exported.recipe
    assert (chosen(exported), exported.notes) == (("mixup", SMALL), ())
    assert recipe.promise.test_accuracy == pytest.approx(0.75)
    assert recipe.promise.high - recipe.promise.low == pytest.approx(2 * 4.3027 * 0.05 / 3**0.5, rel=1e-3)
    assert recipe.promise.metrics[records.TEST_LOSS].mean == 1.0
    assert recipe.milestone_epochs == [6.0, 9.0]
    assert recipe.origin.epochs == [12, 20]
    assert recipe.origin.mlflow_runs == {f"mixup-{SMALL}-0-1": "abc"}
    assert len({tuple(pair) for pair in recipe.origin.seeds}) == 3


def test_points_with_missing_seeds_are_excluded_with_a_note(study: Callable[..., Path]) -> None:
    folder = study({(SMALL, "mixup", 0): [0.9, 0.9], (SMALL, "mixup", 1): [0.8] * 3})
    exported = select_best(folder)
    assert exported.recipe.promise.seeds == 3
    assert exported.notes == (f"excluded: mixup, {SMALL}, point 0: only 2 of 3 seeds have a result",)


def test_the_seeds_of_an_unfinished_study_are_noted(study: Callable[..., Path]) -> None:
    assert select_best(study({(SMALL, "mixup", 0): [0.9, 0.8]})).notes == ("the study has 2 of 3 confirmation seeds",)


def test_a_warning_of_a_run_is_a_remark(study: Callable[..., Path]) -> None:
    folder = study({(SMALL, "mixup", 0): [0.1, 0.8, 0.9]}, reason="the loss is high")
    exported = select_best(folder)
    assert exported.notes == (exported.recipe.promise.warning,)
    assert exported.notes == (
        f"1 of 3 confirmation runs of mixup under {SMALL} ended with a warning, for example: the loss is high.",
    )


@pytest.mark.parametrize(
    "asked", [LARGE, "epochs=20", "epochs=20, train_fraction=1e-1", "epochs=20.0,train_fraction=0.10"]
)
def test_conditions_are_selected_by_name_or_factor(study: Callable[..., Path], asked: str) -> None:
    folder = study({(SMALL, "mixup", 0): [0.9] * 3, (LARGE, "mixup", 0): [0.6] * 3})
    assert chosen(select_best(folder, condition=asked)) == ("mixup", LARGE)


@pytest.mark.parametrize("asked", ["decay_all=True", "decay_all=true", "decay_all=TRUE"])
def test_conditions_are_selected_by_a_boolean(asked: str) -> None:
    conditions = [
        ConditionRecord(name=f"decay_all={value}", values={"decay_all": value}, epochs=3, selection_epochs=3, rungs=())
        for value in (False, True)
    ]
    assert _matching_conditions(conditions, asked) == {"decay_all=True"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"condition": "epochs=21"}, r"this study has no condition `epochs=21`.*Choose from: train_fraction=0.1"),
        ({"method": "mixip"}, "Did you mean `mixup`"),
        ({"method": "maxup"}, "not tuned at that length"),
        ({"condition": "epochs=20"}, "nothing is confirmed yet"),
    ],
)
def test_missing_conditions_and_methods_are_refused(
    study: Callable[..., Path], given: dict[str, str], message: str
) -> None:
    folder = study({(SMALL, "mixup", 0): [0.9] * 3, (SMALL, "maxup", 0): [0.95] * 3}, compute_of="maxup")
    assert chosen(select_best(folder)) == ("mixup", SMALL)
    with pytest.raises(InputError, match=message):
        select_best(folder, **given)


def test_recipes_are_read_back_unless_they_were_edited(study: Callable[..., Path], tmp_path: Path) -> None:
    recipe = select_best(study({(SMALL, "mixup", 0): [0.9, 0.8, 0.7]})).recipe
    write_recipe(recipe, tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe
    document = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    document["train"]["epochs"] = 100
    faults: list[tuple[dict[str, Any], str]] = [
        (document, "was edited after it was exported.*remove the line `checksum`"),
        ({**document, "assay_recipe": 2}, "of version 2, but this version of Assay reads up to 1"),
        (
            {**document, "promise": {**document["promise"], "test_accuracy": 7}},
            r"less than or equal to 1 \(0.07 for 7 %\), but got 7",
        ),
        ({**document, "promised": 1}, "unknown key `promised`. Did you mean `promise`"),
        ({key: value for key, value in document.items() if key != "origin"}, "`origin` is missing"),
        ({"name": "x"}, "is not a recipe"),
    ]
    for fault, message in faults:
        (tmp_path / "bad.yaml").write_text(yaml.safe_dump(fault))
        with pytest.raises(InputError, match=message):
            read_recipe(tmp_path / "bad.yaml")
    (tmp_path / "bad.yaml").write_text((tmp_path / "recipe.yaml").read_text()[:700] + "\n  - [")
    with pytest.raises(InputError, match="is not valid YAML"):
        read_recipe(tmp_path / "bad.yaml")
    del document["checksum"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(document))
    assert read_recipe(tmp_path / "own.yaml").train == replace_epochs(recipe.train, 100)


def replace_epochs(config: Any, epochs: int) -> Any:
    return config.model_copy(update={"epochs": epochs})


def test_mlflow_ids_come_from_the_state_of_the_delivery(study: Callable[..., Path]) -> None:
    folder = study({(SMALL, "mixup", 0): [0.9]})
    assert read_delivery(folder).run_ids == {}
    write_delivery(folder, DeliveryRecord(run_ids={"a": "1"}))
    assert read_delivery(folder).run_ids == {"a": "1"}
    (folder / records.DELIVERY_FILE).write_text("cut sho")
    assert read_delivery(folder).run_ids == {}
