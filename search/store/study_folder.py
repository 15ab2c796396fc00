"""The folder of a new study or final training: refused where it is used, gone again where nothing could start."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.store.journal import Journal
from trainables import records
from trainables.errors import InputError

RAY_COPIES = "working_dir_files"  # in the path of the copy that `ray job submit --working-dir` makes


@contextmanager
def new_folder(folder: Path) -> Iterator[Journal]:
    """Make the folder, give its journal, and take both away if bad input is found before a run has begun.

    Raises:
        InputError: the folder is used (see `refuse_used`); or as the block raises it.
    """
    refuse_used(folder)
    was_there = folder.exists()
    journal = Journal.create(folder / records.JOURNAL_FILE)
    begun = True
    try:
        with journal:
            try:
                yield journal
            except InputError:
                begun = bool(journal.arrivals() or journal.outcomes())
                raise
    finally:
        if not begun:
            _clear(folder, keep=was_there)


def _clear(folder: Path, keep: bool) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not keep:
        folder.rmdir()


def refuse_used(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises:
        InputError: it does, or it would not last.
    """
    if RAY_COPIES in folder.absolute().parts:
        raise InputError(
            f"{folder} lies in Ray's temporary copy of the working directory, which is deleted with the job; give "
            "`--output` a path that all nodes share"
        )
    if (folder / records.JOURNAL_FILE).exists():
        raise InputError(f"there is a study in {folder} already. Continue it with `assay resume {folder}`.")
    lock = Path(records.JOURNAL_FILE).with_suffix(".lock").name  # all that a start on a full disk leaves
    if folder.exists() and (not folder.is_dir() or any(entry.name != lock for entry in folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; choose another `--output`")
