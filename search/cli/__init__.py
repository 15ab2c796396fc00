"""The command line: data on stdout, progress and messages on stderr.

Exit codes: 2 for bad input, 1 for a failed run, 130 when interrupted. A module here holds the commands of one concern;
importing it registers them.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

from search.cli import final, listing, report, study, tracking
from search.cli.app import app
from search.monitor import interrupts

ORDER = ("plan", "run", "resume", "status", "report", "export", "train", "ui", "sync", "list")
"""The commands as help shows them: in the order in which a study needs them."""

INTERRUPTED = 130

app.registered_commands.sort(key=lambda entry: ORDER.index(entry.name or getattr(entry.callback, "__name__", "")))

__all__ = ["app", "final", "listing", "main", "report", "study", "tracking"]


def main() -> None:
    """Run the command line. A request to terminate ends it as Ctrl-C does: everything is saved."""
    interrupts.catch()
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _leave(INTERRUPTED)
        raise


def _leave(code: int) -> NoReturn:
    """End this process without taking it apart: Ray's core may crash there if it was interrupted while it started."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
