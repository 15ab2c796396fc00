"""Bounded process: a program that may crash or hang, even in the kernel, without harm to its caller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

MODULE = (sys.executable, "-P", "-m")
"""Start of a program that is a module; `-P` keeps a `ray.py` in the working directory from being executed instead."""
REAP_SECONDS = 2.0
"""How long a killed process may take to end. One that hangs in the kernel's driver does not end; it is left behind."""


@dataclass(frozen=True)
class Answer:
    """What a program answered.

    Args:
        out: its standard output, also if it did not end well.
        messages: its standard error.
        end: how it ended, in words; empty if all is well.
    """

    out: str
    messages: str
    end: str

    @property
    def last_message(self) -> str:
        """The last line of standard error that is not blank, in parentheses after a space; empty if there is none."""
        last = next((line.strip() for line in reversed(self.messages.splitlines()) if line.strip()), "")
        return f" ({last[:200]})" if last else ""


def bounded(program: Sequence[str], seconds: float, environment: Mapping[str, str] | None = None) -> Answer:
    """Run a program; kill it and its children when the time is up.

    Args:
        program: the program and its arguments.
        seconds: how long it may take.
        environment: variables in addition to those of this process.

    Examples:
        >>> bounded(["sh", "-c", "echo yes; exit 3"], 10)
        Answer(out='yes\\n', messages='', end='ended with exit code 3')
    """
    # Files instead of pipes: a grandchild may keep a pipe open.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as messages:
        try:
            process = subprocess.Popen(
                program, stdin=subprocess.DEVNULL, stdout=out, stderr=messages,
                env={**os.environ, **(environment or {})}, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            return Answer("", "", f"cannot be run ({error.strerror or error})")
        try:
            end = _ending(process.wait(seconds))
        except subprocess.TimeoutExpired:
            end = f"did not answer within {seconds:g} s"
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(REAP_SECONDS)
        return Answer(_text(out), _text(messages), end)


def _ending(code: int) -> str:
    """Return how a process ended, in words; empty if all is well."""
    if code >= 0:
        return f"ended with exit code {code}" if code else ""
    name = signal.Signals(-code).name if -code in set(signal.Signals) else -code
    return f"was ended by {name}"


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
