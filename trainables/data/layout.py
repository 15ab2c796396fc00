"""Layout of an image folder: which of its folders are parts (training, validation, test), and which are classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.data.folders import find_files, has_images, is_image, loose_images, passed_over, subfolders
from trainables.data.text import listed, printable
from trainables.errors import InputError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = {
    TRAIN: {"train", "training", "trn"},
    VALIDATION: {"val", "valid", "validation", "validate", "validating", "dev", "development"},
    TEST: {"test", "testing", "tst", "eval", "evaluation", "evaluate", "evaluating", "holdout"},
}
"""Words that name a part."""
FILLERS = {
    "classification", "crop", "cropped", "data", "dataset", "datasets", "dir", "directory", "file", "files", "folder",
    "image", "images", "img", "imgs", "original", "part", "photo", "photos", "pic", "pics", "picture", "pictures",
    "raw", "sample", "samples", "seg", "segmentation", "set", "sets", "split", "splits", "subset",
}  # fmt: skip
"""Words that may accompany it."""
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Layout:
    """How an image folder is read.

    Args:
        parts: the part of each folder that contains class folders.
        names: names of the classes, sorted.
        notes: messages about what is not used.
    """

    parts: dict[Path, str]
    names: tuple[str, ...]
    notes: tuple[str, ...]


def part_of(name: str) -> str | None:
    """Return the part that a folder's name stands for, or None.

    >>> [part_of(name) for name in ("Training", "seg_test", "ValidationSet", "train2017", "trains", "train_test")]
    ['train', 'test', 'validation', 'train', None, None]
    """
    found = {_part_of_word(word) for word in _words(name)}
    return found.pop() if len(found) == 1 else None


def read_layout(path: Path, is_classes: bool = False) -> Layout:
    """Return how an image folder is read.

    Args:
        path: the folder.
        is_classes: whether every folder in it is a class, regardless of its name and content.

    Raises:
        InputError: it has fewer than two classes, or can be read in several ways.
        OSError: a folder cannot be read.
    """
    base = path if is_classes else _inner(path)
    tops = subfolders(base)
    parts = {} if is_classes else _containers(tops)
    if parts:
        _check_parts(base, parts)
        parts = {_inner(top): part for top, part in parts.items()}
    elif not is_classes:
        _refuse_flat_parts(base, tops)
    parts = parts or {base: TRAIN}
    classes = [folder for top, part in parts.items() if part == TRAIN for folder in subfolders(top)]
    names = sorted({folder.name for folder in classes})
    if len(names) < 2:
        raise InputError(
            f"{printable(path)} has {len(names)} class folder(s); at least two are required, one per class. Images "
            "that are not in class folders need a list of their classes (`source: lists`)"
        )
    if not is_classes:
        _refuse_parts_as_classes(classes)
    parts = {_inner(top, names): part for top, part in parts.items()}
    notes = [f"the classes are read from {printable(base)}"] if base != path else []
    places = _places(path, base, list(parts))
    notes += [*_loose(path, places), *_passed_over(path, places)]
    if list(parts) != [base]:
        used = [top for top in tops if any(folder == top or top in folder.parents for folder in parts)]
        notes += _unused(base, [top for top in tops if top not in used], names, set(parts.values()))
    return Layout(parts, tuple(names), tuple(notes))


def _words(name: str) -> list[str]:
    """Return the words of a name that identify a part or a class."""
    words = (word.lower() for word in WORD.findall(name))
    return [word for word in words if not word.isdecimal() and word not in FILLERS]


def _part_of_word(word: str) -> str | None:
    for part, words in PARTS.items():
        if any(word in {name, *(f"{name}{filler}" for filler in FILLERS)} for name in words):
            return part
    return None


def _inner(folder: Path, names: Sequence[str] = ()) -> Path:
    """Return the folder itself or, where it contains nothing but another folder of folders, that one.

    Args:
        folder: the folder.
        names: names of classes, if they are known; their folders are not entered.
    """
    while True:
        inner = subfolders(folder)
        if len(inner) != 1 or inner[0].name in names or has_images(folder):
            return folder
        if has_images(inner[0]) or not subfolders(inner[0]):
            return folder
        folder = inner[0]


def _containers(tops: Sequence[Path]) -> dict[Path, str]:
    """Return the folders that are named like a part and contain folders, by their part.

    A folder that contains both images and folders is one only if no folder with another name has images.
    """
    named = {top: part for top in tops if (part := part_of(top.name)) and subfolders(top)}
    strict = {top: part for top, part in named.items() if not has_images(top)}
    if len(strict) == len(named):
        return strict
    foreign = any(part_of(top.name) is None and find_files(top).files for top in tops)
    return strict if foreign else named


def _check_parts(base: Path, parts: dict[Path, str]) -> None:
    """Refuse parts that lack the training part, or of which two are the same.

    Raises:
        InputError: they do.
    """
    for part in PARTS:
        same = [top.name for top, each in parts.items() if each == part]
        if len(same) > 1:
            raise InputError(
                f"{printable(base)}: the folders {listed(same)} would all be the {part} part; rename all but one"
            )
    if TRAIN not in parts.values():
        raise InputError(
            f"{printable(base)} has the folder(s) {listed([top.name for top in parts])}, but no training part next to "
            "them; name its folder `train`, or set `layout: classes` if every folder is a class"
        )


def _refuse_flat_parts(base: Path, tops: Sequence[Path]) -> None:
    """Refuse folders that are named like parts and contain images without classes.

    Raises:
        InputError: all folders with images are.
    """
    flat = {top: part_of(top.name) for top in tops if has_images(top)}
    if len(flat) > 1 and TRAIN in flat.values() and None not in flat.values():
        raise InputError(
            f"{printable(base)}: the folders {listed([top.name for top in flat])} contain images, but no class "
            "folders. Move the images into one folder per class, name their classes in a list (`source: lists`), or "
            "set `layout: classes` if these folders are the classes"
        )


def _refuse_parts_as_classes(classes: Sequence[Path]) -> None:
    """Refuse "classes" that contain no images but the folders of the actual classes.

    Raises:
        InputError: there are some.
    """
    inner = {folder: {each.name for each in subfolders(folder)} for folder in classes if not has_images(folder)}
    remedy = "Name the parts `train`, `val` and `test`; or set `layout: classes` if every folder is a class"
    if len(inner) == len(classes) and len(shared := set.intersection(*inner.values())) > 1:
        raise InputError(
            f"{printable(classes[0].parent)}: the folders {listed([folder.name for folder in classes])} contain no "
            f"images, but all contain the same folders ({listed(sorted(shared))}), so they are not classes. {remedy}"
        )
    parts: dict[tuple[str, ...], dict[str, Path]] = {}
    for folder in classes:
        words = _words(folder.name)
        for part in {part for word in words if (part := _part_of_word(word))}:
            rest = tuple(word for word in words if not _part_of_word(word))
            parts.setdefault(rest, {})[part] = folder
    for same in parts.values():
        if TRAIN in same and len(same) > 1:
            raise InputError(
                f"{printable(classes[0].parent)}: the folders {listed([folder.name for folder in same.values()])} are "
                f"named like parts of one class, so they are not classes. {remedy}"
            )
    names = {folder.name for folder in classes}
    for folder, found in inner.items():
        if len(found & names) > 1 or (found and found <= names):
            raise InputError(
                f"{printable(folder)} contains no images, but folders named like the classes next to it "
                f"({listed(sorted(found & names))}), so it is not a class. Move it out of {printable(folder.parent)}."
                f" {remedy}"
            )


def _images_below(folder: Path) -> list[Path]:
    """Return all image files below a folder, also hidden ones."""
    found = find_files(folder)
    return [file for file in (*found.files, *found.hidden, *found.litter) if is_image(file)]


def _places(path: Path, base: Path, parts: Sequence[Path]) -> list[Path]:
    """Return the folders from the first one down to those that contain class folders."""
    above = (each for part in parts for each in part.parents if path in each.parents)
    return list(dict.fromkeys([path, base, *above, *parts]))


def _loose(path: Path, places: Sequence[Path]) -> list[str]:
    """Return a message about images that lie next to class folders and so have no class."""
    images = [image.relative_to(path) for place in places for image in loose_images(place)]
    return [f"{len(images)} image(s) lie in no class folder and are not used: {listed(images)}"] if images else []


def _passed_over(path: Path, places: Sequence[Path]) -> list[str]:
    """Return a message about images in hidden folders, and in folders of file servers, next to class folders."""
    folders = [folder for place in places for folder in passed_over(place)]
    counts = {folder: len(_images_below(folder)) for folder in folders}
    found = [folder.relative_to(path) for folder, count in counts.items() if count]
    return (
        [f"{sum(counts.values())} image(s) in hidden or system folders are not used: {listed(found)}"] if found else []
    )


def _unused(base: Path, others: Sequence[Path], names: Sequence[str], parts: set[str]) -> list[str]:
    """Return messages about the folders next to the parts.

    Args:
        base: the folder of all of them.
        others: the folders that are not a part.
        names: names of the classes.
        parts: the parts that there are.

    Raises:
        InputError: one of them looks like a part or like a class.
    """
    notes = []
    is_alone = parts == {TRAIN} and not any(part_of(other.name) for other in others)
    for other in others:
        inner = {each.name for each in subfolders(_inner(other))}
        files = _images_below(other)
        part = part_of(other.name)
        if part and not files:
            raise InputError(f"{printable(other)} contains no images; add some, or remove the folder")
        if part is None and len(inner & set(names)) > 1:
            raise InputError(
                f"{printable(other)} has folders named like the classes, but is not named like a part; name it "
                f"`train`, `val` or `test`, or move it out of {printable(base)}"
            )
        if is_alone and has_images(other):
            raise InputError(
                f"{printable(base)}: `{printable(other.name)}` may be a class next to a class `train`, or a folder "
                "next to the training part. Set `layout: classes` if every folder is a class; otherwise move it out"
            )
        if files:
            drawn = "; the test part is drawn from the training part" if part == TEST and TEST not in parts else ""
            notes.append(f"{len(files)} image(s) in {printable(other)} belong to no class and are not used{drawn}")
    return notes
