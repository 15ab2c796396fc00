"""Messages: lines on stderr, and commands that can be copied."""

from __future__ import annotations

import os
import re
import shlex
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from trainables.registration.plugins import allowed_code


def note(text: str) -> None:
    """Print a line on stderr, if there still is one: a study does not end with its terminal."""
    with suppress(OSError):
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
    """Return the command that resumes a study; what may run now may run then."""
    allowed = " --allow-code" if allowed_code() else ""
    return f"{prefix()}assay resume {shlex.quote(str(folder))}{allowed}"
