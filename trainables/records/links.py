"""Symbolic links in a study's folder: refused if they lead out of it.

What is written through such a link, a log for example, would change another file, and what is delivered through it
would send another file. A folder that somebody sent may contain them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trainables.errors import InputError


def refuse_links(folder: Path) -> None:
    """Refuse a study's folder with a symbolic link that leads out of it. The folder itself may be a link.

    Raises:
        InputError: there is one.

    Examples:
        >>> Path("sent").mkdir()
        >>> Path("sent/mlflow.log").symlink_to("/etc/motd")
        >>> refuse_links(Path("sent"))
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: sent/mlflow.log links outside the study folder (/etc/motd), ...
    """
    home = folder.resolve()
    for link in _links(folder):
        target = Path(os.path.realpath(link))
        if not target.is_relative_to(home):
            raise InputError(
                f"{link} links outside the study folder ({target}), which could be changed or sent; remove the link or "
                "replace it with a copy of its target"
            )


def _links(folder: Path) -> Iterator[Path]:
    """Yield all symbolic links below a folder; links to folders are not followed."""
    with suppress(OSError), os.scandir(folder) as entries:  # a running study removes folders
        for entry in entries:
            if entry.is_symlink():
                yield Path(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                yield from _links(Path(entry.path))
