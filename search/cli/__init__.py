"""Command line `assay`: data on stdout, progress and messages on stderr.

Exit codes: 2 for invalid input, 1 for a failed run, 130 after an interruption. Each module contains the commands of
one topic; importing it registers them.
"""

from __future__ import annotations

import atexit
import os
import sys
from typing import NoReturn

from search.cli import final, judge, listing, report, study, tracking
from search.cli.app import app
from search.monitor import interrupts

ORDER = ("plan", "run", "resume", "status", "report", "export", "train", "judge", "ui", "sync", "list")
"""Commands in the order of `assay --help`, which is the order in which a study needs them."""

INTERRUPTED = 130

app.registered_commands.sort(key=lambda entry: ORDER.index(entry.name or getattr(entry.callback, "__name__", "")))

__all__ = ["app", "final", "judge", "listing", "main", "report", "study", "tracking"]


def main() -> None:
    """Run the command line. SIGTERM and SIGHUP end it like Ctrl-C: everything is saved."""
    interrupts.catch()
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _exit(INTERRUPTED)
        raise


def _exit(code: int) -> NoReturn:
    """End this process without interpreter teardown, in which an interrupted start of Ray's core may crash."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
