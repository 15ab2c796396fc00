"""Overwrite protection: an export may replace an earlier export, and no other file."""

from __future__ import annotations

from pathlib import Path

from trainables import records
from trainables.errors import InputError

RECIPE_MARK = "assay_recipe:"
SCRIPT_MARK = "exported by Assay"
HEAD_LENGTH = 4096
"""Number of characters at the beginning of a file that are searched for a mark."""


def check_overwrite(path: Path, study: Path) -> None:
    """Refuse a path that contains anything but an earlier export.

    Args:
        path: path of the recipe or script to write.
        study: the study folder.

    Raises:
        InputError: the path is a folder, the recipe of another study or final training, or any other file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, such as `-o {path / records.RECIPE_FILE}`")
    if not path.exists():
        return
    trained = path.name == records.RECIPE_FILE and (path.parent / records.JOURNAL_FILE).exists()
    if trained and path.parent.resolve() != study.resolve():
        raise InputError(f"{path} belongs to another study or training; choose another `--output`")
    try:
        head = path.read_text(encoding="utf-8")[:HEAD_LENGTH]
    except (OSError, UnicodeDecodeError):
        head = ""
    if RECIPE_MARK not in head and SCRIPT_MARK not in head:
        raise InputError(f"{path} exists and was not exported by Assay; choose another `--output`")
