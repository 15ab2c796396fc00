"""Final training: request, outcomes and model card; nothing is trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from search.export.recipe import Origin, Promise, Recipe, with_checksum
from search.final_training.controller import TrainingController
from search.final_training.request import (
    RecipeOverrides,
    TrainingRequest,
    length_warning,
    prepare_request,
)
from search.final_training.training import _conclude, _plan, _run, _training_result, prediction_interval
from search.store.journal import Journal
from search.store.provenance import facts_of
from trainables import records
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.data.selection import select
from trainables.errors import InputError
from trainables.worker.requests import RunResult

DIGITS = SOURCES.get("digits")().load()
SETTINGS = {
    "data": {"source": "digits"},
    "model": "resnet8",
    "augmentation": "crop",
    "epochs": 20,
    "train_fraction": 0.2,
}


def recipe(**changes: Any) -> Recipe:
    made = Recipe(
        train=RunConfig.from_plain(SETTINGS),
        fingerprint=DIGITS.fingerprint,
        class_names=list(DIGITS.class_names),
        image_shape=[8, 8, 1],
        promise=Promise(test_accuracy=0.8, low=0.75, high=0.85, spread=0.04, seeds=4),
        origin=Origin(study="small", study_id="1", condition="all", method="../../mix|up", runs=[], epochs=[10, 20]),
    )
    return with_checksum(made.model_copy(update=changes))


def archive(path: Path, side: int = 8, classes: int = 10) -> str:
    images = np.zeros((40, side, side), "uint8")
    labels = np.arange(40) % classes
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return str(path)


def test_the_data_of_the_recipe_must_have_its_fingerprint(tmp_path: Path) -> None:
    request, data = prepare_request(recipe(), 2, RecipeOverrides())
    assert (request.incomparable, data.fingerprint) == ("", DIGITS.fingerprint)
    assert TrainingRequest.model_validate(json.loads(json.dumps(request.document()))) == request
    with pytest.raises(InputError, match=r"differ from those of the study.*give them with `--data`"):
        prepare_request(recipe(fingerprint="0" * 64), 1, RecipeOverrides())
    other, _ = prepare_request(
        recipe(), 1, RecipeOverrides(data=archive(tmp_path / "other.npz"), epochs=10, full_data=True)
    )
    assert other.config.data.model_dump()["path"] == tmp_path / "other.npz"
    assert "training length differs" in other.incomparable
    assert "validation images were used for training" in other.incomparable
    assert "data differs" in other.incomparable
    assert (
        prepare_request(recipe().model_copy(update={"checksum": ""}), 1, RecipeOverrides())[0].incomparable
        == "the recipe was edited"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 12}, r"images are 12 x 12 pixels, grey, but the recipe is for 8 x 8 pixels, grey"),
        ({"classes": 4}, r"the data has 4 classes \(0, 1, 2, 3\), but the recipe is for 10"),
    ],
)
def test_data_of_another_shape_or_number_of_classes_is_refused(
    settings: dict[str, int], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        prepare_request(recipe(), 1, RecipeOverrides(data=archive(tmp_path / "other.npz", **settings)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.npz", "there is no such file"),
        ("some/folder", "there is no such file or folder"),
        ("digts", "Did you mean `digits`"),
        ("{source: npz, pth: x}", "pth"),
    ],
)
def test_missing_data_is_refused(data: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare_request(recipe(), 1, RecipeOverrides(data=data))


@pytest.mark.parametrize("name", ["", " ", "team/digits", "digits:1", ".", "../digits", ".."])
def test_a_name_that_the_registry_does_not_allow_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--register"):
        RecipeOverrides(register=name)
    assert RecipeOverrides(register="digits.v1 ä").register == "digits.v1 ä"


def test_lengths_that_the_study_did_not_try_give_a_warning() -> None:
    assert [bool(length_warning(recipe(), epochs)) for epochs in (9, 10, 15, 20, 21)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_full_data_adds_the_validation_images() -> None:
    plain, full = (RunConfig.from_plain({**SETTINGS, "full_data": full}) for full in (False, True))
    usual, all_ = (select(DIGITS.arrays(), config, 10) for config in (plain, full))
    assert set(all_.train) == {*usual.train, *usual.validation}
    assert (len(all_.validation), all_.measured) == (0, len(usual.validation))
    assert np.array_equal(all_.test, usual.test)


def test_the_prediction_interval_uses_students_t() -> None:
    interval = prediction_interval(recipe().promise, 4)
    assert interval
    assert np.allclose(interval, 0.8 + np.array([-1, 1]) * 3.18245 * 0.04 * (1 / 4 + 1 / 4) ** 0.5, atol=1e-5)
    assert prediction_interval(recipe().promise, 0) is None


def test_warnings_and_seeds_that_diverged_are_in_the_result_and_the_card(tmp_path: Path) -> None:
    promise = recipe().promise.model_copy(update={"warning": "2 of 4 runs ended with a warning: x < y."})
    request, data = prepare_request(recipe(promise=promise), 3, RecipeOverrides())
    with Journal.create(tmp_path / records.JOURNAL_FILE) as journal:
        for key, value in (
            (records.META_PLAN, _plan(request).dump()),
            (records.META_FACTS, facts_of({"": data}).dump()),
        ):
            journal.set_meta_once(key, value)
        controller = TrainingController([_run(request, s) for s in range(3)], journal)
        names = list(controller.runs)
        assert all("/" not in name for name in names)
        for name in names:
            curve = {records.TRAIN_LOSS: 1.0, records.TRAIN_ACCURACY: 0.7}
            curve |= {records.VALIDATION_LOSS: 1.1, records.VALIDATION_ACCURACY: 0.6}
            controller.reported(name, [(epoch, curve) for epoch in (1, 2)])
        confusion = np.diag(np.bincount(data.test_labels)) - np.eye(10, dtype=int)
        confusion[:, 0] += 1
        controller.ended(
            names[0],
            RunResult(records.COMPLETED, "has|not learned", 20, {records.TEST_ACCURACY: 0.9}, confusion=confusion),
        )
        controller.ended(
            names[1], RunResult(records.DIVERGED, "not finite in epoch 3", 2, {records.TEST_ACCURACY: 0.1})
        )
        controller.ended(names[2], RunResult(records.FAILED, "no memory"))
        card = _conclude(request, controller, journal, tmp_path)
        done = _training_result(request, controller, tmp_path, card, "")
    assert (done.accuracies, done.agrees) == ({0: 0.9, 1: 0.1}, False)
    assert (done.diverged, done.failures) == ({1: "not finite in epoch 3"}, {2: "no memory"})
    assert (list(done.models), done.warnings) == ([0], {0: "has|not learned"})
    assert card
    text = card.read_text()
    rows = (
        "| 1 | 10.00 | diverged |",
        "images that are not used for validation |",
        "**outside**",
        "| 3 | ",
        "Mean 50.00 %",
        "In the study, 2 of 4 runs ended with a warning: x &lt; y.",
        "**Seed 0:** has\\|not learned",
    )
    for part in (*rows, "confusion.svg"):
        assert part in text, part
    roots = [ElementTree.parse(card.parent / name).getroot() for name in ("confusion.svg", "curves.svg")]
    assert all(root.tag.endswith("}svg") for root in roots)
