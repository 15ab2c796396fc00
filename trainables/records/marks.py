"""Marks of files that Assay wrote, which distinguish an earlier output from a file of somebody else."""

from __future__ import annotations

from pathlib import Path

HEAD_LENGTH = 4096
"""Number of bytes at the beginning of a file that are searched for a mark."""
PICTURE_MARK = b"Software\0Assay"
"""Text entry of a PNG that Assay drew."""


def is_marked(path: Path, mark: bytes) -> bool:
    """Return whether a path is a regular file with a mark at its beginning.

    Args:
        path: the file, which may be missing.
        mark: the mark of an output of Assay.

    Raises:
        OSError: the file cannot be read.

    Examples:
        >>> Path("photo.png").write_bytes(b"mine")
        4
        >>> is_marked(Path("photo.png"), PICTURE_MARK)
        False
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return mark in file.read(HEAD_LENGTH)
