"""Files below a folder: links are followed, and what is left out is counted."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

SUFFIXES = {
    ".apng", ".avif", ".bmp", ".bw", ".dds", ".dib", ".gif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".ras", ".rgb", ".sgi", ".tga", ".tif",
    ".tiff", ".webp", ".xbm",
}  # fmt: skip
"""Endings of image files."""
LITTER = {
    "#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recycle", "@tmp", "__macosx", "__pycache__", "lost+found",
    "network trash folder", "system volume information", "temporary items",
}  # fmt: skip
"""Folders that file servers, archivers and systems create."""
SYSTEM_FILES = {".ds_store", ".gitignore", ".gitkeep", ".keep", "desktop.ini", "thumbs.db"}
"""Files that systems and tools create."""


@dataclass
class Found:
    """What lies below a folder.

    Args:
        files: regular files, in the order of their paths.
        broken: what is not a file, by path: links to nothing, and others, with the reason.
        hidden: files whose name or folder begins with a dot, except those that systems create.
        litter: files in folders that file servers and archivers create.
        linked: number of `files` that are reached by a link to a folder.
        circles: links to a folder that they lie in.
    """

    files: list[Path] = field(default_factory=list)
    broken: dict[Path, str] = field(default_factory=dict)
    hidden: list[Path] = field(default_factory=list)
    litter: list[Path] = field(default_factory=list)
    linked: int = 0
    circles: list[Path] = field(default_factory=list)


def find_files(folder: Path) -> Found:
    """Return what lies below a folder, at any depth.

    Raises:
        OSError: a folder cannot be read.
    """
    found = Found()
    above = tuple(_identity(each) for each in (folder, *folder.absolute().parents))
    _collect(folder, found, above, found.files, is_linked=False)
    for paths in (found.files, found.hidden, found.litter):
        paths.sort()
    return found


def subfolders(folder: Path) -> list[Path]:
    """Return the folders in a folder, without hidden ones and those that systems create."""
    return [each for each in _folders(folder) if not is_hidden(each) and not is_litter(each)]


def passed_over(folder: Path) -> list[Path]:
    """Return the hidden folders in a folder and those that systems create."""
    return [each for each in _folders(folder) if is_hidden(each) or is_litter(each)]


def has_images(folder: Path) -> bool:
    """Return whether image files lie directly in a folder."""
    with os.scandir(folder) as entries:
        return any(_is_visible_image(entry) for entry in entries)


def loose_images(folder: Path) -> list[Path]:
    """Return the image files that lie directly in a folder."""
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if _is_visible_image(entry))


def is_image(path: Path) -> bool:
    """Return whether a file's name ends like that of an image."""
    return path.suffix.lower() in SUFFIXES


def is_hidden(path: Path) -> bool:
    """Return whether a name begins with a dot."""
    return path.name.startswith(".")


def is_litter(path: Path) -> bool:
    """Return whether file servers, archivers and systems create folders of this name."""
    return path.name.lower() in LITTER


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if entry.is_dir())


def _is_visible_image(entry: os.DirEntry[str]) -> bool:
    path = Path(entry.name)
    return is_image(path) and not is_hidden(path) and not entry.is_dir()


def _collect(folder: Path, found: Found, above: tuple[tuple[int, int], ...], into: list[Path], is_linked: bool) -> None:
    """Sort the entries of a folder into what was found.

    Args:
        folder: the folder.
        found: what was found.
        above: identities of the folder and those that it lies in.
        into: the list that its files belong to.
        is_linked: whether it is reached by a link to a folder.
    """
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if not entry.is_dir():
            _add_file(entry, path, found, into, is_linked)
        elif (identity := _identity(path)) in above:
            found.circles.append(path)
        else:
            _collect(path, found, (*above, identity), _list_of(path, found, into), is_linked or entry.is_symlink())


def _list_of(folder: Path, found: Found, into: list[Path]) -> list[Path]:
    """Return the list that the files of a folder belong to, given that of the folder around it."""
    if into is not found.files:
        return into
    if is_litter(folder):
        return found.litter
    return found.hidden if is_hidden(folder) else found.files


def _add_file(entry: os.DirEntry[str], path: Path, found: Found, into: list[Path], is_linked: bool) -> None:
    """Add an entry that is not a folder to what was found (see `_collect`)."""
    if path.name.lower() in SYSTEM_FILES or path.name.startswith("._"):
        return
    if is_hidden(path):
        found.hidden.append(path)
    elif entry.is_file():
        into.append(path)
        found.linked += is_linked and into is found.files
    elif into is found.files:
        found.broken[path] = "a link to nothing" if entry.is_symlink() else "not a file"


def _identity(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino
