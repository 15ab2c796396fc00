"""Sharing: large images are opened by path, memory-mapped; a node that lacks them makes them, or is refused."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data import SOURCES, Dataset, Source, archives, sharing
from trainables.data.sharing import FileArray, SharedData, shared
from trainables.data.statistics import channel_statistics
from trainables.errors import InputError
from trainables.registration.plugins import code_allowed

MODULE = """
import numpy as np

def load(path):
    images, labels = np.load(path, mmap_mode="r"), np.arange(60) % 3
    return {"x_train": images[:60], "y_train": labels, "x_test": images[60:], "y_test": labels[:12]}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    for module in (archives, sharing):
        monkeypatch.setattr(module, "LARGE", 1)
    return tmp_path / "cache"


def pixels(n: int = 72) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 5, 7, 3), "uint8")


def arrays() -> dict[str, np.ndarray]:
    images, labels = pixels(), np.arange(60) % 3
    return {"x_train": images[:60], "y_train": labels, "x_test": images[60:], "y_test": labels[:12]}


def folder(tmp_path: Path) -> Source:
    for number, image in enumerate(pixels()):
        path = tmp_path / "images" / ("train", "test")[number % 5 == 0] / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return SOURCES.get("directory").model_validate({"source": "directory", "path": tmp_path / "images"})


def flat_folder(tmp_path: Path) -> Source:
    """Return a folder without a test part, with a damaged image."""
    source = folder(tmp_path)
    (tmp_path / "flat").mkdir()
    for number, path in enumerate(sorted((tmp_path / "images").rglob("*.png"))):
        (tmp_path / "flat" / path.parent.name).mkdir(exist_ok=True)
        path.rename(tmp_path / "flat" / path.parent.name / f"{number}.png")
    damaged = next((tmp_path / "flat" / "a").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-40])
    return source.model_copy(update={"path": tmp_path / "flat", "bad_files": "skip"})


def lists(tmp_path: Path) -> Source:
    source = folder(tmp_path)
    lines = [f"{path}\t{path.parent.name}" for path in sorted(tmp_path.rglob("*.png"))]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    del source
    return SOURCES.get("lists").model_validate({"source": "lists", "train": tmp_path / "train.txt", "root": tmp_path})


def archive(tmp_path: Path, save: Callable[..., None]) -> Source:
    save(tmp_path / "images.npz", **arrays())
    return SOURCES.get("npz").model_validate({"source": "npz", "path": tmp_path / "images.npz"})


def plain_archive(tmp_path: Path) -> Source:
    return archive(tmp_path, np.savez)


def compressed_archive(tmp_path: Path) -> Source:
    return archive(tmp_path, np.savez_compressed)


def plug_in(tmp_path: Path) -> Source:
    np.save(tmp_path / "images.npy", pixels())
    (tmp_path / "own_images.py").write_text(MODULE)
    settings = {"source": "own_images:load", "path": tmp_path, "options": {"path": str(tmp_path / "images.npy")}}
    return SOURCES.get("own_images:load").model_validate(settings)


def digits(tmp_path: Path) -> Source:
    return SOURCES.get("digits")()


MAKERS = [folder, flat_folder, lists, plain_archive, compressed_archive, plug_in, digits]


def sent(source: Source) -> tuple[Dataset, SharedData]:
    with code_allowed():
        data = source.load()
        return data, pickle.loads(pickle.dumps(shared(data, source)))


@pytest.mark.parametrize("make", MAKERS)
def test_workers_map_the_images_of_every_source(make: Callable[[Path], Source], tmp_path: Path) -> None:
    data, received = sent(make(tmp_path))
    sys.modules.pop("own_images", None)
    opened = received.open()
    assert set(received.files) == {"images", "test_images"}
    assert sum(array.nbytes for array in received.arrays.values()) < 20 * (len(data.labels) + len(data.test_labels))
    for name, array in data.arrays().items():
        assert np.array_equal(opened[name], array)
    for name in received.files:
        assert isinstance(sharing._file_of(opened[name]), np.memmap)
    assert np.array_equal(opened["statistics"], np.stack(channel_statistics(data.images)))


@pytest.mark.parametrize(("make", "places"), [(plain_archive, {"images.npz"}), (plug_in, {"images.npy"})])
def test_what_is_in_a_file_already_stays_there(make: Any, places: set[str], tmp_path: Path, cache: Path) -> None:
    _, received = sent(make(tmp_path))
    sys.modules.pop("own_images", None)
    assert {Path(file.path).name for file in received.files.values()} == places
    assert not cache.exists()


def test_small_data_sets_are_sent_by_value(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "LARGE", 10**9)
    data, received = sent(digits(tmp_path))
    assert (received.files, received.source) == ({}, {})
    assert received.open().keys() == data.arrays().keys()
    assert not cache.exists()


def test_the_parts_of_a_folder_are_views_of_one_file_in_the_order_of_the_files(tmp_path: Path) -> None:
    data = folder(tmp_path).load()
    files = sorted((tmp_path / "images").rglob("*.png"), key=lambda path: (path.parent.name, path.name))
    for images, part in ((data.images, "train"), (data.test_images, "test")):
        own = [pixels()[int(path.stem)] for path in files if path.parent.parent.name == part]
        assert np.array_equal(images, own)
        assert sharing._file_of(images) is not None
        assert not images.flags.writeable


def test_a_node_without_the_cache_makes_it_from_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    data, received = sent(folder(tmp_path))
    cache.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "of the node"))
    opened = received.open()
    assert np.array_equal(opened["images"], data.images)
    assert (tmp_path / "of the node").is_dir()


def test_a_node_without_cache_and_source_is_refused(tmp_path: Path, cache: Path) -> None:
    _, received = sent(folder(tmp_path))
    cache.rename(tmp_path / "elsewhere")
    (tmp_path / "images").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"lacks the decoded images.*no such folder.*set ASSAY_CACHE to a folder that"):
        received.open()


def test_other_images_are_refused(tmp_path: Path, cache: Path) -> None:
    _, received = sent(folder(tmp_path))
    cache.rename(tmp_path / "elsewhere")
    Image.fromarray(pixels()[0] // 2).save(tmp_path / "images" / "train" / "b" / "1.png")
    with pytest.raises(InputError, match="its source has other images; copy those of the study"):
        received.open()


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(path.read_bytes()[:-9]), Path.unlink])
def test_a_file_that_is_not_the_same_is_not_used(damage: Callable[[Path], Any], tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels())
    place = sharing._place(np.load(tmp_path / "a.npy", mmap_mode="r"))
    assert np.array_equal(place.open(), pixels())
    damage(tmp_path / "a.npy")
    with pytest.raises((OSError, ValueError)):
        place.open()


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels())
    place = sharing._place(np.load(tmp_path / "a.npy", mmap_mode="r")[3:])
    assert np.array_equal(FileArray(**json.loads(json.dumps(vars(place)))).open(), pixels()[3:])
    np.save(tmp_path / "a.npy", pixels() ^ 1)
    with pytest.raises(ValueError, match="another file"):
        place.open()


def test_a_damaged_plain_archive_is_refused_by_its_checksum(tmp_path: Path) -> None:
    source = plain_archive(tmp_path)
    content = bytearray((tmp_path / "images.npz").read_bytes())
    content[2000] ^= 1
    (tmp_path / "images.npz").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        source.load()
