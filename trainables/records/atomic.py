"""Atomic writes: a file appears under its name when it is complete; readers see all of it or none."""

from __future__ import annotations

import glob
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE = 0o600
"""Mode of files that only their owner may read."""


@contextmanager
def atomic_file(path: Path, private: bool = False) -> Iterator[Path]:
    """Yield the path of a temporary file next to `path`, and move the file there if the block succeeds.

    Missing parent folders are created. If the block raises, the temporary file is removed and `path` stays as it was.

    Args:
        path: the file to write; an existing one is replaced.
        private: whether only the owner may read it.

    Raises:
        OSError: the file cannot be written; `filename` is `path`, not the temporary file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")  # unique on all nodes of a cluster
    try:
        if private:
            unfinished.touch(PRIVATE)
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        if str(error.filename) == str(unfinished):  # a message names the file that was asked for
            raise type(error)(error.errno, error.strerror, str(path)) from None
        raise
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def remove_unfinished(path: Path) -> None:
    """Remove what writers of a file have left that were killed. Call it while nobody else writes the file.

    >>> Path(".page.html.0123.part").touch()
    >>> remove_unfinished(Path("page.html"))
    >>> Path(".page.html.0123.part").exists()
    False
    """
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*.part*"):  # SQLite has side files: `.part-journal`
        unfinished.unlink(missing_ok=True)


def write_atomically(path: Path, text: str, private: bool = False) -> None:
    """Write a UTF-8 text file atomically (see `atomic_file`).

    >>> write_atomically(Path("notes/one.txt"), "first")
    >>> Path("notes/one.txt").read_text()
    'first'
    """
    with atomic_file(path, private) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
