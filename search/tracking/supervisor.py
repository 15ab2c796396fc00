"""Delivery of a study's journal to MLflow, in a process of its own: training never waits for it.

The process reads the journal, and repeats what MLflow does not acknowledge until it does. It may be killed at
any time: the next one asks MLflow what is there and sends the rest. This is its driver's side.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from search.tracking.backlog import Backlog
from search.tracking.uri import read_state, store_uri
from trainables import records
from trainables.errors import InputError
from trainables.records import JournalReader

_STARTS = 5  # that end in a quick death, before the driver gives the delivery up
_QUICK_DEATH = 60.0  # seconds
BUSY = 3  # exit code: another process delivers this study


@dataclass(frozen=True)
class DeliveryState:
    """What MLflow does not have yet.

    Args:
        complete: whether MLflow has all that the journal holds, the report included.
        runs: of how many runs something is undelivered.
        points: how many epochs are undelivered.
        error: what stands in the way, or empty.
    """

    complete: bool
    runs: int
    points: int
    error: str = ""

    def __str__(self) -> str:
        if self.complete:
            return "MLflow has everything"
        lacks = f"{self.points} epochs of {self.runs} runs" if self.runs else "the end or the files of the study"
        return f"MLflow lacks {lacks}" + (f": {self.error}" if self.error else "")


class Delivery:
    """The delivery process of one study, as its driver sees it.

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
        """Start the process again if it has died. Cheap: to be called now and then."""
        died = self._process is None or self._process.poll() not in {None, 0, BUSY}
        if self._stopped or not died:
            return
        if time.monotonic() - self._started > _QUICK_DEATH:
            self._starts = 0
        if self._starts == _STARTS:
            return
        self._starts += 1
        self._started = time.monotonic()
        _close_line(self._process)
        logs = self._folder / records.LOGS
        # Without the process the study goes on, and `finish` tells what is missing.
        with suppress(OSError):
            logs.mkdir(exist_ok=True)
            with (logs / records.DELIVERY_LOG).open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "search.tracking.daemon", str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    env={**os.environ, "MLFLOW_TRACKING_URI": self._uri},
                    start_new_session=True,  # Ctrl-C is for the driver
                )

    def finish(self, timeout: float) -> DeliveryState:
        """Wait until all is delivered or the time is over, and end the process.

        Args:
            timeout: seconds.

        Returns:
            What is undelivered then; `sync` delivers it later.
        """
        deadline = time.monotonic() + timeout
        while True:
            self.ensure()
            rest = max(0.0, deadline - time.monotonic())
            if self._process is None:
                break
            _close_line(self._process, rest)
            try:
                code = self._process.wait(rest + 2)
            except subprocess.TimeoutExpired:
                self.stop()
                break
            if code in {0, BUSY} or rest == 0 or self._starts == _STARTS:
                break
        return self.state()

    def stop(self) -> None:
        """End the process at once; what is undelivered stays so."""
        self._stopped = True
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _close_line(process)

    def state(self) -> DeliveryState:
        """Return what the process last said is undelivered; everything, if it said nothing."""
        said = read_state(self._folder)
        if self._process and said.get("pid") == self._process.pid:
            return DeliveryState(**{field.name: said[field.name] for field in fields(DeliveryState)})
        with JournalReader.open(self._folder) as journal:
            backlog = Backlog(journal)
            backlog.refresh(time.monotonic())
        if self._process and self._process.returncode == BUSY:
            return DeliveryState(False, *backlog.size(), "another process is delivering this study")
        log = self._folder / records.LOGS / records.DELIVERY_LOG
        return DeliveryState(False, *backlog.size(), f"the delivery did not get to work; see {log}")


def _close_line(process: subprocess.Popen[bytes] | None, timeout: float | None = None) -> None:
    """Tell a process that nothing more will come, and how long somebody waits for it."""
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
        uri: the tracking store that the study names; otherwise as `store_uri` says.

    Raises:
        InputError: there is no journal, or the store is one that MLflow no longer opens.
    """
    folder = folder.absolute()
    store = store_uri(folder, uri)
    if not (folder / records.JOURNAL_FILE).is_file():
        raise InputError(f"{folder} holds no study: {records.JOURNAL_FILE} is missing.")
    return Delivery(folder, store)


def sync(folder: Path, uri: str | None = None, timeout: float = 600.0) -> DeliveryState:
    """Deliver what is undelivered, and wait for it.

    Args:
        folder: the study's folder.
        uri: as in `start_delivery`.
        timeout: seconds.

    Returns:
        What is undelivered after all.

    Raises:
        InputError: as in `start_delivery`.
    """
    delivery = start_delivery(folder, uri)
    try:
        return delivery.finish(timeout)
    finally:
        delivery.stop()
