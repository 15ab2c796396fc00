"""Damaged and odd arrays: each is read, or refused with one message; none ends in another error."""

from __future__ import annotations

import io
import random
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.unit.trainables.data import zoo
from trainables.data import SOURCES
from trainables.data.arrays import dataset_of
from trainables.data.base import Source
from trainables.data.decoding import TargetFormat, decode_files
from trainables.errors import InputError

pytestmark = pytest.mark.usefixtures("own_code")

EDITS = [
    (b"(12, 4, 4)", b"(99, 4, 4)"), (b"|u1", b"|O "), (b"'<i8'", b"'<M8'"), (b"False", b"0x7+1"), (b"12,", b"1e9"),
    (b"descr", b"dxscr"), (b"(12,)", b"(-1,)"), (b"u1", b"U9"), (b"<i8", b"<f8"), (b"<i8", b"<c8"),
    (b"{'descr", b"[[[[[[["),
    (b"\x93NUMPY\x01", b"\x93NUMPY\x03"), (b"(12, 4, 4)", b"(9**9, 4,)"), (b"12, 4, 4", b"9999999999999"),
]  # fmt: skip


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (12, 4, 4), dtype="uint8"), np.arange(12) % 3
    groups = {"group_train": np.arange(12), "class_names": np.array(["a", "b", "c"])}
    return {"x_train": x, "y_train": y, "x_test": x[:6], "y_test": y[:6], **groups}


def archives() -> list[bytes]:
    made = []
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **arrays())  # type: ignore[arg-type]
        made.append(buffer.getvalue())
    return made


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Return bytes that are cut, flipped, overwritten, shifted, edited or erased."""
    content, place = bytearray(whole), rng.randrange(len(whole))
    some = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 40)))
    match rng.randrange(6):
        case 0:
            del content[place:]
        case 1:
            for _ in range(rng.choice([1, 1, 1, 3, 20])):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        case 2:
            content[place : place + len(some)] = some
        case 3:
            del content[place : place + len(some)]
        case 4:
            content[place:place] = some
        case _:
            for old, new in rng.sample(EDITS, 3):
                content = content.replace(old, new)
    return bytes(content)


@pytest.fixture(autouse=True)
def no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    rng, path, seen = random.Random(0), tmp_path / "a.npz", Counter[str]()
    for whole in archives():
        for _ in range(300):
            path.write_bytes(damaged(whole, rng))
            seen[outcome(SOURCES.get("npz").model_validate({"source": "npz", "path": str(path)}), str(path))] += 1
    assert seen["refused"] > 450
    assert seen["read"] > 20


def outcome(source: Source, name: str) -> str:
    """Return whether a source was read or refused, with a message on one line that names it."""
    try:
        data = source.load()
    except InputError as error:
        message = str(error)
    else:
        assert (data.images.dtype, data.labels.dtype) == (np.uint8, np.int32)
        assert len(data.fingerprint) == 64
        return "read"
    assert name in message
    assert "\n" not in message
    return "refused"


def odd(rng: random.Random) -> Any:
    """Return a value that a user's function might return for an array."""
    shape = tuple(rng.choice([0, 1, 2, 3, 4, 6, 12]) for _ in range(rng.randrange(5)))
    if rng.random() < 0.1:
        return rng.choice(
            [None, "text", b"bytes", [[1], [1, 2]], {1: 2}, object(), float("nan"), 10**30, [10**30] * 12]
        )
    dtype = rng.choice(["u1", "i1", "?", "f4", "f8", "i8", "u8", ">i4", "c8", "U3", "S3", "O", "M8[s]", "V4", "i4,f4"])
    return (
        np.full(shape, rng.choice([0, 1, 2, 5]), "f8").astype("i8").astype(dtype)
        if dtype[0] != "V"
        else np.zeros(shape, dtype)
    )


def test_odd_arrays_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng, seen = random.Random(0), Counter[str]()
    (tmp_path / "odd_data.py").write_text("made = {}\ndef load():\n    return made\n")
    source = SOURCES.get("odd_data:load").model_validate({"source": "odd_data:load", "path": str(tmp_path)})
    monkeypatch.syspath_prepend(str(tmp_path))
    import odd_data  # type: ignore[import-not-found]

    keys = [*arrays(), "x_val", "y_val", "group_val", "else"]
    for _ in range(1500):
        odd_data.made = {**arrays(), **{rng.choice(keys): odd(rng) for _ in range(rng.choice([1, 1, 2]))}}
        seen[outcome(source, "odd_data:load")] += 1
    assert seen["refused"] > 1000
    assert seen["read"] > 20


