"""The script loads the images that Assay loads, in the same parts, and splits them as it says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.export.keras_script import script
from tests.unit.search.export.test_keras_script import recipe
from tests.unit.trainables.data.test_files import folder, write
from trainables.data import SOURCES, Dataset

RESIZES = ("stretch", "pad", "crop")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def defined(data: Dataset, settings: dict[str, Any], **plain: Any) -> SimpleNamespace:
    """Return what the script of a recipe on the data defines."""
    made = recipe(shape=data.images.shape[1:], data=settings, **plain)
    brings = [part for part in ("groups", "validation") if getattr(data, part) is not None]
    code = script(made.model_copy(update={"brings": brings, "class_names": list(data.class_names)}), "train.py")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(code, "train.py", "exec"), names)
    return SimpleNamespace(code=code, **{key: value for key, value in names.items() if not key.startswith("__")})


def check(settings: dict[str, Any]) -> None:
    data = SOURCES.get(settings["source"]).model_validate(settings).load()
    made = defined(data, settings)
    found = made.load_data(made.DATA)
    expected = [data.images, data.labels, data.test_images, data.test_labels]
    if data.validation is not None:
        expected.insert(2, data.validation)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("parts", [("",), ("train", "test"), ("train", "val"), ("train", "Valid", "test")], ids=str)
def test_class_folders_are_those_of_assay(tmp_path: Path, parts: tuple[str, ...], resize: str) -> None:
    where = folder(tmp_path / "a", parts, n=7)
    write(where / parts[0] / "cat" / ".hidden.png")
    (where / parts[0] / "dog" / "Thumbs.db").write_bytes(b"x")
    check({"source": "directory", "path": str(where), "size": [17, 16], "resize": resize, "test_fraction": 0.3})


def test_a_validation_folder_may_be_the_test_and_bad_files_are_skipped(tmp_path: Path) -> None:
    where = folder(tmp_path / "a", ("train", "val"), n=4)
    (where / "train" / "cat" / "1.png").write_bytes(b"no image")
    settings = {"source": "directory", "path": str(where), "size": 16, "validation_is": "test", "bad_files": "skip"}
    check({**settings, "colour": "grey"})


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "validation", "test")], ids=str)
@pytest.mark.parametrize("separator", [" ", "\t", ", "])
@pytest.mark.parametrize("labels", [("cat", "dog"), ("10", "9")], ids=str)
def test_lists_are_those_of_assay(
    tmp_path: Path, parts: tuple[str, ...], separator: str, labels: tuple[str, str]
) -> None:
    where = folder(tmp_path / "a", parts, n=6)
    lists = {}
    for part in parts:
        files = sorted((where / part).rglob("*.png"))
        lines = [f"{file.relative_to(where)}{separator}{labels[file.parent.name == 'dog']}" for file in files]
        lists[part] = str(tmp_path / f"{part}.txt")
        Path(lists[part]).write_text("\n".join(["# file and class", "", *lines]))
    check({"source": "lists", **lists, "root": str(where), "size": 16})


@pytest.mark.parametrize("channels", [1, 3])
def test_a_validation_part_of_an_archive_is_that_of_assay(tmp_path: Path, channels: int) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "images.npz"
    arrays: dict[str, Any] = {}
    for part, n in (("train", 12), ("val", 6), ("test", 4)):
        shape = (n, 16, 16) if channels == 1 else (n, 16, 16, 3)
        arrays |= {f"x_{part}": rng.integers(0, 256, shape, dtype="uint8"), f"y_{part}": np.arange(n) % 2}
    np.savez(path, **arrays)
    check({"source": "npz", "path": str(path)})


def test_a_given_validation_part_is_kept_apart_and_fractions_are_of_the_rest(tmp_path: Path) -> None:
    where = folder(tmp_path / "a", ("train", "val", "test"), n=8, classes=("a", "b", "c"))
    settings = {"source": "directory", "path": str(where), "size": 16}
    made = defined(SOURCES.get("directory").model_validate(settings).load(), settings, train_fraction=0.5, classes=2)
    _, labels, held, *_ = made.load_data(made.DATA)
    held, labels = held[labels < 2], labels[labels < 2]
    train, validation = made.split(labels, held, np.random.default_rng(0))
    assert "VALIDATION_FRACTION" not in made.code
    assert np.array_equal(validation, np.flatnonzero(held))
    assert not set(train) & set(validation)
    assert np.bincount(labels[train]).tolist() == [4, 4]
