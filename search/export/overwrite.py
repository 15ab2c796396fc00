"""Where an export may be written: over nothing but an earlier export."""

from __future__ import annotations

from pathlib import Path

from trainables import records
from trainables.errors import InputError

RECIPE_MARK = "assay_recipe:"
SCRIPT_MARK = "exported by Assay"
MARKED = 4096
"""Characters at the beginning of a file in which its mark stands."""


def refuse_other(path: Path, study: Path) -> None:
    """Refuse a path that holds something else than an export of Assay's.

    Args:
        path: where a recipe or script is to be written.
        study: the study's folder.

    Raises:
        InputError: it is a folder, the recipe of a final training, or another file.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file, such as `-o {path / records.RECIPE_FILE}`")
    if not path.exists():
        return
    trained = path.name == records.RECIPE_FILE and (path.parent / records.JOURNAL_FILE).exists()
    if trained and path.parent.resolve() != study.resolve():
        raise InputError(f"{path} belongs to another study or training; choose another `--output`")
    try:
        head = path.read_text(encoding="utf-8")[:MARKED]
    except (OSError, UnicodeDecodeError):
        head = ""
    if RECIPE_MARK not in head and SCRIPT_MARK not in head:
        raise InputError(f"{path} exists and is no recipe or script of Assay's; choose another `--output`")
