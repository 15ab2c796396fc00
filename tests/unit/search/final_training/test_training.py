"""Final training: what is asked for, how it ends, and the card of its models; nothing is trained here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.export.recipe import Origin, Promise, Recipe, sealed
from search.final_training.controller import TrainingController
from search.final_training.request import Asked, Changes, ask, lengthened, outside_validated
from search.final_training.training import _conclude, _plan, _run, _trained, expected
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
    return sealed(made.model_copy(update=changes))


def archive(path: Path, side: int = 8, classes: int = 10) -> str:
    images = np.zeros((40, side, side), "uint8")
    labels = np.arange(40) % classes
    np.savez(path, x_train=images, y_train=labels, x_test=images, y_test=labels)
    return str(path)


def test_the_recipes_own_data_is_held_to_its_fingerprint(tmp_path: Path) -> None:
    asked, data = ask(recipe(), 2, Changes())
    assert (asked.incomparable, data.fingerprint) == ("", DIGITS.fingerprint)
    assert Asked.recalled(json.loads(json.dumps(asked.document()))) == asked
    with pytest.raises(InputError, match=r"not those of the study.*name them with `--data`"):
        ask(recipe(fingerprint="0" * 64), 1, Changes())
    other, _ = ask(recipe(), 1, Changes(data=archive(tmp_path / "other.npz"), epochs=10, full_data=True))
    assert other.config.data.model_dump()["path"] == tmp_path / "other.npz"
    assert "length is another" in other.incomparable
    assert "validation images were trained on" in other.incomparable
    assert "other data" in other.incomparable
    assert ask(recipe().model_copy(update={"checksum": ""}), 1, Changes())[0].incomparable == "the recipe was edited"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"side": 12}, r"images are 12 x 12 pixels, grey, and the recipe is for 8 x 8 pixels, grey"),
        ({"classes": 4}, r"the data has 4 classes \(0, 1, 2, 3\), and the recipe is for 10"),
    ],
)
def test_data_of_another_kind_is_refused(settings: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        ask(recipe(), 1, Changes(data=archive(tmp_path / "other.npz", **settings)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere.npz", "there is no such file"),
        ("some/folder", "there is no such file or folder"),
        ("digts", "Did you mean `digits`"),
        ("{source: npz, pth: x}", "pth"),
    ],
)
def test_data_that_is_not_there_is_refused(data: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(recipe(), 1, Changes(data=data))


@pytest.mark.parametrize("name", ["", " ", "team/digits", "digits:1", ".", "../digits", ".."])
def test_a_name_that_the_registry_does_not_take_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="--register"):
        Changes(register=name)
    assert Changes(register="digits.v1 ä").register == "digits.v1 ä"


def test_lengths_stretch_milestones_cycles_and_steps() -> None:
    plain = {**SETTINGS, "epochs": 100, "steps": 1000, "milestones": [80, 90], "milestones_of": 100}
    method = {"name": "sample_pairing", "start": 10, "end": 80, "on_epochs": 8, "off_epochs": 0.05}
    longer = lengthened(RunConfig.from_plain({**plain, "method": method}), 200)
    assert (longer.epochs, longer.steps, longer.milestone_fractions) == (200, 2000, (0.8, 0.9))
    cycle = longer.method.cycle(200)
    assert cycle
    assert tuple(cycle) == (20, 160, 26, 10)
    combined = lengthened(RunConfig.from_plain({**plain, "method": {"name": "maxup+sample_pairing"}}), 50)
    assert combined.parameters()["sample_pairing.on_epochs"] == 4


def test_lengths_that_the_study_did_not_try_are_warned_of() -> None:
    assert [bool(outside_validated(recipe(), epochs)) for epochs in (9, 10, 15, 20, 21)] == [
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


def test_the_prediction_interval_is_that_of_students_t() -> None:
    interval = expected(recipe().promise, 4)
    assert interval
    assert np.allclose(interval, 0.8 + np.array([-1, 1]) * 3.18245 * 0.04 * (1 / 4 + 1 / 4) ** 0.5, atol=1e-5)
    assert expected(recipe().promise, 0) is None


def test_a_seed_that_diverged_counts_and_the_card_says_so(tmp_path: Path) -> None:
    asked, data = ask(recipe(), 3, Changes())
    with Journal.create(tmp_path / records.JOURNAL_FILE) as journal:
        for key, value in ((records.META_PLAN, _plan(asked).dump()), (records.META_FACTS, facts_of(data).dump())):
            journal.set_meta(key, value)
        conductor = TrainingController([_run(asked, s) for s in range(3)], journal)
        names = list(conductor.runs)
        assert all("/" not in name for name in names)
        for name in names:
            curve = {records.TRAIN_LOSS: 1.0, records.TRAIN_ACCURACY: 0.7}
            curve |= {records.VALIDATION_LOSS: 1.1, records.VALIDATION_ACCURACY: 0.6}
            conductor.reported(name, [(epoch, curve) for epoch in (1, 2)])
        confusion = np.diag(np.bincount(data.test_labels)) - np.eye(10, dtype=int)
        confusion[:, 0] += 1
        conductor.ended(
            names[0], RunResult(records.COMPLETED, "", 20, {records.TEST_ACCURACY: 0.9}, confusion=confusion)
        )
        conductor.ended(names[1], RunResult(records.DIVERGED, "not finite in epoch 3", 2, {records.TEST_ACCURACY: 0.1}))
        conductor.ended(names[2], RunResult(records.FAILED, "no memory"))
        card = _conclude(asked, conductor, journal, tmp_path)
        done = _trained(asked, conductor, tmp_path, card, "")
    assert (done.accuracies, done.agrees) == ({0: 0.9, 1: 0.1}, False)
    assert (done.diverged, done.failures) == ({1: "not finite in epoch 3"}, {2: "no memory"})
    assert list(done.models) == [0]
    assert card
    text = card.read_text()
    rows = ("| 1 | 10.00 | diverged |", "what validation leaves |", "**not there**", "| 3 | ", "Mean 50.00 %")
    for part in (*rows, "confusion.svg"):
        assert part in text, part
    assert all((card.parent / name).read_text().startswith("<svg") for name in ("confusion.svg", "curves.svg"))
