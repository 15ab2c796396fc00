"""Data sources and splits."""

from pathlib import Path

import numpy as np
import pytest

from trainables.data import SOURCES, Dataset
from trainables.data.splits import split
from trainables.errors import InputError


def load(path: Path) -> Dataset:
    return SOURCES.get("npz").model_validate({"source": "npz", "path": str(path)}).load()


def archive(path: Path, **changes: np.ndarray | None) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray | None] = {
        "x_train": rng.integers(0, 256, (12, 9, 8), dtype="uint8"),
        "y_train": np.arange(12, dtype="uint8") % 3,
        "x_test": rng.integers(0, 256, (6, 9, 8), dtype="uint8"),
        "y_test": np.arange(6) % 3,
    }
    arrays |= changes
    np.savez(path, allow_pickle=True, **{key: value for key, value in arrays.items() if value is not None})
    return path


def test_digits_are_complete() -> None:
    dataset = SOURCES.get("digits")().load()
    assert dataset.images.shape[1:] == (8, 8, 1)
    assert len(dataset.images) + len(dataset.test_images) == 1797
    assert 580 <= len(dataset.test_images) <= 610
    assert (dataset.images.dtype, dataset.labels.dtype) == (np.uint8, np.int32)
    assert (dataset.images.min(), dataset.images.max()) == (0, 255)
    shares = np.bincount(dataset.test_labels) / np.bincount(np.r_[dataset.labels, dataset.test_labels])
    assert np.all(np.abs(shares - 1 / 3) < 0.01)
    assert not SOURCES.get("digits")().mirror_keeps_class


def test_digits_are_deterministic() -> None:
    first, second = SOURCES.get("digits")().load(), SOURCES.get("digits")().load()
    assert first.fingerprint == second.fingerprint
    changed = first.images.copy()
    changed[0, 0, 0, 0] ^= 1
    other = Dataset(changed, first.labels, first.test_images, first.test_labels, first.class_names)
    assert other.fingerprint != first.fingerprint


def test_npz_of_grey_images(tmp_path: Path) -> None:
    dataset = load(archive(tmp_path / "a.npz"))
    assert dataset.images.shape == (12, 9, 8, 1)
    assert dataset.test_images.shape == (6, 9, 8, 1)
    assert dataset.labels.dtype == np.int32
    assert dataset.class_names == ("0", "1", "2")


def test_npz_of_colour_images_with_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = archive(
        tmp_path / "a.npz",
        x_train=rng.integers(0, 256, (12, 9, 8, 3), dtype="uint8"),
        x_test=rng.integers(0, 256, (6, 9, 8, 3), dtype="uint8"),
        y_train=(np.arange(12) % 3)[:, None],
        class_names=np.array(["cat", "dog", "<b>"]),
    )
    dataset = load(path)
    assert dataset.images.shape == (12, 9, 8, 3)
    assert dataset.class_names == ("cat", "dog", "<b>")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": None, "y_test": None}, "lacks `x_test`, `y_test`; it has: x_train, y_train"),
        ({"x_train": np.zeros((12, 9, 8))}, "`x_train` must be uint8"),
        ({"x_train": np.zeros((12, 72), "uint8")}, "(12, 72)"),
        ({"x_train": np.zeros((0, 9, 8), "uint8")}, "`x_train` is empty"),
        ({"x_train": np.zeros((12, 9, 8, 4), "uint8")}, "must have 1 or 3 channels"),
        ({"x_test": np.zeros((6, 8, 8), "uint8")}, "they must be equal"),
        ({"y_train": np.zeros(11, int)}, "one label per image (12), but its shape is (11,)"),
        ({"y_train": np.arange(12) / 3}, "must contain integers"),
        ({"y_train": np.arange(12) - 1}, "range from -1 to 10"),
        ({"y_train": np.zeros(12, int), "y_test": np.zeros(6, int)}, "at least two classes are required"),
        ({"y_test": np.full(6, 3)}, "`y_test` contains the label 3"),
        ({"class_names": np.array(["a", "b"])}, "must have 3 names"),
        ({"class_names": np.array(["a", "b", "a"])}, "contains a name twice: a, b, a"),
        ({"class_names": np.array(["a", 1, None], dtype=object)}, "cannot be read"),
    ],
)
def test_npz_refuses_bad_arrays(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load(archive(tmp_path / "a.npz", **changes))
    assert message in str(caught.value)
    assert "a.npz" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not an archive", b"hello"])
def test_npz_refuses_damaged_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read"):
        load(path)


def test_npz_refuses_a_single_array_and_a_missing_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match="contains a single array"):
        load(tmp_path / "a.npy")
    with pytest.raises(InputError, match="there is no such file"):
        load(tmp_path / "b.npz")


LABELS = np.repeat(np.arange(4), (40, 20, 30, 10)).astype("int32")


def test_split_is_stratified_and_disjoint() -> None:
    train, validation = split(LABELS, 0, 0.2, 1.0)
    assert np.bincount(LABELS[validation]).tolist() == [8, 4, 6, 2]
    assert sorted(np.r_[train, validation]) == list(range(100))


def test_smaller_train_fractions_are_nested_and_do_not_change_validation() -> None:
    small, validation = split(LABELS, 5, 0.2, 0.25)
    large, same = split(LABELS, 5, 0.2, 0.5)
    assert np.bincount(LABELS[small]).tolist() == [8, 4, 6, 2]
    assert set(small) < set(large)
    assert np.array_equal(validation, same)


def test_split_depends_on_its_seed() -> None:
    assert np.array_equal(split(LABELS, 1, 0.2, 1.0)[0], split(LABELS, 1, 0.2, 1.0)[0])
    assert not np.array_equal(split(LABELS, 1, 0.2, 1.0)[0], split(LABELS, 2, 0.2, 1.0)[0])


@pytest.mark.parametrize(
    ("labels", "validation", "train", "message"),
    [
        (LABELS, 0.04, 1.0, "class 3 has 10 images, which leaves none for validation"),
        (LABELS, 0.2, 0.05, "class 3 has 10 images, which leaves none for training"),
        (np.array([0, 0, 0, 2, 2, 2]), 0.4, 1.0, "class 1 has 0 images"),
    ],
)
def test_split_refuses_classes_without_images(
    labels: np.ndarray, validation: float, train: float, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        split(labels, 0, validation, train)


def test_an_archive_that_would_fill_the_memory_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = np.zeros((400, 8, 8)), np.arange(400) % 2
    np.savez_compressed(tmp_path / "bomb.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    assert (tmp_path / "bomb.npz").stat().st_size < 10_000
    monkeypatch.setattr("trainables.data.npz.host_memory", lambda: 200_000)
    with pytest.raises(InputError, match=r"`x_train` unpacks to 0\.0 GB, .* 50% .*uint8"):
        SOURCES.get("npz").model_validate({"path": tmp_path / "bomb.npz"}).load()
