"""Deadline: bounds the time without an answer from MLflow, however its server fails."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from trainables.errors import AssayError

_REPETITION = 1.0  # seconds after which the block is interrupted again, if it has gone on


class SilentServerError(AssayError):
    """A tracking server has not answered in time."""


class Deadline:
    """Time limit of the code in a `limited` block, extended by every answer.

    Args:
        seconds: longest time without an answer.
        server: the server without credentials, for the message.
    """

    def __init__(self, seconds: float, server: str) -> None:
        self._seconds = seconds
        self._server = server
        self._armed = self._expired = False

    def extend(self) -> None:
        """Restart the time, because the server has answered."""
        if self._armed:
            signal.setitimer(signal.ITIMER_REAL, self._seconds, _REPETITION)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """Interrupt the block when the time is up. Only in the main thread; elsewhere MLflow's own limits apply.

        Raises:
            SilentServerError: the time was up.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, self._expire)
        self._armed = True
        try:
            self.extend()
            yield
        except Exception:
            if self._expired:  # MLflow wraps every error of a request
                raise self._error() from None
            raise
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def _expire(self, number: int, frame: FrameType | None) -> None:
        self._expired = True
        raise self._error()

    def _error(self) -> SilentServerError:
        return SilentServerError(
            f"MLflow at {self._server} has not answered for {self._seconds:g} seconds; "
            "`--timeout` changes how long to wait"
        )
