"""Image folders: one folder per class, with or without parts for training, validation and test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from trainables.data.base import SOURCES
from trainables.data.files import TEST, TRAIN, VALIDATION, Entry, FileSource
from trainables.errors import InputError

PARTS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}
LITTER = {"thumbs.db", "desktop.ini"}


def _one_group(pattern: str) -> str:
    try:
        count = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"`groups` is not a regular expression: {error}") from None
    if count != 1:
        raise ValueError(f"`groups` must have one pair of parentheses around the group's name, but has {count}")
    return pattern


@SOURCES.register("directory")
class Directory(FileSource):
    """Images in class folders: PATH/CLASS/IMAGE, or PATH/train/CLASS/IMAGE with `test` and `val` next to `train`.

    If there is no test part, a fixed fifth of each class becomes the test part. A folder `val`, `valid` or `validation`
    is the validation part, or with `validation_is: test` the test part. Hidden files are ignored.

    Examples:
        >>> from PIL import Image
        >>> for label in ("cat", "dog"):
        ...     Path("pets", label).mkdir(parents=True)
        ...     for number in range(10):
        ...         Image.new("L", (8, 8), 20 * number).save(Path("pets", label, f"{number}.png"))
        >>> root, entries, names = Directory(path=Path("pets")).entries()
        >>> len(entries), names
        (20, ['cat', 'dog'])
    """

    summary: ClassVar[str] = "class folders of JPEG or PNG images, with or without train, val and test"
    source: Literal["directory"] = "directory"
    path: Annotated[Path, Field(description="the folder; a relative path is relative to the study file")]
    validation_is: Annotated[
        Literal["validation", "test"], Field(description="what a validation folder is used for")
    ] = "validation"
    groups: Annotated[
        Annotated[str, AfterValidator(_one_group)] | None,
        Field(
            description="regular expression on CLASS/IMAGE; images with the same text in its parentheses stay together"
        ),
    ] = None

    def entries(self) -> tuple[Path, list[Entry], list[str]]:
        """Return every file below a class folder (see `FileSource.entries`)."""
        if not self.path.is_dir():
            raise InputError(
                f"{self.path}: there is no such folder; `path` must be a folder that contains one folder per class"
            )
        tops = _folders(self.path)
        parts = {folder: PARTS[folder.name.lower()] for folder in tops if folder.name.lower() in PARTS}
        if TRAIN not in parts.values():
            parts = {self.path: TRAIN}
        if self.validation_is == "test":
            if {TEST, VALIDATION} <= set(parts.values()):
                raise InputError(f"{self.path} has a test folder; remove `validation_is: test`")
            parts = {folder: TEST if part == VALIDATION else part for folder, part in parts.items()}
        names = sorted({folder.name for part, kind in parts.items() if kind == TRAIN for folder in _folders(part)})
        if len(names) < 2:
            raise InputError(f"{self.path} has {len(names)} class folder(s); at least two are required, one per class")
        entries = [entry for folder, part in parts.items() for entry in self._in_part(folder, part, names)]
        return self.path, entries, names

    def _in_part(self, folder: Path, part: str, names: list[str]) -> list[Entry]:
        entries: list[Entry] = []
        for place in _folders(folder):
            if place.name not in names:
                raise InputError(f"{place}: class `{place.name}` has no training folder; the classes are {names}")
            files = sorted(path for path in place.rglob("*") if path.is_file() and not _hidden(path.relative_to(place)))
            if not files and part == TRAIN:
                raise InputError(f"{place} contains no files; add images or remove the folder")
            entries += [
                Entry(file.relative_to(self.path).as_posix(), place.name, part, self._group(file.relative_to(folder)))
                for file in files
            ]
        return entries

    def _group(self, file: Path) -> str | None:
        found = re.search(self.groups, file.as_posix()) if self.groups else None
        return found[1] if found else None


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts) or path.name.lower() in LITTER
