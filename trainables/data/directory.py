"""Image folders: one folder per class, with or without parts for training, validation and test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from trainables.data.base import SOURCES
from trainables.data.files import FileSource, LabelledFile, Listing
from trainables.data.folders import Found, find_files, subfolders
from trainables.data.layout import TEST, TRAIN, VALIDATION, read_layout
from trainables.data.text import listed, printable
from trainables.errors import InputError


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

    Parts may be named in other usual ways, such as `Training` and `Testing`, and lie in a separate folder. If there
    is no test part, a fixed fifth of each class becomes the test part. A validation folder is the validation part, or
    with `validation_is: test` the test part. Links are followed. Hidden files and the thumbnails of file servers are
    left out.

    Examples:
        >>> from PIL import Image
        >>> for label in ("cat", "dog"):
        ...     Path("pets", label).mkdir(parents=True)
        ...     for number in range(10):
        ...         Image.new("L", (8, 8), 20 * number).save(Path("pets", label, f"{number}.png"))
        >>> found = Directory(path=Path("pets")).entries()
        >>> len(found.entries), found.names
        (20, ('cat', 'dog'))
    """

    summary: ClassVar[str] = "class folders of JPEG or PNG images, with or without train, val and test"
    source: Literal["directory"] = "directory"
    path: Annotated[Path, Field(description="the folder; a relative path is relative to the study file")]
    layout: Annotated[
        Literal["auto", "classes"], Field(description="auto: find the parts; classes: every folder in it is a class")
    ] = "auto"
    validation_is: Annotated[
        Literal["validation", "test"], Field(description="what a validation folder is used for")
    ] = "validation"
    groups: Annotated[
        Annotated[str, AfterValidator(_one_group)] | None,
        Field(
            description="regular expression on CLASS/IMAGE; images with the same text in its parentheses stay together"
        ),
    ] = None

    def entries(self) -> Listing:
        """Return every file below a class folder (see `FileSource.entries`)."""
        if not self.path.is_dir():
            raise InputError(
                f"{printable(self.path)}: there is no such folder; `path` must be a folder that contains one folder per"
                " class"
            )
        try:
            return self._entries()
        except OSError as error:
            raise InputError(
                f"{printable(error.filename or self.path)} cannot be read: {error.strerror or error}"
            ) from None

    def _entries(self) -> Listing:
        found = read_layout(self.path, self.layout == "classes")
        parts = found.parts
        if self.validation_is == "test":
            if {TEST, VALIDATION} <= set(parts.values()):
                raise InputError(f"{printable(self.path)} has a test folder; remove `validation_is: test`")
            parts = {folder: TEST if part == VALIDATION else part for folder, part in parts.items()}
        entries: list[LabelledFile] = []
        everything: list[Found] = []
        for folder, part in parts.items():
            before = len(entries)
            for place in subfolders(folder):
                if place.name not in found.names:
                    raise InputError(
                        f"{printable(place)}: class `{printable(place.name)}` has no training folder; the classes are "
                        f"{listed(found.names)}"
                    )
                inside = find_files(place)
                if not inside.files and not inside.broken and part == TRAIN:
                    raise InputError(f"{printable(place)} contains no files; add images or remove the folder")
                everything.append(inside)
                entries += [self._entry(file, place, folder, part) for file in inside.files]
            if len(entries) == before and not any(inside.broken for inside in everything):
                raise InputError(f"{printable(folder)} contains no images; add some, or remove the folder")
        bad = {self._name(path): why for inside in everything for path, why in inside.broken.items()}
        notes = (*found.notes, *self._left_out(everything, len(entries)))
        return Listing(self.path, entries, found.names, bad, notes)

    def _entry(self, file: Path, place: Path, folder: Path, part: str) -> LabelledFile:
        return LabelledFile(self._name(file), place.name, part, self._group(file.relative_to(folder)))

    def _name(self, file: Path) -> str:
        return file.relative_to(self.path).as_posix()

    def _group(self, file: Path) -> str | None:
        found = re.search(self.groups, file.as_posix()) if self.groups else None
        return found[1] if found else None

    def _left_out(self, everything: list[Found], used: int) -> list[str]:
        """Return messages about files that were left out, and about links."""
        linked = sum(inside.linked for inside in everything)
        notes = [f"{linked} of {used} files are in linked folders, which are followed"] if linked else []
        for paths, what in (
            ([path for inside in everything for path in inside.litter], "in folders of file servers and archivers"),
            ([path for inside in everything for path in inside.hidden], "hidden"),
            ([path for inside in everything for path in inside.circles], "links to a folder that they lie in"),
        ):
            if paths:
                notes.append(f"left out {len(paths)} file(s), {what}: {listed([self._name(path) for path in paths])}")
        return notes
