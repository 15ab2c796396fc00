"""The command line in a process: studies are written, started, waited for and killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from tests.support.studies import study_document
from trainables import records
from trainables.records import JournalReader

FAULTY = "tests.support.faulty_cli"
"""The program whose replays obey the columns `_wait` and `_fault` (see `tests.support.faults`)."""


def assay(*arguments: object, program: str = "search.cli", seconds: float = 200) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, program=program), capture_output=True, text=True, timeout=seconds, check=False
    )


def command(*arguments: object, program: str = "search.cli") -> list[str]:
    return [sys.executable, "-m", program, *map(str, arguments)]


def write_study(folder: Path, **changes: object) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study_document(**changes)))
    return path


def ended(folder: Path) -> dict[str, str]:
    with JournalReader.open(folder / records.JOURNAL_FILE) as journal:
        return {row.run: row.outcome.outcome for row in journal.outcomes()}


def wait_for_outcomes(
    folder: Path, more_than: int, seconds: float = 90, driver: subprocess.Popen[bytes] | None = None
) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and (driver is None or driver.poll() is None):
        if (folder / records.JOURNAL_FILE).exists() and len(ended(folder)) > more_than:
            return
        time.sleep(0.1)
    raise AssertionError("the study makes no progress")


def holders(path: Path) -> list[int]:
    """Return the processes that have a file open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.readlink() == path:
                found.append(int(link.parts[2]))
    return found


def wait_for(there: Callable[[], Any]) -> Any:
    """Wait until something is there, and return it."""
    until = time.monotonic() + 200
    while time.monotonic() < until:
        found = there()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it does not come")