def test_damaged_images_are_faults_of_their_files(tmp_path: Path) -> None:
    rng, shape = random.Random(0), TargetFormat((6, 5), "stretch", "colour")
    Image.fromarray(zoo.COLOURS).save(tmp_path / "whole.png")
    warnings.simplefilter("ignore")
    for name, options in (
        ("a.png", {}),
        ("a.jpg", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.webp", {}),
        ("a.gif", {}),
    ):
        path = tmp_path / name
        exif = Image.Exif()
        exif[zoo.ORIENTATION] = 6
        Image.fromarray(zoo.COLOURS).save(path, **options, **({} if name == "a.gif" else {"exif": exif}))
        whole = path.read_bytes()
        for _ in range(60):
            path.write_bytes(damaged(whole, rng))
            found = decode_files(tmp_path, [name, "whole.png"], shape)
            assert len(found.images) + len(found.bad) == 2
            assert found.images.shape[1:] == (6, 5, 3)
            assert "\n" not in found.bad.get(name, "")


def refusal(**changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        dataset_of({**arrays(), **changes}, "own data")
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_train": np.arange(12) % 3 + 1}, "start at 1 (they are 1 to 3), and must start at 0; subtract 1"),
        (
            {"y_train": np.arange(12) % 3 * 2},
            "no image of the class(es) 1, 3; labels must be 0, 1, 2, ... without a gap",
        ),
        ({"y_train": np.eye(3)[np.arange(12) % 3]}, "if it is one-hot, use y_train.argmax(axis=1)"),
        ({"x_train": np.ones((12, 4, 4), "uint8")}, "contains only the values 0 and 1, but pixels range from 0 to 255"),
        ({"x_train": np.ones((12, 4, 4), bool)}, "but is bool; multiply by 255"),
        ({"x_train": np.ones((12, 4, 4), "float32")}, "but is float32; if they are from 0 to 1, multiply by 255"),
        ({"x_train": np.ones((12, 4, 4), "uint16")}, "but is uint16; divide by the largest possible value"),
        ({"class_names": np.array(["caf\u00e9", "cafe\u0301", "tea"])}, "occurs in two Unicode spellings"),
        ({"class_names": np.array(["a", "b", "c\x1b[31m"])}, "contains control characters"),
        ({"class_names": np.array(["a", "b", ""])}, "has 0 characters"),
        ({"class_names": np.array([0.5, 1.5, 2.5])}, "must be an array of texts, but is float64"),
        ({"class_names": np.array([b"tea", b"milk", b"caf\xe9"])}, r"`caf\xe9` is not UTF-8"),
    ],
)
def test_refusals_name_the_cause(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(**changes)


def test_names_as_bytes_are_text() -> None:
    names = np.array(["tea", "caf\u00e9", "milk"]).astype(object)
    encoded = np.array([name.encode() for name in names])
    assert dataset_of({**arrays(), "class_names": encoded}, "own data").class_names == ("tea", "caf\u00e9", "milk")


@pytest.mark.parametrize("base", [0, 2**31, 2**32, 2**62, -(2**40)])
def test_large_group_numbers_stay_apart(base: int) -> None:
    numbers = base + np.repeat(np.arange(6, dtype="int64"), 2) * 2**32
    data = dataset_of({**arrays(), "group_train": numbers}, "own data")
    assert data.groups is not None
    assert data.groups.dtype == np.int32
    assert data.groups.tolist() == np.repeat(np.arange(6), 2).tolist()


def test_group_numbers_are_the_same_in_both_parts() -> None:
    both = {"x_val": arrays()["x_test"], "y_val": arrays()["y_test"]}
    train = np.array([2**63 + 5, 2**63, 7, 7] * 3, dtype="uint64")
    held = np.array([-3, 7, 2**62] * 2, dtype="int64")
    data = dataset_of({**arrays(), **both, "group_train": train, "group_val": held}, "own data")
    assert data.groups is not None
    assert data.groups.tolist() == [4, 3, 1, 1] * 3 + [0, 1, 2] * 2
    small = dataset_of({**arrays(), "group_train": np.arange(12) * 7 - 3}, "own data")
    assert small.groups is not None
    assert small.groups.tolist() == (np.arange(12) * 7 - 3).tolist()


def test_arrays_that_are_not_used_are_said() -> None:
    data = dataset_of({**arrays(), "x_valid": np.zeros(3), "meta": np.zeros(1)}, "own data")
    assert data.notes == ("own data: arrays that are not used: x_valid, meta",)
