"""Interrupts: Ctrl-C and termination requests end a command with everything saved, and are never lost.

Python drops an exception that a signal handler raises inside a finalizer or a callback of a C library. The request is
therefore recorded as well, and raised again at the next call of `check`.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_requested = threading.Event()


def catch() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, immediately and at the next call of `check`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if a signal was received."""
    if _requested.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _requested.set()
    raise KeyboardInterrupt
