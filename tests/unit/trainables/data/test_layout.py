"""Layouts of image folders: parts and classes under many names, links, litter, and what is refused."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.image_folders import load, write
from trainables.data import Dataset
from trainables.data.checks import inspect
from trainables.data.directory import Directory
from trainables.data.layout import part_of
from trainables.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def images(folder: Path, n: int = 5, suffix: str = ".png") -> None:
    for number in range(n):
        write(folder / f"{number}{suffix}", seed=hash_of(folder) + number)


def hash_of(folder: Path) -> int:
    return sum(ord(each) * place for place, each in enumerate(folder.as_posix(), start=1))


def tree(root: Path, *folders: str, n: int = 5) -> Path:
    for folder in folders:
        images(root / folder, n)
    return root


def sizes(data: Dataset) -> tuple[int, int, int]:
    """Return the numbers of training, validation and test images."""
    held = 0 if data.validation is None else int(data.validation.sum())
    return len(data.images) - held, held, len(data.test_images)


PAIRS = [
    ("train", "test"), ("Training", "Testing"), ("TRAIN", "TEST"), ("train_set", "test_set"), ("trainset", "testset"),
    ("training_set", "test_set"), ("TrainData", "TestData"), ("train_images", "test_images"),
    ("images-train", "images-test"),
    ("seg_train/seg_train", "seg_test/seg_test"), ("seg_train", "seg_test"), ("Train Set", "Test Set"), ("trn", "tst"),
    ("01_train", "02_test"), ("train2017", "test2017"), ("archive/train", "archive/test"), ("train", "holdout"),
    ("a/b/c/Training", "a/b/c/Testing"), ("train/images", "test/images"), ("train", "evaluation"), ("train", "eval"),
    ("dataset/training_data/data", "dataset/testing_data/data"),
]  # fmt: skip


@pytest.mark.parametrize(("train", "test"), PAIRS)
def test_usual_names_of_parts(train: str, test: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *(f"{part}/{name}" for part in (train, test) for name in ("glioma", "meningioma")))
    data = load(root)
    assert data.class_names == ("glioma", "meningioma")
    assert sizes(data) == (10, 0, 10)


@pytest.mark.parametrize(
    "parts",
    [
        ("train", "val", "test"), ("Train", "Valid", "Test"), ("training", "validation", "evaluation"),
        ("TRAINING", "VALIDATION", "TESTING"), ("train_set", "dev_set", "test_set"), ("train", "dev", "eval"),
    ],
)  # fmt: skip
def test_usual_names_of_three_parts(parts: tuple[str, ...], tmp_path: Path) -> None:
    data = load(tree(tmp_path / "d", *(f"{part}/{name}" for part in parts for name in "ab")))
    assert data.class_names == ("a", "b")
    assert sizes(data) == (10, 10, 10)


@pytest.mark.parametrize(
    "name",
    ["car", "trains", "contest", "latest", "valley", "trainer", "devil", "retrain", "train_test", "data", "2017", ""],
)
def test_names_of_no_part(name: str) -> None:
    assert part_of(name) is None


@pytest.mark.parametrize(
    "names",
    [
        ("train", "car", "bus"),
        ("train", "test_pattern"),
        ("train", "tramway"),
        ("val", "mont"),
        ("train", "training_car"),
    ],
)
def test_a_class_may_be_named_like_a_part(names: tuple[str, ...], tmp_path: Path) -> None:
    data = load(tree(tmp_path / "d", *names))
    assert data.class_names == tuple(sorted(names))
    both = load(tree(tmp_path / "e", *(f"{part}/{name}" for part in ("train", "test") for name in names)))
    assert both.class_names == tuple(sorted(names))
    assert sizes(both) == (5 * len(names), 0, 5 * len(names))


def test_classes_may_have_folders_of_their_own(tmp_path: Path) -> None:
    data = load(tree(tmp_path / "d", "cat/2019", "cat/2020", "dog/2020", "dog/2021"))
    assert data.class_names == ("cat", "dog")
    inner = load(tree(tmp_path / "e", "train/n01/images", "train/n02/images", "test/n01/images", "test/n02/images"))
    assert inner.class_names == ("n01", "n02")
    assert sizes(inner) == (10, 0, 10)


REFUSED = [
    (
        ("fold_one/a", "fold_one/b", "fold_two/a", "fold_two/b"),
        "contain no images, but all contain the same folders",
    ),
    (("entrenamiento/a", "entrenamiento/b", "prueba/a", "prueba/b"), "all contain the same folders"),
    (("original/train/a", "original/test/a", "augmented/train/a", "augmented/test/a"), "all contain the same folders"),
    (("cat/train", "cat/test", "dog/train", "dog/test"), "all contain the same folders"),
    (("a", "b", "all/a", "all/b"), "folders named like the classes next to it"),
    (("flowers/daisy", "daisy", "rose"), "folders named like the classes next to it"),
    (("val/a", "val/b", "test/a", "test/b"), "no training part next to them"),
    (("a", "b", "test/a", "test/b"), "no training part next to them"),
    (("train/a", "train/b", "Train/a", "Train/b"), "would all be the train part"),
    (("train/a", "train/b", "test/a", "test/b", "evaluation/a"), "would all be the test part"),
    (("train/a", "train/b", "extra/a", "extra/b"), "but is not named like a part"),
    (("train/a", "train/b", "plane"), "may be a class next to a class `train`"),
    (("train", "test"), "contain images, but no class folders"),
    (("train/a", "train/b", "test/a", "test/c"), "class `c` has no training folder"),
    (("train/a", "train/b", "test/A", "test/B"), "class `A` has no training folder"),
    (("cats_train", "cats_test", "dogs_train", "dogs_test"), "are named like parts of one class"),
    (("train", "test", "car"), "are named like parts of one class"),
    (("images/a", "images/b", "masks/a", "masks/b"), "all contain the same folders"),
    (("train/a", "train/b", "test_hard/a", "test_hard/b"), "but is not named like a part"),
    (("train/a", "train/b", "train_2/a", "train_2/b"), "would all be the train part"),
    (("only",), "1 class folder"),
    (("train/only", "test/only"), "1 class folder"),
]


@pytest.mark.parametrize(
    ("folders", "message"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_what_can_be_read_in_two_ways_is_refused(folders: tuple[str, ...], message: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "d", *folders)
    with pytest.raises(InputError, match=message):
        load(root)


def test_every_folder_may_be_declared_a_class(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "left/near", "left/far", "right/near", "right/far")
    with pytest.raises(InputError, match="`layout: classes`"):
        load(root)
    assert load(root, layout="classes").class_names == ("left", "right")
    assert load(tree(tmp_path / "e", "train", "test"), layout="classes").class_names == ("test", "train")


@pytest.mark.parametrize("empty", ["test", "validation", "Testing"])
def test_an_empty_part_is_refused(empty: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "train/a", "train/b")
    (root / empty).mkdir()
    with pytest.raises(InputError, match="contains no images"):
        load(root)
    for name in "ab":
        (root / empty / name).mkdir()
    with pytest.raises(InputError, match="contains no images"):
        load(root)


def notes(root: Path, **settings: Any) -> str:
    return "\n".join(load(root, **settings).notes)


def test_images_without_a_class_are_said(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "train/a", "train/b", "test", "seg_pred")
    assert "5 image(s) in " in notes(root)
    assert "the test part is drawn from the training part" in notes(root)
    loose = tree(tmp_path / "e", "a", "b", "")
    assert "5 image(s) lie in no class folder and are not used: 0.png" in notes(loose)
    stray = tree(tmp_path / "f", "train", "train/a", "train/b", "test/a", "test/b")
    assert "5 image(s) lie in no class folder and are not used: train/0.png" in notes(stray)
    inner = tree(tmp_path / "g", "seg_train/seg_train/a", "seg_train/seg_train/b", "seg_pred/seg_pred")
    (inner / "readme.txt").write_text("no image")
    assert "5 image(s) in " in notes(inner)
    assert notes(tree(tmp_path / "h", "x/y/a", "x/y/b")) == f"the classes are read from {tmp_path / 'h' / 'x' / 'y'}"


def test_broken_links_are_refused_or_skipped(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "a", "b")
    (root / "a" / "9.png").symlink_to("/gone.png")
    os.mkfifo(root / "b" / "pipe.png")
    with pytest.raises(
        InputError, match=r"2 file\(s\) cannot be read: a/9.png \(a link to nothing\), b/pipe.png \(not a"
    ):
        load(root)
    assert "skipped 2 file(s)" in notes(root, bad_files="skip")


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    store = tree(tmp_path / "store", "a", "b")
    root = tree(tmp_path / "d", "a", "b")
    for name in "ab":
        (root / name / "more").symlink_to(store / name)
        (root / name / "circle").symlink_to("..")
    data = load(root)
    assert len(data.images) + len(data.test_images) == 20
    assert "10 of 20 files are in linked folders, which are followed" in data.notes
    assert any(
        "left out 2 file(s), links to a folder that they lie in: a/circle, b/circle" in note for note in data.notes
    )
    whole = tmp_path / "linked"
    whole.mkdir()
    for name in "ab":
        (whole / name).symlink_to(store / name)
    assert load(whole).notes == ()


@pytest.mark.parametrize("litter", ["@eaDir", "__MACOSX", "#recycle", "lost+found", "@eaDir/deep/deeper"])
def test_folders_of_file_servers_are_left_out_and_counted(litter: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "a", "b", f"a/{litter}", f"{litter}/c")
    data = load(root)
    assert data.class_names == ("a", "b")
    assert len(data.images) + len(data.test_images) == 10
    assert any("left out 5 file(s), in folders of file servers and archivers: a/" in note for note in data.notes)
    assert any(f"5 image(s) in hidden or system folders are not used: {litter[:5]}" in note for note in data.notes)


def test_hidden_files_are_left_out_and_counted(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "a", "b", ".ipynb_checkpoints", "a/.ipynb_checkpoints")
    write(root / "b" / ".hidden.png")
    for name in (".DS_Store", "._0.png", "Thumbs.db"):
        (root / "b" / name).write_bytes(b"x")
    found = notes(root)
    assert "left out 6 file(s), hidden: a/.ipynb_checkpoints/0.png" in found
    assert "b/.hidden.png" in found
    assert "._0" not in found


def test_classes_without_test_images_are_said(tmp_path: Path) -> None:
    data = load(tree(tmp_path / "d", "train/a", "train/b", "train/c", "test/a", "test/b"))
    assert any(
        "1 class(es) have no test image, so nothing is measured on: c" in line for line in inspect(data, {}).warnings
    )


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "d", "a", "b")
    real = os.scandir

    def denied(path: Path) -> Any:
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(InputError, match="b cannot be read: Permission denied"):
        load(root)


NAMES = [
    (b"caf\xe9", rb"the class name `caf\\xe9` is not UTF-8"),
    (b"a\nb", rb"the class name `a\\nb` contains control characters"),
    (b"a\x1b[31m", rb"`a\\x1b\[31m` contains control characters"),
    ("a\u202eb".encode(), rb"`a\\u202eb` contains control characters"),
]


@pytest.mark.parametrize(("name", "message"), NAMES)
def test_class_names_that_cannot_be_written_are_refused(name: bytes, message: bytes, tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "tea", os.fsdecode(name))
    with pytest.raises(InputError, match=message.decode()) as caught:
        load(root)
    str(caught.value).encode()


def test_two_unicode_spellings_of_a_class_are_refused(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "caf\u00e9", "cafe\u0301", "tea")
    with pytest.raises(InputError, match=r"occurs in two Unicode spellings.*'cafe.u0301' and 'caf.xe9'"):
        load(root)


def test_file_names_that_are_no_utf8_are_read(tmp_path: Path) -> None:
    root = tree(tmp_path / "d", "a", "b")
    odd = root / "a" / os.fsdecode(b"caf\xe9.png")
    write(odd, 77)
    data = load(root)
    assert len(data.images) + len(data.test_images) == 11
    odd.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a/caf\\xe9.png \(not an image") as caught:
        load(root)
    str(caught.value).encode()


POOL = (
    "train", "Training", "test", "Testing", "val", "validation", "seg_train", "data", "a", "b", "c", "cat", "2019",
    "2020", "@eaDir", ".hidden", "__MACOSX", "extra", "images",
)  # fmt: skip


def grow(folder: Path, rng: random.Random, depth: int) -> None:
    """Fill a folder with image files and folders at random."""
    folder.mkdir(exist_ok=True)
    for number in range(rng.choice([0, 0, 1, 3]) if depth else rng.choice([1, 2, 3])):
        (folder / f"{number}.png").touch()
    for name in rng.sample(POOL, rng.choice([0, 1, 2, 2, 3]) if depth else 0):
        grow(folder / name, rng, depth - 1)


def test_no_image_is_lost_without_a_word(tmp_path: Path) -> None:
    """Every image is read, or is in the count of a message; or the folder is refused."""
    rng, read = random.Random(0), 0
    for number in range(1500):
        root = tmp_path / str(number)
        grow(root, rng, rng.choice([1, 2, 3]))
        try:
            found = Directory(path=root).entries()
        except InputError:
            continue
        read += 1
        said = [
            int(count)
            for note in found.notes
            for count in re.findall(r"(?:^|left out )(\d+) (?:image|file)\(s\)", note)
        ]
        every = [each for each in root.rglob("*.png") if not each.name.startswith(".")]
        assert len(found.entries) + sum(said) == len(every), (found.notes, sorted(map(str, every)))
        assert {entry.label for entry in found.entries} <= set(found.names)
    assert read > 100
