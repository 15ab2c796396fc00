"""Interrupts: Ctrl-C and termination requests end a command with everything saved, and are never lost.

Python drops an exception that a signal handler raises inside a finalizer or a callback of a C library. The request is
therefore recorded as well, and raised again at the next call of `check`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_requested = threading.Event()


def catch() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, immediately and at the next call of `check`.

    A signal that is ignored stays ignored: `nohup` ignores SIGHUP, and a shell ignores SIGINT for background jobs.
    """
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def requested() -> bool:
    """Return whether a signal was received."""
    return _requested.is_set()


def check() -> None:
    """Raise KeyboardInterrupt if a signal was received."""
    if requested():
        raise KeyboardInterrupt


def ignore() -> None:
    """Ignore the signals that `catch` has caught, since the process is about to end."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is _interrupt:
                signal.signal(number, signal.SIG_IGN)


@contextmanager
def preserved_handlers() -> Iterator[None]:
    """Restore the signal handlers after the block, whose code may install its own.

    Raises:
        KeyboardInterrupt: a handler of the block's code ended the process by SystemExit, as Ray's does at SIGTERM.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    except SystemExit as end:
        _requested.set()
        raise KeyboardInterrupt from end
    finally:
        for number, handler in before.items():
            if handler is not None:  # installed by C code
                signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _requested.set()
    raise KeyboardInterrupt
