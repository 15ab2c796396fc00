"""The exported script loads the images that the product loads, and splits and mislabels them in the same way."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from search.export.keras_script import script
from tests.support.image_folders import folder, write
from tests.support.networks import LINEAR
from tests.support.scripts import loaded, recipe
from tests.unit.trainables.data import zoo
from trainables.data import SOURCES, Dataset
from trainables.data.selection import select
from trainables.errors import InputError

pytestmark = pytest.mark.usefixtures("own_code")

RESIZES = ("stretch", "pad", "crop")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def load(settings: dict[str, Any]) -> Dataset:
    return SOURCES.get(settings["source"]).model_validate(settings).load()


def defined(data: Dataset, settings: dict[str, Any], **plain: Any) -> ModuleType:
    """Return what the script of a recipe on the data defines."""
    made = recipe(shape=data.images.shape[1:], data=settings, model=LINEAR, **plain)
    brings = [part for part in ("groups", "validation") if getattr(data, part) is not None]
    return loaded(made.model_copy(update={"brings": brings, "class_names": list(data.class_names)}))


def check(settings: dict[str, Any], **plain: Any) -> ModuleType:
    """Compare the script's images, and what a run uses of them, with the product's."""
    data = load(settings)
    made = defined(data, settings, **plain)
    found = made.SOURCE.load()
    assert found.arrays().keys() == data.arrays().keys()
    assert found.class_names == data.class_names
    for name, expected in data.arrays().items():
        assert found.arrays()[name].dtype == expected.dtype
        assert np.array_equal(found.arrays()[name], expected)
    config = recipe(data=settings, model=LINEAR, **plain).train.model_copy(update={"split_seed": 3})
    classes = len(data.class_names)
    one, other = select(data.arrays(), config, classes), made.select(found.arrays(), made.Config(0, 3), classes)
    for name in ("train", "validation", "test", "labels"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    return made


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("parts", [("",), ("train", "test"), ("train", "val"), ("train", "Valid", "test")], ids=str)
def test_class_folders_are_the_products(tmp_path: Path, parts: tuple[str, ...], resize: str) -> None:
    where = folder(tmp_path / "a", parts, n=7)
    write(where / parts[0] / "cat" / ".hidden.png")
    (where / parts[0] / "dog" / "Thumbs.db").write_bytes(b"x")
    check({"source": "directory", "path": str(where), "size": [17, 16], "resize": resize, "test_fraction": 0.3})


def test_a_validation_folder_may_be_the_test_and_bad_files_are_skipped(tmp_path: Path) -> None:
    where = folder(tmp_path / "a", ("train", "val"), n=4)
    (where / "train" / "cat" / "1.png").write_bytes(b"no image")
    settings = {"source": "directory", "path": str(where), "size": 16, "validation_is": "test", "bad_files": "skip"}
    made = check({**settings, "colour": "grey"})
    (where / "train" / "cat" / "0.png").write_bytes(b"no image")
    made.SOURCE.bad_files = "refuse"
    with pytest.raises(made.InputError, match=r"2 file\(s\) cannot be read"):
        made.SOURCE.load()


def test_groups_stay_together_as_in_the_product(tmp_path: Path) -> None:
    where = folder(tmp_path / "a", n=12)
    made = check({"source": "directory", "path": str(where), "size": 16, "groups": r"/(\d)"})
    data = made.SOURCE.load()
    chosen = made.select(data.arrays(), made.Config(0, 0), 2)
    assert not set(data.groups[chosen.train]) & set(data.groups[chosen.validation])


@pytest.mark.parametrize("background", ["white", [10, 200, 30]], ids=str)
def test_every_depth_and_mode_is_the_products(tmp_path: Path, background: object) -> None:
    for number, animal in enumerate([*zoo.GREY, *zoo.COLOUR]):
        place = tmp_path / "a" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        animal.write(place / animal.name)
        zoo.turned(zoo.Image.fromarray(zoo.WORDS), place / f"{number}.tiff", number % 8 + 1)
    check({"source": "directory", "path": str(tmp_path / "a"), "size": [18, 16], "background": background})


def test_a_range_of_values_is_the_products(tmp_path: Path) -> None:
    for label in "ab":
        (tmp_path / "a" / label).mkdir(parents=True)
        for number in range(5):
            values = zoo.RNG.normal(0, 400, (16, 16)).astype("float32")
            zoo.Image.fromarray(values).save(tmp_path / "a" / label / f"{number}.tiff")
    made = check({"source": "directory", "path": str(tmp_path / "a"), "value_range": [-1000, 400.5]})
    made.SOURCE.value_range = None
    with pytest.raises(made.InputError, match="no certain scale"):
        made.SOURCE.load()


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "validation", "test")], ids=str)
@pytest.mark.parametrize("separator", [" ", "\t", ", "])
@pytest.mark.parametrize("labels", [("cat", "dog"), ("10", "9")], ids=str)
def test_lists_are_the_products(
    tmp_path: Path, parts: tuple[str, ...], separator: str, labels: tuple[str, str]
) -> None:
    where = folder(tmp_path / "a", parts, n=6)
    lists = {}
    for part in parts:
        files = sorted((where / part).rglob("*.png"))
        lines = [f"{file.relative_to(where)}{separator}{labels[file.parent.name == 'dog']}" for file in files]
        lists[part] = str(tmp_path / f"{part}.txt")
        Path(lists[part]).write_text("\n".join(["# file and class", "", *lines]))
    made = check({"source": "lists", **lists, "root": str(where), "size": 16})
    assert "SOURCE.root = asked.data" in made.code


@pytest.mark.parametrize("channels", [1, 3])
def test_a_validation_part_of_an_archive_is_the_products(tmp_path: Path, channels: int) -> None:
    check({"source": "npz", "path": str(archive(tmp_path / "images.npz", channels))})


def archive(path: Path, channels: int = 1) -> Path:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, n in (("train", 12), ("val", 6), ("test", 4)):
        shape = (n, 16, 16) if channels == 1 else (n, 16, 16, 3)
        arrays |= {f"x_{part}": rng.integers(0, 256, shape, dtype="uint8"), f"y_{part}": np.arange(n) % 2}
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("plain", [{"label_noise": 0.3, "classes": 5}, {"train_fraction": 0.2, "full_data": True}])
def test_digits_with_wrong_labels_and_parts_are_the_products(plain: dict[str, Any]) -> None:
    check({"source": "digits"}, **plain)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_data_set_of_keras_is_the_products(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    rng = np.random.default_rng(0)
    shape = (60, 28, 28) if name == "mnist" else (60, 32, 32, 3)
    images, labels = rng.integers(0, 256, shape, dtype="uint8"), (np.arange(60) % 10).reshape(-1, 1)
    arrays = (images, labels), (images[:10], labels[:10])
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: arrays)
    check({"source": name})


def test_a_given_validation_part_is_kept_apart_and_fractions_are_of_the_rest(tmp_path: Path) -> None:
    where = folder(tmp_path / "a", ("train", "val", "test"), n=8, classes=("a", "b", "c"))
    made = check({"source": "directory", "path": str(where), "size": 16}, train_fraction=0.5, classes=2)
    data = made.SOURCE.load()
    chosen = made.select(data.arrays(), made.Config(0, 0), 3)
    assert "# unused: the data has its own validation part" in made.code
    assert np.array_equal(chosen.validation, np.flatnonzero(data.validation & (data.labels < 2)))
    assert not set(chosen.train) & set(chosen.validation)
    assert np.bincount(data.labels[chosen.train]).tolist() == [4, 4]


def test_the_place_of_the_images_can_be_changed(tmp_path: Path) -> None:
    made = defined(
        load({"source": "npz", "path": str(archive(tmp_path / "a.npz"))}), {"source": "npz", "path": "/away"}
    )
    with pytest.raises(made.InputError, match="there is no such file"):
        made.SOURCE.load()
    made.SOURCE.path = tmp_path / "a.npz"
    assert len(made.SOURCE.load().images) == 18


def test_a_source_that_loads_code_is_refused() -> None:
    with pytest.raises(InputError, match="which works only inside Assay"):
        script(recipe(data={"source": "tests.support.networks:linear"}), "train.py")


def test_a_script_is_loaded_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "own_training.py").write_text(
        script(recipe((8, 8, 1), 10, data={"source": "digits"}, model=LINEAR), "own_training.py")
    )
    spec = spec_from_file_location("own_training", tmp_path / "own_training.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    images, test_images, _ = module.load_data(module.DATA)
    assert (len(images), len(test_images)) == (1201, 596)
    module.IMAGE_SHAPE = (9, 9, 1)
    with pytest.raises(
        SystemExit, match=r"the images are \(8, 8, 1\) in 10 classes, but this script is for \(9, 9, 1\)"
    ):
        module.load_data(module.DATA)
