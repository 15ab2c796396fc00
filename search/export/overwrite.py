"""Overwrite protection: an export may replace an earlier export, and no other file."""

from __future__ import annotations

import hashlib
from itertools import chain, count
from pathlib import Path

from search.export.recipe import read_recipe
from trainables import records
from trainables.errors import InputError
from trainables.records.marks import is_marked

RECIPE_MARK = b"\nassay_recipe: "
SCRIPT_MARK = b"\nPlain Keras on TensorFlow, exported by Assay "
SEAL = "# SHA-256 of all lines above, as exported: "
"""Beginning of a script's last line, which shows whether the script was edited."""


def check_overwrite(path: Path, study: Path) -> None:
    """Refuse a path that contains anything but an earlier export.

    Args:
        path: path of the recipe or script to write.
        study: the study folder.

    Raises:
        InputError: the path is a folder, the recipe of another study or final training, a recipe or script that was
            edited, or any other file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file, such as `-o {path / records.RECIPE_FILE}`")
    if not path.exists():
        return
    trained = path.name == records.RECIPE_FILE and (path.parent / records.JOURNAL_FILE).exists()
    if trained and path.parent.resolve() != study.resolve():
        raise InputError(f"{path} belongs to another study or training; choose another `--output`")
    if is_marked(path, RECIPE_MARK):
        edited = was_edited(path)
    elif is_marked(path, SCRIPT_MARK):
        text = path.read_bytes().decode(errors="replace")
        edited = text != sealed(text.rpartition(SEAL)[0])
    else:
        raise InputError(f"{path} exists and was not exported by Assay; choose another `--output`")
    if edited:
        raise InputError(f"{path} was edited after it was exported, and would be replaced; choose another `--output`")


def sealed(script: str) -> str:
    """Return a script with a last line that contains its checksum.

    Examples:
        >>> sealed("pass\\n").splitlines()[1][:60]
        '# SHA-256 of all lines above, as exported: 9f56e761d79bfdb34'
    """
    return f"{script}{SEAL}{hashlib.sha256(script.encode()).hexdigest()}\n"


def was_edited(recipe: Path) -> bool:
    """Return whether a file is not, or no longer, a recipe as it was exported."""
    try:
        return not read_recipe(recipe).checksum
    except InputError:
        return True


def set_aside(recipe: Path) -> Path | None:
    """Give an edited recipe another name, so that the study's can be written; return the name if there was one."""
    if not recipe.is_file() or not was_edited(recipe):
        return None
    names = (recipe.with_name(f"{recipe.stem}.edited{number}{recipe.suffix}") for number in chain([""], count(2)))
    free = next(path for path in names if not path.exists())
    recipe.rename(free)
    return free
