"""Splits with groups and predefined parts, kept classes, label noise, user-defined data, downloads, checks."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from search.plan.preview import check_reports
from tests.support.studies import make_study
from trainables.config import RunConfig
from trainables.data import SOURCES, Dataset, downloads, with_absolute_paths
from trainables.data.checks import inspect
from trainables.data.selection import Selection, mislabelled, select
from trainables.data.splits import split
from trainables.errors import InputError

pytestmark = pytest.mark.usefixtures("own_code")

LABELS = np.repeat(np.arange(4), (40, 20, 30, 10)).astype("int32")


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 4, 4, 1), dtype="uint8")


def dataset(**changes: Any) -> Dataset:
    data = Dataset(images(100), LABELS, images(40, 1), np.arange(40, dtype="int32") % 4, ("a", "b", "c", "d"))
    return replace(data, **changes)


def selected(data: Dataset | None = None, **changes: Any) -> Selection:
    data = data or dataset()
    config = RunConfig.from_plain({"data": "digits", "split_seed": 3, **changes})
    return select(data.arrays(), config, len(data.class_names))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), sizes=st.integers(1, 6))
def test_groups_never_cross_a_split(seed: int, sizes: int) -> None:
    groups = np.random.default_rng(seed).permutation(100) // sizes
    train, validation = split(LABELS, seed, 0.3, 1.0, groups.astype("int32"))
    assert not set(groups[train]) & set(groups[validation])
    assert sorted(np.r_[train, validation]) == list(range(100))
    for label, count in enumerate((40, 20, 30, 10)):
        assert abs((LABELS[validation] == label).sum() - 0.3 * count) <= 4 + 2 * sizes


def test_groups_of_one_image_keep_the_class_fractions() -> None:
    _, validation = split(LABELS, 0, 0.2, 1.0, np.arange(100, dtype="int32"))
    assert np.bincount(LABELS[validation]).tolist() == [8, 4, 6, 2]


def test_a_class_that_is_one_group_is_refused() -> None:
    with pytest.raises(InputError, match=r"class 3 has 10 images, .* whole groups"):
        split(LABELS, 0, 0.2, 1.0, np.where(LABELS == 3, 999, np.arange(100)).astype("int32"))


def test_a_predefined_validation_part_is_used() -> None:
    held = np.arange(100) % 5 == 0
    for seed in (0, 1):
        train, validation = split(LABELS, seed, 0.4, 0.5, None, held)
        assert np.array_equal(validation, np.flatnonzero(held))
        assert np.bincount(LABELS[train]).tolist() == [16, 8, 12, 4]


def test_by_default_all_images_and_labels_are_used_unchanged() -> None:
    chosen = selected()
    assert chosen.classes == 4
    assert chosen.labels is LABELS
    assert len(chosen.test) == 40
    assert len(chosen.train) + len(chosen.validation) == 100


def test_classes_are_kept_in_training_validation_and_test_alike() -> None:
    chosen, all_classes = selected(classes=2), selected()
    for part, labels in ((chosen.train, LABELS), (chosen.validation, LABELS), (chosen.test, dataset().test_labels)):
        assert set(labels[part]) == {0, 1}
    assert set(chosen.train) <= set(all_classes.train)
    assert set(chosen.validation) <= set(all_classes.validation)
    with pytest.raises(InputError, match="`classes` is 5, but the data has 4"):
        selected(classes=5)


def test_wrong_labels_are_nested_and_in_the_training_part_only() -> None:
    clean, few, many = (selected(label_noise=share) for share in (0, 0.2, 0.4))
    assert np.array_equal(clean.train, many.train)
    wrong_few, wrong_many = (np.flatnonzero(each.labels != LABELS) for each in (few, many))
    assert (len(wrong_few), len(wrong_many)) == (round(0.2 * len(few.train)), round(0.4 * len(many.train)))
    assert set(wrong_few) < set(wrong_many) <= set(many.train)
    assert np.array_equal(few.labels[wrong_few], many.labels[wrong_few])
    assert not np.array_equal(selected(label_noise=0.2, split_seed=4).labels, few.labels)


@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.99), classes=st.integers(2, 4), seed=st.integers(0, 2**31))
def test_wrong_labels_are_other_kept_classes(share: float, classes: int, seed: int) -> None:
    train = np.flatnonzero(np.isin(LABELS, range(classes)))
    made = mislabelled(LABELS, train, share, classes, seed)
    assert (made != LABELS).sum() == int(share * len(train) + 0.5)
    assert made[train].max() < classes
    rest = np.setdiff1d(np.arange(100), train)
    assert np.array_equal(made[rest], LABELS[rest])


def test_wrong_labels_are_spread_over_all_other_classes() -> None:
    labels = np.zeros(9_000, dtype="int32")
    made = mislabelled(labels, np.arange(9_000), 0.9, 4, 0)
    assert np.bincount(made)[1:] == pytest.approx(np.full(3, 2700), rel=0.06)


def test_classes_and_label_noise_are_conditions_of_a_study() -> None:
    study = make_study(conditions={"classes": [2, 4], "label_noise": [0, 0.2]})
    assert [level.name for level in study.conditions["classes"]] == [2, 4]
    for wrong in ({"classes": 1}, {"label_noise": 1.0}):
        with pytest.raises(ValueError, match="validation error"):
            RunConfig.from_plain({"data": "digits", **wrong})


def test_the_fingerprint_depends_on_groups_and_validation() -> None:
    kinds = [dataset(), dataset(groups=np.arange(100, dtype="int32")), dataset(validation=np.arange(100) < 20)]
    assert len({each.fingerprint for each in kinds}) == 3
    assert dataset(notes=("x",)).fingerprint == dataset().fingerprint


def test_npz_with_validation_and_groups(tmp_path: Path) -> None:
    arrays = {"x_train": images(12), "y_train": np.arange(12) % 3, "x_test": images(6), "y_test": np.arange(6) % 3}
    arrays |= {"x_val": images(3, 5), "y_val": np.arange(3), "group_train": np.arange(12) // 2}
    np.savez(tmp_path / "a.npz", allow_pickle=False, **arrays)
    data = SOURCES.get("npz").model_validate({"source": "npz", "path": tmp_path / "a.npz"}).load()
    assert data.validation is not None
    assert data.validation.tolist() == [False] * 12 + [True] * 3
    assert len(data.images) == 15
    np.savez(tmp_path / "b.npz", allow_pickle=False, **{k: v for k, v in arrays.items() if k != "y_val"})
    with pytest.raises(InputError, match="`x_val` and `y_val` belong together"):
        SOURCES.get("npz").model_validate({"source": "npz", "path": tmp_path / "b.npz"}).load()


def test_a_function_in_the_folder_of_the_study_file_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "own_shapes.py").write_text(
        textwrap.dedent("""
        import numpy as np

        def few(n=8, wrong=False):
            if wrong:
                return 3
            x = np.arange(n * 16, dtype="uint8").reshape(n, 4, 4)
            return {"x_train": x, "y_train": np.arange(n) % 2, "x_test": x[:2], "y_test": [0, 1]}
        """)
    )
    settings_ = with_absolute_paths({"source": "own_shapes:few", "options": {"n": 6}}, tmp_path)
    before = list(sys.path)
    source = RunConfig.from_plain({"data": settings_}).data
    assert source.load().images.shape == (6, 4, 4, 1)
    assert sys.path == before
    with pytest.raises(InputError, match=r"must return a trainables\.data\.Dataset or a dictionary"):
        RunConfig.from_plain({"data": {**settings_, "options": {"wrong": True}}}).data.load()
    with pytest.raises(InputError, match="TypeError"):
        RunConfig.from_plain({"data": {**settings_, "options": {"m": 6}}}).data.load()
    with pytest.raises(InputError, match="no `fewer`"):
        RunConfig.from_plain({"data": {**settings_, "source": "own_shapes:fewer"}}).data.load()


def test_all_paths_of_a_source_are_relative_to_the_study_file(tmp_path: Path) -> None:
    made = with_absolute_paths({"source": "lists", "train": "a.txt", "root": "pictures"}, tmp_path)
    assert made["train"] == str((tmp_path / "a.txt").resolve())
    assert made["root"] == str((tmp_path / "pictures").resolve())
    assert with_absolute_paths({"source": "digit"}, tmp_path) == {"source": "digit"}


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cifar100"])
def test_downloaded_sets_have_their_shapes_and_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SOURCES.get(name)()
    count = 100 if name == "cifar100" else 10
    shape = (32, 32, 3) if name.startswith("cifar") else (28, 28)
    labels = np.arange(200, dtype="uint8").reshape(-1, *([1] if name.startswith("cifar") else [])) % count
    arrays = (np.zeros((200, *shape), dtype="uint8"), labels)
    monkeypatch.setattr(downloads, "_load", lambda asked: (arrays, arrays) if asked == name else None)
    data = source.load()
    assert data.images.shape == (200, *shape, *([] if name.startswith("cifar") else [1]))
    assert (data.labels.shape, data.labels.dtype) == ((200,), np.int32)
    assert len(set(data.class_names)) == count
    assert source.mirror_keeps_class == (name != "mnist")


def test_a_failed_download_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    def offline() -> None:
        raise Exception("URL fetch failure on address")  # as Keras does

    monkeypatch.setattr(keras.datasets.mnist, "load_data", offline)
    with pytest.raises(InputError, match=r"not in Keras's cache .* URL fetch failure .* `source: npz`"):
        SOURCES.get("mnist")().load()


def warnings_of(data: Dataset, **changes: Any) -> str:
    return "\n".join(inspect(data, {"all": selected(data, **changes)}).warnings)


def test_duplicates_are_reported() -> None:
    data = dataset()
    assert "test accuracy is biased upwards" not in warnings_of(data)
    test = data.test_images.copy()
    test[:3] = data.images[5]
    assert "3 test image(s) are also among the training images" in warnings_of(replace(data, test_images=test))
    assert "3 image(s) occur in several classes" not in warnings_of(replace(data, test_images=test))
    twice = data.images.copy()
    twice[50] = twice[0]
    found = warnings_of(replace(data, images=twice))
    assert "1 image(s) occur more than once in the development part" in found
    assert "1 image(s) occur in several classes" in found


def test_imbalance_and_small_validation_parts_are_reported() -> None:
    assert "class `a` has 4.0 times as many images as `d` (40 and 10)" in warnings_of(dataset())
    even = dataset(labels=(np.arange(100) % 4).astype("int32"))
    assert "times as many" not in warnings_of(even)
    assert "the validation part has 20 images, 5 of the smallest class" in warnings_of(even)
    large = Dataset(images(3000), np.arange(3000, dtype="int32") % 4, images(40, 1), even.test_labels, even.class_names)
    assert warnings_of(large) == ""


def test_shared_groups_and_notes_are_reported() -> None:
    data = dataset(groups=np.arange(100, dtype="int32"), test_groups=np.arange(90, 130, dtype="int32"), notes=("hm",))
    assert "10 group(s) have images in both the training and the predefined test part" in warnings_of(data)
    assert "hm" in warnings_of(data)


def test_the_data_check_of_a_study_describes_each_condition() -> None:
    report = check_reports("quickstart", ("recipe.label_noise=0.1", "conditions.train_fraction=[0.1,0.3]"))[""]
    facts = dict(report.facts)
    assert facts["train_fraction=0.1"].startswith(
        "98 training, 239 validation, 596 test, 10 training images with a wrong"
    )
    assert [name for name, _, _ in report.classes] == [str(digit) for digit in range(10)]


def test_a_run_trains_on_wrong_labels_of_the_kept_classes() -> None:
    from trainables.engine.classifier import Classifier

    arrays = SOURCES.get("digits")().load().arrays()
    plain = {"data": "digits", "model": "resnet8", "augmentation": "none", "classes": 2, "batch_size": 16}
    config = RunConfig.from_plain({**plain, "epochs": 12, "label_noise": 0.2, "learning_rate": 0.02})
    run, chosen = Classifier(config, arrays, 10), select(arrays, config, 10)
    [(data, _)] = run._data.development.chunks(run._batches(0))
    assert np.array_equal(np.asarray(data["labels"]), chosen.labels)
    assert not np.array_equal(chosen.labels, arrays["labels"])
    assert set(run._batches(0)["index"].ravel().tolist()) <= set(chosen.train.tolist())
    assert run.train_epoch()["train_loss"] < 3
    assert len(run.test().correct) == int((arrays["test_labels"] < 2).sum())


def test_equal_warnings_are_one_with_all_conditions() -> None:
    even = dataset(labels=(np.arange(100) % 4).astype("int32"))
    same, other = selected(even), selected(even, validation_fraction=0.4)
    warnings = [
        line for line in inspect(even, {"a": same, "b": other, "c": same}).warnings if "validation part" in line
    ]
    assert [line.split(":")[0] for line in warnings] == ["a, c", "b"]
