"""Image files: folders, lists, decoding, cache, damaged files."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.image_folders import folder, lists, load, write
from trainables.data import SOURCES, decoding as decoding_module
from trainables.data.base import with_absolute_paths
from trainables.data.checks import inspect
from trainables.data.pixels import resized
from trainables.errors import InputError

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_class_folders_get_a_stratified_and_deterministic_test_part(tmp_path: Path) -> None:
    data = load(folder(tmp_path / "a", n=10))
    assert data.class_names == ("cat", "dog")
    assert data.images.shape == (16, 6, 5, 3)
    assert np.bincount(data.test_labels).tolist() == [2, 2]
    images = "16 for training and validation, 4 for the test, drawn by Assay: there is no test part"
    assert dict(inspect(data, {}).facts)["images"] == images
    assert data.validation is None
    assert load(tmp_path / "a").fingerprint == data.fingerprint


def test_pixels_match_their_labels(tmp_path: Path) -> None:
    data = load(folder(tmp_path / "a", ("train", "test")))
    assert dict(inspect(data, {}).facts)["images"] == "10 for training and validation, 10 for the test"
    for c in range(2):
        for i in range(5):
            for p, images in enumerate((data.images, data.test_images)):
                pixels = np.random.default_rng(100 * p + 10 * c + i).integers(0, 256, (6, 5, 3), dtype="uint8")
                assert np.array_equal(images[5 * c + i], pixels)
    assert data.labels.tolist() == data.test_labels.tolist() == [0] * 5 + [1] * 5


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_a_validation_folder_is_the_validation_part(tmp_path: Path, name: str) -> None:
    data = load(folder(tmp_path / "a", ("train", name, "test"), n=3))
    assert data.validation is not None
    assert (len(data.images), int(data.validation.sum()), len(data.test_images)) == (12, 6, 6)
    without_test = load(folder(tmp_path / "b", ("train", name), n=10))
    assert without_test.validation is not None
    assert (int(without_test.validation.sum()), len(without_test.test_images)) == (20, 4)
    as_test = load(tmp_path / "b", validation_is="test")
    assert (as_test.validation, len(as_test.images), len(as_test.test_images)) == (None, 20, 20)
    with pytest.raises(InputError, match="has a test folder"):
        load(tmp_path / "a", validation_is="test")


def test_grey_images_stay_grey_unless_one_is_in_colour(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for i in range(5):
            write(tmp_path / "grey" / name / f"{i}.png", i, mode="L")
    assert load(tmp_path / "grey").images.shape[3] == 1
    assert load(tmp_path / "grey", colour="colour").images.shape[3] == 3
    write(tmp_path / "grey" / "a" / "9.png", 9)
    assert load(tmp_path / "grey").images.shape[3] == 3
    assert load(tmp_path / "grey", colour="grey").images.shape[3] == 1


def test_16_bit_images_are_reduced_to_8_bits_and_exif_rotations_are_applied(tmp_path: Path) -> None:
    deep = np.arange(0, 60_000, 2_000, dtype="uint16").reshape(6, 5)
    for name in ("a", "b"):
        for i in range(5):
            (tmp_path / "d" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(deep).save(tmp_path / "d" / name / f"{i}.png")
    assert np.array_equal(load(tmp_path / "d").images[0, ..., 0], deep >> 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = folder(tmp_path / "e")
    for path in turned.rglob("*.png"):
        with Image.open(path) as image:
            image.rotate(90, expand=True).save(path.with_suffix(".jpg"), exif=exif)
        path.unlink()
    assert load(turned).images.shape[1:] == (6, 5, 3)


def test_images_of_different_sizes_need_a_size(tmp_path: Path) -> None:
    write(folder(tmp_path / "a") / "cat" / "9.png", 9, (12, 10))
    with pytest.raises(InputError, match=r"2 different sizes .* 6 x 5 \(10\), 12 x 10 \(1\); set `size`"):
        load(tmp_path / "a")
    assert load(tmp_path / "a", size=8).images.shape[1:] == (8, 8, 3)
    assert load(tmp_path / "a", size=[4, 9]).images.shape[1:] == (4, 9, 3)


def test_stretch_pad_and_crop() -> None:
    picture = Image.fromarray(np.full((10, 20, 3), 255, dtype="uint8"))
    stretched, padded, cropped = (np.asarray(resized(picture, (10, 10), way)) for way in ("stretch", "pad", "crop"))
    assert (stretched == 255).all()
    assert (cropped == 255).all()
    assert (padded[:2] == 0).all()
    assert (padded[3:7] == 255).all()
    halves = np.zeros((10, 20, 3), dtype="uint8")
    halves[:, 5:15] = 200
    assert (np.asarray(resized(Image.fromarray(halves), (10, 10), "crop")) == 200).all()


def test_damaged_files_are_listed_and_refused_or_skipped(tmp_path: Path) -> None:
    root = folder(tmp_path / "a")
    (root / "cat" / "notes.txt").write_text("no image")
    whole = (root / "dog" / "1.png").read_bytes()
    (root / "dog" / "1.png").write_bytes(whole[: len(whole) // 2])
    (root / "cat" / ".DS_Store").write_bytes(b"hidden")
    with pytest.raises(InputError) as caught:
        load(root)
    for part in (
        "2 file(s) cannot be read",
        "cat/notes.txt (not an image of",
        "dog/1.png (damaged",
        "`bad_files: skip`",
    ):
        assert part in str(caught.value)
    data = load(root, bad_files="skip")
    assert len(data.images) + len(data.test_images) == 9
    assert "skipped 2 file(s)" in data.notes[0]
    expected = np.random.default_rng(12).integers(0, 256, (6, 5, 3), dtype="uint8")
    assert any(np.array_equal(image, expected) for image in np.concatenate([data.images, data.test_images]))


def test_unchanged_files_are_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "a")
    before = load(root).fingerprint
    decoded: list[Path] = []
    real = decoding_module.read_picture
    monkeypatch.setattr(decoding_module, "read_picture", lambda path, *rest: decoded.append(path) or real(path, *rest))
    assert load(root).fingerprint == before
    for path in root.rglob("*.png"):
        os.utime(path, (1, 1))
    assert load(root).fingerprint == before
    assert decoded == []
    write(root / "cat" / "0.png", 77)
    assert load(root).fingerprint != before
    assert len(decoded) == 10


def test_an_incomplete_cache_is_not_used(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(tmp_path / "a")

    def interrupted(*_: Any) -> np.ndarray:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(decoding_module, "read_picture", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load(root)
    assert [path.parent.name[:9] for path in cache.glob("*/images.npy")] == ["decoding-"]
    assert len(load(root).images) == 8
    assert [path.parent.name[:9] for path in cache.glob("*/images.npy")] != ["decoding-"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "there is no such folder"),
        (lambda root: root.mkdir(), "0 class folder"),
        (lambda root: folder(root, classes=("cat",)), "1 class folder"),
        (lambda root: (folder(root), (root / "empty").mkdir()), "contains no files"),
        (lambda root: (folder(root, ("train", "test")), write(root / "test" / "cow" / "1.png")), "class `cow`"),
        (lambda root: [(root / name).mkdir(parents=True) or (root / name / "x").write_text("x") for name in "ab"],
         "none of 2 files can be read as an image"),
    ],
)  # fmt: skip
def test_unusable_folders_are_refused(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "a", bad_files="skip")


def test_groups_from_file_names_stay_together(tmp_path: Path) -> None:
    for c, name in enumerate(("cat", "dog")):
        for i in range(20):
            write(tmp_path / "a" / name / f"patient{i // 4}_{i}.png", 100 * c + i)
    data = load(tmp_path / "a", groups=r"(patient\d+)_")
    assert data.groups is not None
    assert data.test_groups is not None
    assert set(data.groups.tolist()).isdisjoint(data.test_groups.tolist())
    with pytest.raises(ValueError, match="one pair of parentheses"):
        load(tmp_path / "a", groups="patient")


def test_lists_of_paths_and_labels(tmp_path: Path) -> None:
    train = "# files\n" + "".join(f"{name}/{i}.png {name}\n" for name in ("dog", "cat") for i in range(3)) + "\n"
    test = "cat/3.png\tcat\ndog/3.png, dog\n"
    paths = lists(tmp_path / "a", train=train, test=test, validation="cat/4.png cat\ndog/4.png dog\n")
    data = SOURCES.get("lists").model_validate({"source": "lists", **paths}).load()
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [1, 1, 1, 0, 0, 0, 0, 1]
    assert data.validation is not None
    assert data.validation.tolist() == [False] * 6 + [True] * 2
    assert data.test_labels.tolist() == [0, 1]
    assert np.array_equal(data.images[0], np.random.default_rng(10).integers(0, 256, (6, 5, 3), dtype="uint8"))


def test_lists_with_numbers_groups_and_a_root(tmp_path: Path) -> None:
    text = "".join(f"{name}/{i}.png,{10 if name == 'cat' else 9},g{i}\n" for name in ("cat", "dog") for i in range(5))
    paths = lists(tmp_path / "a", train=text)
    moved = tmp_path / "elsewhere.txt"
    Path(paths["train"]).rename(moved)
    data = load(moved, "lists", root=str(tmp_path / "a"))
    assert data.class_names == ("9", "10")
    assert data.groups is not None
    assert len(set(data.groups.tolist())) == 4


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("cat/0.png cat\n", "1 class"),
        ("cat/0.png\n", "train.txt:1: expected a path, a label and optionally a group"),
        ("cat/0.png cat\nnone.png dog\n", "train.txt:2: there is no file"),
        ("cat/0.png cat\ncat/0.png dog\n", "is listed twice"),
        ("", "lists no images"),
    ],
)
def test_unusable_lists_are_refused(tmp_path: Path, train: str, message: str) -> None:
    paths = lists(tmp_path / "a", train=train)
    with pytest.raises(InputError, match=message):
        load(Path(paths["train"]), "lists")


def test_real_jpegs(tmp_path: Path) -> None:
    places = [os.environ.get("ASSAY_TEST_DATA", ""), Path(__file__).parents[5] / "shared" / "data"]
    archives = [Path(place) / "cifar10_jpeg.zip" for place in places if place]
    archive = next((path for path in archives if path.is_file()), None)
    if archive is None:
        pytest.skip("cifar10_jpeg.zip is not there; ASSAY_TEST_DATA names its folder")
    with zipfile.ZipFile(archive) as file:
        wanted: dict[str, list[str]] = {}
        for name in sorted(file.namelist()):
            if name.endswith(".jpg"):
                wanted.setdefault(name.rpartition("/")[0], []).append(name)
        file.extractall(tmp_path / "cifar", [name for names in wanted.values() for name in names[:20]])
    roots = [path.parent for path in (tmp_path / "cifar").rglob("train")]
    data = load(roots[0])
    assert data.images.shape == (200, 32, 32, 3)
    assert data.test_images.shape == (200, 32, 32, 3)
    assert len(data.class_names) == 10
    assert 100 < data.images.mean() < 140


def test_all_paths_of_a_source_are_made_absolute(tmp_path: Path) -> None:
    lists = {"source": "lists", "train": "a/train.txt", "validation": "val.txt", "test": "test.txt", "root": "images"}
    made = with_absolute_paths(lists, tmp_path)
    assert {key: made[key] for key in lists if key != "source"} == {
        key: str(tmp_path / value) for key, value in lists.items() if key != "source"
    }
    assert with_absolute_paths({"source": "npz", "path": "x.npz"}, tmp_path)["path"] == str(tmp_path / "x.npz")


def test_a_text_file_named_npz_is_refused_without_mention_of_pickles(tmp_path: Path) -> None:
    (tmp_path / "own.npz").write_text("hello")
    with pytest.raises(InputError, match="as a NumPy archive of plain arrays"):
        load(tmp_path / "own.npz", "npz")


def test_a_byte_order_mark_is_passed_over_and_utf16_is_named(tmp_path: Path) -> None:
    text = "".join(f"{name}/{i}.png {name}\r\n" for name in ("cat", "dog") for i in range(5))
    paths = lists(tmp_path / "a", train="")
    Path(paths["train"]).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load(Path(paths["train"]), "lists").class_names == ("cat", "dog")
    for encoding, message in (
        ("utf-16", "is UTF-16, according to its byte order mark"),
        ("latin-1", "train.txt:11: the list is"),
    ):
        Path(paths["train"]).write_bytes((text + "cat/\u00e9.png cat\n").encode(encoding))
        with pytest.raises(InputError, match=message):
            load(Path(paths["train"]), "lists")


def test_a_list_that_is_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.txt")
    with pytest.raises(InputError, match="is a device or a pipe"):
        load(tmp_path / "train.txt", "lists")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ("cat/0.png 1\ncat/1.png 01\ndog/0.png 2\n", "the labels `01` and `1` are the same number"),
        ("cat/0.png 1\ncat/1.png \u0661\ndog/0.png 2\n", "are the same number"),
        ("cat/0.png cat\n./cat/0.png dog\n", "is listed twice"),
        ("cat/0.png caf\u00e9\ncat/1.png cafe\u0301\n", "two Unicode spellings"),
        ("cat/0.png\tcat\ndog/0.png\td\x1bog\n", "contains control characters"),
        ("cat/0.png\tcat\nd\0g/0.png\tdog\n", "there is no file"),
    ],
)
def test_labels_that_are_the_same_are_refused(tmp_path: Path, train: str, message: str) -> None:
    paths = lists(tmp_path / "a", train=train)
    with pytest.raises(InputError, match=message):
        load(Path(paths["train"]), "lists")


def test_images_of_0_and_1_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray((np.arange(30).reshape(6, 5) // (i + 2) % 2).astype("uint8")).save(
                tmp_path / "d" / name / f"{i}.png"
            )
    with pytest.raises(InputError, match="contains only the values 0 and 1"):
        load(tmp_path / "d")
