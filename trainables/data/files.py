"""Base class of image file sources: resizing, damaged files, parts and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from trainables.data.arrays import require_more_than_two_values
from trainables.data.base import Dataset
from trainables.data.cache import decode_cached
from trainables.data.decoding import Colour, TargetFormat
from trainables.data.layout import TEST, TRAIN, VALIDATION
from trainables.data.resizing import ResizableSource
from trainables.data.splits import drawn_test_part
from trainables.data.text import check_class_names, listed, printable
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np

Finite = Annotated[float, Field(ge=-1e30, le=1e30)]
Byte = Annotated[int, Field(ge=0, le=255)]
BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0)}


def _increasing(value_range: tuple[float, float]) -> tuple[float, float]:
    low, high = value_range
    if not low < high:
        raise ValueError(f"`value_range` must be [black, white] with black below white, but is [{low:g}, {high:g}]")
    return value_range


@dataclass(frozen=True)
class LabelledFile:
    """An image file with its class, part and group.

    Args:
        file: path relative to the source's root.
        label: name of its class.
        part: `train`, `validation` or `test`.
        group: name of its group, or None.
    """

    file: str
    label: str
    part: str
    group: str | None = None


@dataclass(frozen=True)
class Listing:
    """The image files of a source.

    Args:
        root: the folder that file names are relative to.
        entries: all files.
        names: names of the classes, in the order of their labels.
        bad: reasons why other files cannot be read, by path.
        notes: messages for the user.
    """

    root: Path
    entries: list[LabelledFile]
    names: tuple[str, ...]
    bad: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class FileSource(ResizableSource):
    """Base class of sources of image files. Subclasses define `entries`.

    Images are decoded once, in parallel, into a cache (`ASSAY_CACHE`, by default in the user's cache folder) keyed by
    the content of the files. The cache can be deleted at any time.
    """

    colour: Annotated[Colour, Field(description="auto: colour if any image is in colour")] = "auto"
    background: Annotated[
        Literal["white", "black"] | tuple[Byte, Byte, Byte],
        Field(description="background of transparent pixels: white, black, or [red, green, blue]"),
    ] = "white"
    value_range: Annotated[
        Annotated[tuple[Finite, Finite], AfterValidator(_increasing)] | None,
        Field(
            description="values that are black and white in images with more than 8 bits; by default from their bits"
        ),
    ] = None
    bad_files: Annotated[
        Literal["refuse", "skip"], Field(description="damaged images, and files that are not images")
    ] = "refuse"
    test_fraction: Annotated[
        float, Field(gt=0, lt=1, description="fraction of each class for the test, if the data has no test part")
    ] = 0.2

    def entries(self) -> Listing:
        """Return all files and the names of the classes in order.

        Raises:
            InputError: there are no files, or a label is unknown.
        """
        raise TypeError(f"{type(self).__name__} does not define `entries`")

    def load(self) -> Dataset:
        """Load the images (see `Source.load`)."""
        found = self.entries()
        root, entries = found.root, found.entries
        check_class_names(found.names, printable(root))
        if found.bad and self.bad_files == "refuse":
            raise InputError(_refusal(root, found.bad))
        background = BACKGROUNDS[self.background] if isinstance(self.background, str) else self.background
        target_format = TargetFormat(self.height_and_width, self.resize, self.colour, background, self.value_range)
        order = _development_first(found, self.test_fraction)
        decoded = decode_cached(root, [entries[i].file for i in order], target_format)
        if decoded.bad and self.bad_files == "refuse":
            raise InputError(_refusal(root, decoded.bad))
        require_more_than_two_values(decoded.images, printable(root))
        bad = found.bad | decoded.bad
        notes = (*([f"skipped {_listed(bad)}"] if bad else []), *found.notes, *decoded.notes)
        return _dataset(replace(found, notes=notes), decoded.images, order[decoded.kept], self.test_fraction)


def _refusal(root: Path, bad: dict[str, str]) -> str:
    return f"{printable(root)}: {_listed(bad)}. Remove these files, or set `bad_files: skip`"


def _development_first(found: Listing, test_fraction: float) -> np.ndarray:
    """Return the positions of all files, int64 (n,), first of the development part and then of the test part.

    Then each part is a view of the memory-mapped array of all images, unless files are left out.
    """
    import numpy as np

    try:
        return _test_part(found.entries, found.names, test_fraction).argsort(kind="stable")
    except InputError:  # which is raised again, if the images can be decoded
        return np.arange(len(found.entries))


def _test_part(entries: Sequence[LabelledFile], names: Sequence[str], test_fraction: float) -> np.ndarray:
    """Return which files are in the test part, bool (n,).

    Raises:
        InputError: a class would have no image in one of the parts.
    """
    import numpy as np

    parts = np.array([entry.part for entry in entries])
    test = parts == TEST
    if not test.any():
        labels, groups = _labels(entries, names), _group_numbers(entries)
        pool = np.flatnonzero(parts == TRAIN)
        test[pool[drawn_test_part(labels[pool], test_fraction, None if groups is None else groups[pool])]] = True
    return test


def _labels(entries: Sequence[LabelledFile], names: Sequence[str]) -> np.ndarray:
    """Return labels, int32 (n,)."""
    import numpy as np

    number = {name: i for i, name in enumerate(names)}
    return np.array([number[entry.label] for entry in entries], dtype="int32")


def _rows(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return some images, as a view if they follow each other."""
    import numpy as np

    first = int(rows[0]) if len(rows) else 0
    is_view = np.array_equal(rows, np.arange(first, first + len(rows)))
    return images[first : first + len(rows)] if is_view else images[rows]


def _dataset(found: Listing, images: np.ndarray, places: np.ndarray, test_fraction: float) -> Dataset:
    """Return the data set of files.

    Args:
        found: the files.
        images: uint8 (n, height, width, channels), those that were decoded.
        places: int64 (n,), position of each of them among the files.
        test_fraction: fraction of each class for the test, if the data has no test part.
    """
    import numpy as np

    rank = places.argsort()
    entries, names = [found.entries[i] for i in places[rank]], found.names
    labels, groups = _labels(entries, names), _group_numbers(entries)
    test = _test_part(entries, names, test_fraction)
    development = ~test
    missing = [name for i, name in enumerate(names) if not (labels[development] == i).any()]
    if missing:
        raise InputError(f"{printable(found.root)}: no training image of the class(es) {listed(missing)}")
    held = np.array([entry.part == VALIDATION for entry in entries])[development]
    return Dataset(
        _rows(images, rank[development]),
        labels[development],
        _rows(images, rank[test]),
        labels[test],
        tuple(names),
        None if groups is None else groups[development],
        held if held.any() else None,
        None if groups is None else groups[test],
        found.notes,
        test_drawn=all(entry.part != TEST for entry in entries),
    )


def _group_numbers(entries: Sequence[LabelledFile]) -> np.ndarray | None:
    """Return group numbers, int32 (n,), or None if no file has a group."""
    import numpy as np

    if all(entry.group is None for entry in entries):
        return None
    own = (
        entry.group if entry.group is not None else f"\0{entry.file}" for entry in entries
    )  # a file without a group is its own group
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in own], dtype="int32")


def _listed(bad: dict[str, str]) -> str:
    return f"{len(bad)} file(s) cannot be read: {listed([f'{file} ({why})' for file, why in bad.items()])}"
