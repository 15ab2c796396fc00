"""Boundary of the command line: every exception becomes a message and an exit code; streams accept every text."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import typer

from search.cli.hints import hint
from search.monitor import interrupts
from search.monitor.messages import copyable, readable, resume_hint
from trainables.errors import AssayError, BudgetError, InputError, StoppedError
from trainables.records.files import JOURNAL_FILE, LOGS

FAILED, INVALID, INTERRUPTED = 1, 2, 130
OWN_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors of the operating system that are not caused by the input."""
TRAINING_STACK = {"PIL", "git", "keras", "matplotlib", "mlflow", "optuna", "ray", "sklearn", "tensorflow"}
"""Modules of the extra `train` of `pyproject.toml`; `assay judge` and `assay report` do without them."""
study_folder: ContextVar[Path | None] = ContextVar("study_folder", default=None)
"""The folder that the current command works on, if any; messages explain how to continue the study in it."""

UsageError: Any = typer.BadParameter.__bases__[0]
"""Base class of Typer's errors in the arguments, which Typer does not export."""


def parsed(call: Callable[[], object], arguments: Sequence[str]) -> int:
    """Call Typer in its mode without exits; report invalid arguments on stderr and return the exit code.

    Args:
        call: the call.
        arguments: the command line, to name a refused value: Typer's messages do not.
    """
    try:
        code = call()
    except typer.Abort:
        return FAILED
    except UsageError as error:
        value = _value_of(getattr(getattr(error, "param", None), "opts", ()), arguments)
        if error.message and value is not None and repr(value) not in error.message:
            error.message += f", but got {value!r}"
        error.message = readable(f"{error.message}{hint(error)}")
        error.show()
        return INVALID
    return code if isinstance(code, int) else 0


def _value_of(names: Sequence[str], arguments: Sequence[str]) -> str | None:
    """Return the value of an option on a command line, the last one, or None.

    >>> _value_of(["--seeds", "-s"], ["train", "recipe.yaml", "--seeds=3", "-s", "0"])
    '0'
    """
    found = None
    for text, after in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = text.partition("=")
        if name == "--":
            break
        if name.startswith("-") and name in names:
            found = value if equals else after
    return found


def refuse_empty(arguments: Sequence[str]) -> None:
    """Refuse empty arguments: an empty path would be the working directory.

    Raises:
        InputError: there is one.

    Examples:
        >>> refuse_empty(["report", "runs/s1", "--output", ""])
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: argument 4 (after `--output`) is empty; is a shell variable unset?
    """
    for number, (before, text) in enumerate(zip(["assay", *arguments], arguments, strict=False), start=1):
        if not text:
            raise InputError(f"argument {number} (after `{before}`) is empty; is a shell variable unset?")
        if re.fullmatch(r"--[\w-]+=", text):
            raise InputError(f"argument {number} (`{text}`) is empty; is a shell variable unset?")


def open_streams() -> None:
    """Make stdin, stdout and stderr usable: none is closed, and each accepts every character.

    A closed stream is replaced by the null device, since its number would be given to the next file that is opened, a
    database for example. Characters that a stream cannot encode are written as escapes.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout = _tolerant(sys.stdout)
    sys.stderr = _tolerant(sys.stderr)


def _tolerant(stream: TextIO | None) -> TextIO:
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
    return stream


def guarded(function: Callable[[], None], debug: bool) -> int:
    """Call a function; report an exception on stderr and return the exit code.

    Args:
        function: the command; it sets `study_folder` once it knows the folder.
        debug: whether exceptions pass, for their traceback.
    """
    study_folder.set(None)
    try:
        function()
    except BrokenPipeError:  # the reader closed the pipe
        discard_stdout()
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and not interrupts.requested() and end.code != signal.SIGTERM:
            raise  # of a user's own code; Ray's handler of SIGTERM ends the process with that number
        interrupts.ignore()
        say(_resumable("interrupted", study_folder.get()))
        return INTERRUPTED
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if debug:
            raise
        return _reported(error, study_folder.get())
    return 0


def _reported(error: Exception, folder: Path | None) -> int:
    """Print an exception and return the exit code."""
    if isinstance(error, StoppedError):
        say(_resumable(f"stopped: {error}", folder))
        return INTERRUPTED if isinstance(error, BudgetError) else FAILED
    if isinstance(error, AssayError):
        say(copyable(f"error: {error}"))
        return INVALID if isinstance(error, InputError) else FAILED
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in TRAINING_STACK:
        missing = str(error.name).partition(".")[0]
        say(f"error: `{missing}` is not installed, which this command needs; install Assay with the extra `train`")
        return INVALID
    if isinstance(error, OSError):
        short = isinstance(error.filename, str | Path) and error.filename2 is None
        what = f"{error.filename}: {error.strerror}" if short else str(error)
        say(_resumable(f"error: {what}", folder))
        return FAILED if error.errno in OWN_FAULTS else INVALID
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    say(_resumable(f"error: unexpected {what}. {_traceback_place(error, folder)}", folder))
    return FAILED


def _traceback_place(error: Exception, folder: Path | None) -> str:
    """Write the traceback to a log, in the study folder if possible, and return a sentence that names it."""
    text = "".join([f"{datetime.now().astimezone().isoformat()} {sys.argv}\n", *traceback.format_exception(error)])
    places = ([folder / LOGS] if folder and _holds_study(folder) else []) + [Path(tempfile.gettempdir())]
    for place in places:
        with suppress(OSError, ValueError):
            descriptor, path = tempfile.mkstemp(".log", "assay-error-", place)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as log:
                log.write(text)
            return f"The traceback is in {path}"
    return "`--debug` shows the traceback"


def _resumable(what: str, folder: Path | None) -> str:
    """Add to a message how to continue, if there is a study to continue."""
    if folder is None or not _holds_study(folder):
        return what
    return f"{what}; all progress is saved. Continue with: {resume_hint(folder)}"


def _holds_study(folder: Path) -> bool:
    try:
        return (folder / JOURNAL_FILE).exists()
    except OSError:
        return False


def say(text: str) -> None:
    """Print a line on stderr, if it can be written."""
    with suppress(OSError):
        typer.echo(readable(text), err=True)


def finish(code: int) -> int:
    """Write out stdout and return the exit code: `code`, or 1 if stdout cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
    except (OSError, ValueError) as error:
        discard_stdout()
        say(f"error: the output cannot be written: {error}")
        return code or FAILED
    return code


def discard_stdout() -> None:
    """Send the rest of stdout to the null device, so that the interpreter does not fail to write it at its end."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def wants_debug(arguments: Sequence[str]) -> bool:
    """Return whether a command line asks for tracebacks."""
    return "--debug" in arguments
