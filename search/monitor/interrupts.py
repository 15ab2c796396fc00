"""Ctrl-C, and a request to terminate: both end a command with everything saved, and neither can get lost.

An exception out of a signal handler is dropped where Python cannot pass it on, in a finaliser or a callback of a C
library. So the request is also remembered, and raised again at the next place that asks.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_asked = threading.Event()


def catch() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, now and at the next `check`."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def check() -> None:
    """Raise KeyboardInterrupt if one was asked for."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt
