"""Supervisor of the delivery process: starts, restarts and ends the process that sends a study's journal to MLflow.

Training never waits for MLflow. The process reads the journal and repeats what MLflow has not acknowledged. It may be
killed at any time: its successor asks MLflow what is already there and sends the rest.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from search.store.delivery_state import DeliveryState, read_delivery
from search.store.tracking_uri import refuse_foreign_database, store_uri
from search.tracking.backlog import Backlog
from trainables import records
from trainables.backends.process import MODULE
from trainables.errors import InputError
from trainables.records import JournalReader
from trainables.records.atomic import PRIVATE
from trainables.records.links import refuse_links

_STARTS = 5  # quick deaths in a row after which the process is not restarted
_QUICK_DEATH = 60.0  # seconds
_SAVING = 1.0  # seconds of the driver's timeout in which the process writes its state
WAIT_SECONDS = 30.0
"""How long a command waits for the delivery, unless `--timeout` is given."""
BUSY = 3  # exit code: another process delivers this study


class Delivery:
    """Handle of one study's delivery process, used by the driver.

    Args:
        folder: the study's folder.
        uri: the tracking store.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self._folder = folder
        self._uri = uri
        self._starts = 0
        self._started = 0.0
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self.ensure()

    def ensure(self) -> None:
        """Restart the process if it has died. Cheap; meant to be called periodically."""
        died = self._process is None or self._process.poll() not in {None, 0, BUSY}
        if self._stopped or not died:
            return
        if time.monotonic() - self._started > _QUICK_DEATH:
            self._starts = 0
        if self._starts == _STARTS:
            return
        self._starts += 1
        self._started = time.monotonic()
        _close_pipe(self._process)
        logs = self._folder / records.LOGS
        # A study continues without the process; `finish` then reports what is missing.
        with suppress(OSError):
            logs.mkdir(0o700, exist_ok=True)
            (logs / records.DELIVERY_LOG).touch(PRIVATE)
            with (logs / records.DELIVERY_LOG).open("ab") as log:
                self._process = subprocess.Popen(
                    [*MODULE, "search.tracking.daemon", str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    env={**os.environ, "MLFLOW_TRACKING_URI": self._uri},
                    umask=0o077,  # its store and logs may contain what only the owner should read
                    start_new_session=True,  # Ctrl-C is for the driver
                )

    def finish(self, timeout: float) -> DeliveryState:
        """Wait until everything is delivered or the timeout expires, then end the process.

        Args:
            timeout: seconds.

        Returns:
            What is still undelivered; `sync` delivers it later.
        """
        deadline = time.monotonic() + timeout
        while True:
            self.ensure()
            rest = max(0.0, deadline - time.monotonic())
            if self._process is None:
                break
            _close_pipe(self._process, max(rest - _SAVING, 0.5 * rest))
            try:
                code = self._process.wait(rest)
            except subprocess.TimeoutExpired:
                self.stop()
                break
            if code in {0, BUSY} or rest == 0 or self._starts == _STARTS:
                break
        return self.state()

    def stop(self) -> None:
        """Terminate the process immediately."""
        self._stopped = True
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_SAVING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close_pipe(process)

    def state(self) -> DeliveryState:
        """Return what the process last reported as undelivered, or everything if it reported nothing."""
        written = read_delivery(self._folder)
        if self._process and written.pid == self._process.pid:
            return written.state
        with JournalReader.open(self._folder) as journal:
            backlog = Backlog(journal)
            backlog.refresh(time.monotonic())
        if self._process and self._process.returncode == BUSY:
            return DeliveryState(False, *backlog.size(), "another process is delivering this study")
        log = self._folder / records.LOGS / records.DELIVERY_LOG
        return DeliveryState(False, *backlog.size(), f"the delivery process could not start; see {log}")


def _close_pipe(process: subprocess.Popen[bytes] | None, timeout: float | None = None) -> None:
    """Tell the process that the study has ended, and how long the driver waits for it."""
    if process is None or process.stdin is None or process.stdin.closed:
        return
    with suppress(OSError):
        if timeout is not None:
            process.stdin.write(f"{timeout}\n".encode())
    with suppress(OSError):
        process.stdin.close()


def start_delivery(folder: Path, uri: str | None = None) -> Delivery:
    """Start the delivery of a study to MLflow.

    Args:
        folder: the study's folder; its journal exists.
        uri: the tracking store that the study names; by default as in `store_uri`.

    Raises:
        InputError: there is no journal, a link leads out of the folder, or the store is unsupported or a file of
            another program.
    """
    folder = folder.absolute()
    store = store_uri(folder, uri)
    if not (folder / records.JOURNAL_FILE).is_file():
        raise InputError(f"{folder} is not a study folder: it has no {records.JOURNAL_FILE}")
    refuse_links(folder)
    refuse_foreign_database(store, folder)
    return Delivery(folder, store)


def sync(folder: Path, uri: str | None = None, timeout: float = WAIT_SECONDS) -> DeliveryState:
    """Deliver everything that is undelivered, and wait for it.

    Args:
        folder: the study's folder.
        uri: as in `start_delivery`.
        timeout: seconds.

    Returns:
        What is still undelivered.

    Raises:
        InputError: as in `start_delivery`.
    """
    delivery = start_delivery(folder, uri)
    try:
        return delivery.finish(timeout)
    finally:
        delivery.stop()
