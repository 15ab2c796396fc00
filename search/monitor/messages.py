"""Messages: lines on stderr, commands that can be copied, and durations in words."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from rich.console import Console
from rich.text import Text


def note(text: str) -> None:
    """Print a line on stderr."""
    Console(stderr=True, highlight=False).print(Text(text), soft_wrap=True)


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
    """Return the command that resumes a study."""
    return f"{prefix()}assay resume {shlex.quote(str(folder))}"


def duration(seconds: float) -> str:
    """Return a duration in one unit.

    >>> duration(45), duration(720), duration(9000)
    ('45 s', '12 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
