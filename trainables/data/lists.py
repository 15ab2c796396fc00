"""Image lists: text files of image paths and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from trainables.data.base import SOURCES
from trainables.data.files import Entry, FileSource, Listing
from trainables.data.layout import TEST, TRAIN, VALIDATION
from trainables.errors import InputError

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
            raise InputError(f"{self.train} has {len(names)} class(es); at least two are required")
        seen: set[str] = set()
        for entry in entries:
            if entry.label not in names:
                raise InputError(f"{entry.file}: class `{entry.label}` is not in {self.train}; it has {names}")
            if entry.file in seen:
                raise InputError(f"{entry.file} is listed twice; remove one entry")
            seen.add(entry.file)
        return Listing(root, entries, tuple(names))


def _read(path: Path, part: str, root: Path) -> list[Entry]:
    """Return the entries of a list, whose files must all exist."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a list of images: {error}") from None
    entries = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = _cells(line)
        if not 2 <= len(cells) <= 3 or not all(cells):
            raise InputError(f"{path}:{number}: expected a path, a label and optionally a group, but got {line!r}")
        if not (root / cells[0]).is_file():
            raise InputError(f"{path}:{number}: there is no file {root / cells[0]}; correct the list, or set `root`")
        entries.append(Entry(cells[0], cells[1], part, cells[2] if len(cells) == 3 else None))
    if not entries:
        raise InputError(f"{path} lists no images")
    return entries


def _cells(line: str) -> list[str]:
    for separator in ("\t", ","):
        if separator in line:
            return [cell.strip() for cell in line.split(separator)]
    return line.strip().rsplit(maxsplit=1)


def _in_order(labels: set[str]) -> list[str]:
    """Return labels in numerical order if all are numbers, else in alphabetical order."""
    if all(label.isdecimal() for label in labels):
        return sorted(labels, key=int)
    return sorted(labels)
