"""Folder of a study or final training: refused if it is in use, removed again if no run could start, and cleared."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.store.journal import Journal
from trainables import records
from trainables.errors import InputError
from trainables.records.atomic import remove_unfinished

RAY_COPIES = "working_dir_files"  # in the path of the copy that `ray job submit --working-dir` makes


@contextmanager
def new_folder(folder: Path) -> Iterator[Journal]:
    """Create the folder and its journal; remove both if invalid input is found before a run has started.

    Raises:
        InputError: the folder is in use (see `refuse_used`), or as raised by the block.
    """
    refuse_used(folder)
    was_there = folder.exists()
    journal = Journal.create(folder / records.JOURNAL_FILE)
    started = True
    try:
        with journal:
            try:
                yield journal
            except InputError:
                started = bool(journal.arrivals() or journal.outcomes())
                raise
    finally:
        if not started:
            _clear(folder, keep=was_there)


def _clear(folder: Path, keep: bool) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not keep:
        folder.rmdir()


def clear_unfinished(folder: Path) -> None:
    """Remove the incomplete files of a driver that was killed while it wrote. Call it with the journal's lock.

    What the delivery process writes is its own: it may have outlived the driver.
    """
    for name in (records.JOURNAL_FILE, records.STUDY_FILE, records.RECIPE_FILE):
        remove_unfinished(folder / name)
    for unfinished in (folder / records.REPORT).glob(".*.part"):
        unfinished.unlink(missing_ok=True)


def refuse_used(folder: Path) -> None:
    """Refuse a folder that is not empty.

    Raises:
        InputError: it is not empty, or is a temporary copy made by Ray.
    """
    if RAY_COPIES in folder.absolute().parts:
        raise InputError(
            f"{folder} is in Ray's temporary copy of the working directory, which is deleted with the job; give "
            "`--output` a path that all nodes share"
        )
    if (folder / records.JOURNAL_FILE).exists():
        raise InputError(
            f"{folder} already contains a study. Continue it with `assay resume {shlex.quote(str(folder))}`."
        )
    lock = Path(records.JOURNAL_FILE).with_suffix(".lock").name  # a start on a full disk leaves only this file
    if folder.exists() and (not folder.is_dir() or any(entry.name != lock for entry in folder.iterdir())):
        raise InputError(f"{folder} exists and is not empty; choose another folder with `--output`")
