"""Command line `assay`: data on stdout, progress and messages on stderr.

Exit codes: 2 for invalid input, 1 for a failed run, 130 after an interruption. Each module contains the commands of
one topic; importing it registers them.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from search.cli import boundary, certify, doctor, final, judge, listing, report, study, tracking
from search.cli.app import app
from search.monitor import interrupts

ORDER = (
    "plan", "certify", "run", "resume", "status", "report", "export", "train", "judge", "ui", "sync", "list", "doctor",
)  # fmt: skip
"""Commands in the order of `assay --help`, which is the order in which a study needs them."""

app.registered_commands.sort(key=lambda entry: ORDER.index(entry.name or getattr(entry.callback, "__name__", "")))

__all__ = ["app", "boundary", "certify", "doctor", "final", "judge", "listing", "main", "report", "study", "tracking"]


def main() -> None:
    """Run the command line. SIGTERM and SIGHUP end it like Ctrl-C: everything is saved."""
    boundary.open_streams()
    interrupts.catch()
    code = boundary.finish(call(sys.argv[1:]))
    if code == boundary.INTERRUPTED:
        _exit(code)
    sys.exit(code)


def call(arguments: Sequence[str]) -> int:
    """Run a command line in this process and return its exit code."""
    ended: list[int] = []

    def command() -> None:
        boundary.refuse_empty(arguments)
        ended.append(boundary.parsed(lambda: app(list(arguments), standalone_mode=False), arguments))

    # Typer itself may fail, at arguments that are not UTF-8 for example.
    code = boundary.guarded(command, boundary.wants_debug(arguments))
    return code or sum(ended)


def _exit(code: int) -> NoReturn:
    """End this process without interpreter teardown, in which an interrupted start of Ray's core may crash."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
