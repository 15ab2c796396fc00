"""Cache of decoded images: what is not whole is decoded again, and a full disk is refused."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trainables.data import cache as cache_module, decoding as decoding_module, partial as partial_module
from trainables.data.cache import cache_folder, decode_cached
from trainables.data.decoding import Decoded, TargetFormat
from trainables.data.partial import Partial
from trainables.errors import InputError

FILES = [f"{number}.png" for number in range(6)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number, file in enumerate(FILES):
        pixels = np.random.default_rng(number).integers(0, 256, (7, 5, 3), dtype="uint8")
        Image.fromarray(pixels).save(tmp_path / "images" / file)
    return tmp_path / "images"


def decoded(root: Path) -> Decoded:
    return decode_cached(root, FILES, TargetFormat(None, "stretch", "auto"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path, place: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def without_kept(path: Path) -> None:
    facts = json.loads(path.read_text())
    del facts["kept"]
    path.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images.npy", cut),
        ("images.npy", flip),
        ("images.npy", lambda path: flip(path, 10)),
        ("images.npy", lambda path: path.write_bytes(b"")),
        ("images.npy", lambda path: path.unlink()),
        ("files.json", cut),
        ("files.json", without_kept),
        ("files.json", lambda path: path.write_text("[]")),
        ("files.json", lambda path: path.write_bytes(b"\xff")),
        ("files.json", lambda path: path.unlink()),
    ],
)
def test_what_is_not_whole_is_decoded_again(
    name: str, damage: Callable[[Path], object], root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = np.array(decoded(root).images)
    (path,) = cache.glob(f"*/{name}")
    damage(path)
    assert np.array_equal(decoded(root).images, expected)
    monkeypatch.setattr(cache_module, "decode_files", None)
    assert np.array_equal(decoded(root).images, expected), "the cache was not mended"
    assert sorted(each.name for each in path.parent.iterdir()) == ["files.json", "images.npy"]
    assert not list(cache.glob("decoding-*"))


@pytest.mark.parametrize("content", [b"\xff\xfe", b"../../elsewhere", b"", b"0" * 40])
def test_a_damaged_index_is_not_used(content: bytes, root: Path, cache: Path) -> None:
    expected = np.array(decoded(root).images)
    (index,) = (cache / "seen").iterdir()
    index.write_bytes(content)
    assert np.array_equal(decoded(root).images, expected)
    assert index.read_bytes() != content


def test_an_interrupted_decoding_is_continued(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / FILES[1]).write_bytes((root / FILES[1]).read_bytes()[:-40])
    read, opened = decoding_module.read_picture, []

    def interrupted(path: Path, target: Any) -> Any:
        opened.append(path.name)
        if path.name == FILES[4]:
            raise KeyboardInterrupt
        return read(path, target)

    monkeypatch.setattr(partial_module, "BLOCK", 1)
    monkeypatch.setattr(decoding_module, "read_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decoded(root)
    assert opened == [FILES[0], *FILES[2:5]]  # the damaged one is known already
    assert [path.name[:9] for path in cache.glob("*") if (path / "images.npy").exists()] == ["decoding-"]
    monkeypatch.setattr(decoding_module, "read_picture", lambda *a: opened.append(a[0].name) or read(*a))
    continued = decoded(root)
    assert opened[4:] == FILES[4:]
    assert list(continued.bad) == [FILES[1]]
    monkeypatch.setenv("ASSAY_CACHE", str(cache.parent / "fresh"))
    fresh = decoded(root)
    assert np.array_equal(continued.images, fresh.images)
    assert continued.kept.tolist() == fresh.kept.tolist() == [0, 2, 3, 4, 5]
    assert not [path for path in cache.glob("*/*") if path.name in {"state.bin", "lock"}]
    assert not list(cache.glob("decoding-*"))


def test_the_state_of_an_interruption_is_written_after_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial_module, "SAVE_SECONDS", -1.0)
    monkeypatch.setattr(partial_module, "BLOCK", 2)
    partial = Partial(tmp_path, lambda path, shape: np.lib.format.open_memmap(path, "w+", np.uint8, shape))
    images = partial.make((6, 2))
    states: list[list[int]] = []

    def put(place: int) -> tuple[str, bool]:
        if (tmp_path / "state.bin").exists():
            states.append(list((tmp_path / "state.bin").read_bytes()))
        images[place] = place
        return ("damaged" if place == 1 else ""), place == 2

    found = partial.each(put, range(6), "decoding")
    assert found == [("", False), ("damaged", False), ("", True), *[("", False)] * 3]
    assert [1, 0, 0, 0, 0, 0] in states
    assert list((tmp_path / "state.bin").read_bytes()) == [1, 0, 2, 1, 1, 1]
    assert np.load(tmp_path / "images.npy")[:, 0].tolist() == list(range(6))
    for shape, reused in (((6, 2), True), ((6, 3), False)):
        other = Partial(tmp_path, lambda path, shape: np.zeros(shape, "uint8"))
        assert bool(other.make(shape).any()) is reused


def test_two_processes_do_not_decode_the_same_images_at_once(root: Path, cache: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    del fcntl
    program = f"""
import os, time
from pathlib import Path
from trainables.data import decoding
from trainables.data.cache import decode_cached
from trainables.data.decoding import TargetFormat
read = decoding.read_picture
def slow(path, target):
    time.sleep(0.1)
    os.write(1, f"{{path.name}} ".encode())  # one call: `print` from several threads mixes its lines
    return read(path, target)
decoding.read_picture = slow
decode_cached(Path({str(root)!r}), {FILES!r}, TargetFormat(None, "stretch", "auto"))
"""
    command = [sys.executable, "-c", program]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    lines = [process.communicate(timeout=300)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted([*lines[0], *lines[1]]) == FILES


def test_a_mapped_array_survives_that_the_cache_is_mended(root: Path, cache: Path) -> None:
    first = decoded(root).images
    (path,) = cache.glob("*/files.json")
    path.unlink()
    assert np.array_equal(decoded(root).images, first)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_refused_and_nothing_is_left(
    number: int, root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match=r"no room for decoded images in .* MB are needed.*ASSAY_CACHE"):
        decoded(root)
    assert not list(cache.glob("*"))


def test_a_cache_that_cannot_be_a_folder_is_refused(root: Path, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(InputError, match=r"there is no place .* for decoded images in .*ASSAY_CACHE"):
        decoded(root)


def test_images_are_allocated_on_the_disk(root: Path, cache: Path) -> None:
    decoded(root)
    (path,) = cache.glob("*/images.npy")
    assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_folders_of_killed_processes_are_removed(root: Path, cache: Path) -> None:
    old, new, foreign = cache / f"decoding-{'a' * 40}", cache / f"decoding-{'b' * 40}", cache / "decoding-results"
    for path in (old, new, foreign):
        path.mkdir(parents=True)
        (path / "images.npy").write_bytes(b"half")
    for path in (old, foreign):
        os.utime(path, (1, 1))
    decoded(root)
    assert (old.exists(), new.exists(), foreign.exists()) == (False, True, True)


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("ASSAY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(InputError, match="set ASSAY_CACHE"):
        cache_folder()


def test_a_file_that_cannot_be_read_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cache_module._file_digest

    def denied(path: Path) -> str:
        if path.name == "3.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(cache_module, "_file_digest", denied)
    assert decoded(root).bad == {"3.png": "cannot be read: Permission denied"}
