"""What sources of image files have in common: how images become one size, what happens to bad files, parts, groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from trainables.data.base import Dataset, Source
from trainables.data.decoding import SHOWN, Colour, Decoded, Resize, Shape, decode
from trainables.data.splits import drawn_test_part
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

TRAIN, VALIDATION, TEST = "train", "validation", "test"
Side = Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True)
class Entry:
    """One file: its name relative to the root, its class, the part it is in, and its group (None without)."""

    file: str
    label: str
    part: str
    group: str | None = None


class FileSource(Source):
    """Image files. Subclasses say which, and what class each is of.

    The images are decoded once, in parallel, into a cache (`ASSAY_CACHE`, by default in the user's cache folder)
    that is keyed by the files' content. The cache may be removed at any time.
    """

    size: Annotated[
        Side | tuple[Side, Side] | None, Field(description="pixels: one side of a square, or [height, width]")
    ] = None
    resize: Annotated[Resize, Field(description="how images get that size")] = "stretch"
    colour: Annotated[Colour, Field(description="auto: colour if any image is coloured")] = "auto"
    bad_files: Annotated[Literal["refuse", "skip"], Field(description="damaged images, and files that are none")] = (
        "refuse"
    )
    test_fraction: Annotated[
        float, Field(gt=0, lt=1, description="part of each class for the test, where the data has no test part")
    ] = 0.2

    def entries(self) -> tuple[Path, list[Entry], list[str]]:
        """Return the root, every file, and the names of the classes in order.

        Raises:
            InputError: there are none, or a label is unknown.
        """
        raise TypeError(f"{type(self).__name__} does not say which files there are")

    def load(self) -> Dataset:
        """Return the images (see `Source.load`)."""
        root, entries, names = self.entries()
        size = (self.size, self.size) if isinstance(self.size, int) else self.size
        decoded = decode(root, [entry.file for entry in entries], Shape(size, self.resize, self.colour))
        if decoded.bad and self.bad_files == "refuse":
            raise InputError(f"{root}: {_listed(decoded.bad)}. Remove what is no image, or set `bad_files: skip`")
        return _dataset(root, [entries[i] for i in decoded.kept], names, decoded, self.test_fraction)


def _dataset(root: Path, entries: list[Entry], names: list[str], decoded: Decoded, test_fraction: float) -> Dataset:
    import numpy as np

    number = {name: i for i, name in enumerate(names)}
    labels = np.array([number[entry.label] for entry in entries], dtype="int32")
    parts = np.array([entry.part for entry in entries])
    groups = _group_numbers(entries)
    test = parts == TEST
    if not test.any():
        pool = np.flatnonzero(parts == TRAIN)
        test[pool[drawn_test_part(labels[pool], test_fraction, None if groups is None else groups[pool])]] = True
    development = ~test
    missing = [name for name, i in number.items() if not (labels[development] == i).any()]
    if missing:
        raise InputError(f"{root}: no image for training of the class(es) {', '.join(missing[:SHOWN])}")
    held = parts[development] == VALIDATION
    return Dataset(
        decoded.images[development],
        labels[development],
        decoded.images[test],
        labels[test],
        tuple(names),
        None if groups is None else groups[development],
        held if held.any() else None,
        None if groups is None else groups[test],
        (f"skipped {_listed(decoded.bad)}",) if decoded.bad else (),
    )


def _group_numbers(entries: list[Entry]) -> np.ndarray | None:
    """Return int32 (n,), or None where no file has a group."""
    import numpy as np

    if all(entry.group is None for entry in entries):
        return None
    own = (entry.group if entry.group is not None else f"\0{entry.file}" for entry in entries)  # alone in its group
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in own], dtype="int32")


def _listed(bad: dict[str, str]) -> str:
    shown = ", ".join(f"{file} ({why})" for file, why in list(bad.items())[:SHOWN])
    more = f", and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return f"{len(bad)} file(s) cannot be read: {shown}{more}"
