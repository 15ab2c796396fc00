"""Messages: lines on stderr, and commands that can be copied."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from trainables.records.characters import visible
from trainables.registration.plugins import allowed_code

LONGEST, MOST = 2000, 60
"""Largest number of characters of a line, and of lines, in a message."""


def readable(text: str) -> str:
    r"""Return a message without characters that control a terminal, and without the middle of what is very long.

    Args:
        text: the message; values from files and arguments may stand in it.

    Examples:
        >>> readable("no such file: \x1b[2J")
        'no such file: \\x1b[2J'
    """
    lines = [visible(line) for line in text.split("\n")]
    shown = [f"{line[: LONGEST - 500]} ... {line[-495:]}" if len(line) > LONGEST else line for line in lines]
    return "\n".join([*shown[:MOST], *(["..."] if len(shown) > MOST else [])])


def note(text: str) -> None:
    """Print a line on stderr, if there still is one: a study does not end with its terminal."""
    with suppress(OSError):
        Console(stderr=True, highlight=False).print(Text(readable(text)), soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning on stderr; an empty text prints nothing."""
    if text:
        note(f"warning: {text}")


def prefix() -> str:
    """Return what precedes `assay` on the user's command line, so that printed commands can be copied."""
    return "uv run " if "UV_RUN_RECURSION_DEPTH" in os.environ else ""


def copyable(text: str) -> str:
    """Return a message in which every `assay` command in backticks has the prefix of `prefix`."""
    return re.sub(r"`(?=assay )", f"`{prefix()}", text)


def resume_hint(folder: Path) -> str:
    """Return the command that resumes a study; what may run now may run then."""
    allowed = " --allow-code" if allowed_code() else ""
    return f"{prefix()}assay resume {shlex.quote(str(folder))}{allowed}"
