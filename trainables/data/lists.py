"""Image lists: text files of image paths and classes."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from itertools import pairwise
from pathlib import Path
from posixpath import normpath
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.data.base import SOURCES
from trainables.data.files import FileSource, LabelledFile, Listing
from trainables.data.layout import TEST, TRAIN, VALIDATION
from trainables.data.text import check_class_names, listed, printable
from trainables.errors import InputError

DIGITS = 18
"""Maximum number of digits of labels that are numbers."""

List = Annotated[
    Path, Field(description="a text file of paths and labels; a relative path is relative to the study file")
]


@SOURCES.register("lists")
class Lists(FileSource):
    """Images listed in text files with a line `PATH LABEL` per image, separated by a tab, a comma, or the last space.

    A third column, after a tab or comma, is the group. Empty lines and lines that start with # are ignored. Paths are
    relative to `root`, by default the folder of the list `train`. Labels are names or numbers.

    Examples:
        >>> for name in ("a.png", "b.png"):
        ...     Path(name).touch()
        >>> _ = Path("train.txt").write_text("a.png cat\\nb.png dog\\n")
        >>> [(entry.file, entry.label) for entry in Lists(train=Path("train.txt")).entries().entries]
        [('a.png', 'cat'), ('b.png', 'dog')]
    """

    summary: ClassVar[str] = "text files of image paths and labels"
    source: Literal["lists"] = "lists"
    train: List
    validation: List | None = None
    test: List | None = None
    root: Annotated[Path | None, Field(description="the folder that paths in the lists are relative to")] = None

    def entries(self) -> Listing:
        """Return all files of the lists (see `FileSource.entries`)."""
        root = self.root or self.train.parent
        parts = {TRAIN: self.train, VALIDATION: self.validation, TEST: self.test}
        entries = [entry for part, path in parts.items() if path for entry in _read(path, part, root)]
        names = _in_order({entry.label for entry in entries if entry.part == TRAIN})
        if len(names) < 2:
            raise InputError(f"{printable(self.train)} has {len(names)} class(es); at least two are required")
        seen: set[str] = set()
        for entry in entries:
            if entry.label not in names:
                check_class_names(dict.fromkeys([*names, entry.label]), printable(self.train))
                raise InputError(
                    f"{printable(entry.file)}: class `{printable(entry.label)}` is not in {printable(self.train)}; it "
                    f"has {listed(names)}"
                )
            place = normpath(entry.file)
            if place in seen:
                raise InputError(f"{printable(entry.file)} is listed twice; remove one entry")
            seen.add(place)
        return Listing(root, entries, tuple(names))


def _read(path: Path, part: str, root: Path) -> list[LabelledFile]:
    """Return the entries of a list, whose files must all exist."""
    entries = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = _cells(line)
        where = f"{printable(path)}:{number}"
        if not 2 <= len(cells) <= 3 or not all(cells):
            raise InputError(
                f"{where}: expected a path, a label and optionally a group, but got {printable(line[:200])!r}"
            )
        if "\0" in cells[0] or not (root / cells[0]).is_file():
            raise InputError(f"{where}: there is no file {printable(root / cells[0])}; correct the list, or set `root`")
        entries.append(LabelledFile(cells[0], cells[1], part, cells[2] if len(cells) == 3 else None))
    if not entries:
        raise InputError(f"{printable(path)} lists no images")
    return entries


def _lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, with or without a byte order mark."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"{printable(path)} is a device or a pipe; a list of images is a text file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{printable(path)} cannot be read as a list of images: {error.strerror or error}") from None
    if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise InputError(f"{printable(path)} is UTF-16, according to its byte order mark; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{printable(path)}:{line}: the list is not UTF-8; save it as UTF-8") from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _cells(line: str) -> list[str]:
    for separator in ("\t", ","):
        if separator in line:
            return [cell.strip() for cell in line.split(separator)]
    return line.strip().rsplit(maxsplit=1)


def _in_order(labels: set[str]) -> list[str]:
    """Return labels in numerical order if all are numbers, else in alphabetical order.

    Raises:
        InputError: two of them are the same number.
    """
    if not all(label.isdecimal() and len(label) <= DIGITS for label in labels):
        return sorted(labels)
    order = sorted(labels, key=lambda label: (int(label), label))
    for one, other in pairwise(order):
        if int(one) == int(other):
            raise InputError(f"the labels `{one}` and `{other}` are the same number; use one spelling")
    return order
