"""Local Ray processes: notices the death of the raylet or the GCS that this process has started.

Without them Ray reports runs as failed, waits, or ends the driver from its C++ core without a message.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.monitor.interrupts import SIGNALS, requested
from trainables.errors import StoppedError

ESSENTIAL = {"raylet", "gcs_server"}
POLL_SECONDS = 0.5
EXIT_SECONDS = 20.0
"""How long the driver may take to end on its own after a death; Ray's core ends it after a minute."""
DEAD_STATES = {"Z", "X"}


def _status(process: Path) -> tuple[str, str, int]:
    """Return (name, state, parent) of a process, given its folder in /proc.

    Raises:
        OSError: there is no such process.
    """
    head, _, rest = (process / "stat").read_text().rpartition(")")
    state, parent, *_ = rest.split()
    return head.partition("(")[2], state, int(parent)


class LocalProcesses:
    """The raylet and the GCS that this process has started, as far as /proc shows them."""

    def __init__(self) -> None:
        self._names: dict[Path, str] = {}
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                name, _, parent = _status(process)
                if parent == os.getpid() and name in ESSENTIAL:
                    self._names[process] = name

    def check(self) -> None:
        """Check that the processes are alive.

        Raises:
            StoppedError: one has died.
        """
        for process, name in self._names.items():
            try:
                dead = _status(process)[1] in DEAD_STATES
            except OSError:
                dead = True
            if dead:
                raise StoppedError(
                    f"Ray's process `{name}` ({process.name}) has died; perhaps it ran out of memory or was killed"
                )

    @contextmanager
    def watched(self, last_words: Callable[[str], None]) -> Iterator[None]:
        """Interrupt the block if a process dies.

        Args:
            last_words: prints the error if the block does not end within `EXIT_SECONDS`; this process then exits
                with 1.

        Raises:
            StoppedError: a process has died; whatever the block raised because of that is its context.
        """
        over, noticed = threading.Event(), threading.Event()
        try:
            if self._names and threading.current_thread() is threading.main_thread():
                threading.Thread(target=self._watch, args=(over, noticed, last_words), daemon=True).start()
            yield
        except KeyboardInterrupt:
            if noticed.is_set():
                self.check()
            raise
        except BaseException:
            self.check()
            raise
        finally:
            over.set()

    def _watch(self, over: threading.Event, noticed: threading.Event, last_words: Callable[[str], None]) -> None:
        """Interrupt the main thread after a death, unless a signal has done so, which may have caused the death."""
        while not over.wait(POLL_SECONDS):
            try:
                self.check()
            except StoppedError as error:
                if not requested():
                    noticed.set()
                    _interrupt_main()
                if not over.wait(EXIT_SECONDS):
                    last_words(str(error))
                    os._exit(1)
                return


def _interrupt_main() -> None:
    """Send the main thread a signal that is handled; in a background job SIGINT is ignored."""
    handled = [number for number in SIGNALS if callable(signal.getsignal(number))]
    if handled:
        signal.pthread_kill(threading.main_thread().ident or 0, handled[0])
