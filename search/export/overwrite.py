"""Overwrite protection: an export may replace an earlier export, and no other file."""

from __future__ import annotations

from pathlib import Path

from search.export.recipe import read_recipe
from trainables import records
from trainables.errors import InputError
from trainables.records.marks import is_marked

RECIPE_MARK = b"\nassay_recipe: "
SCRIPT_MARK = b"\nPlain Keras on TensorFlow, exported by Assay "


def check_overwrite(path: Path, study: Path) -> None:
    """Refuse a path that contains anything but an earlier export.

    Args:
        path: path of the recipe or script to write.
        study: the study folder.

    Raises:
        InputError: the path is a folder, the recipe of another study or final training, a recipe that was edited, or
            any other file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, such as `-o {path / records.RECIPE_FILE}`")
    if not path.exists():
        return
    trained = path.name == records.RECIPE_FILE and (path.parent / records.JOURNAL_FILE).exists()
    if trained and path.parent.resolve() != study.resolve():
        raise InputError(f"{path} belongs to another study or training; choose another `--output`")
    if is_marked(path, RECIPE_MARK):
        _refuse_edited(path)
    elif not is_marked(path, SCRIPT_MARK):
        raise InputError(f"{path} exists and was not exported by Assay; choose another `--output`")


def _refuse_edited(path: Path) -> None:
    """Refuse a recipe that was changed by hand, as its first line invites to."""
    try:
        is_whole = bool(read_recipe(path).checksum)
    except InputError:
        is_whole = False
    if not is_whole:
        raise InputError(f"{path} was edited after it was exported, and would be replaced; choose another `--output`")
