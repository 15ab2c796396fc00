"""Delivery process: `python -m search.tracking.daemon FOLDER`, started by `search.tracking.supervisor`.

Its standard input is a pipe from the driver. When the pipe is closed, because the driver has finished or died, the
process delivers the rest and ends within a bounded time.
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import io
import logging
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from search.store.delivery_state import DeliveryRecord, read_delivery, write_delivery
from search.store.tracking_uri import own_store, redact, store_uri, without_credentials
from search.tracking.backlog import Backlog
from search.tracking.client import ENVIRONMENT
from search.tracking.supervisor import BUSY
from search.tracking.synchronizer import Synchronizer
from trainables import records
from trainables.records import JournalReader
from trainables.records.atomic import remove_unfinished

GRACE = 60.0  # seconds to deliver the rest if the driver died
_NICENESS = 10
_PAUSE = 3.0  # seconds between rounds
_FIRST_WAIT = 1.0  # seconds until the second attempt while MLflow is unreachable
_LONGEST_WAIT = 30.0  # seconds between later attempts
_LONGEST_LAST_WAIT = 2.0  # the same while the driver waits for the end
_log = logging.getLogger(__name__)


class _DriverPipe:
    """The pipe from the driver: whether it is closed, and how much time is left after that."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the driver has finished or died."""
        return self._deadline is not None

    @property
    def time_left(self) -> bool:
        """Whether there is time left to deliver more."""
        return self._deadline is None or time.monotonic() < self._deadline

    def wait(self, seconds: float) -> None:
        """Wait, at most until the pipe is closed or the time is up."""
        if self._deadline is not None:
            time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic())))
        elif select.select([0], [], [], seconds)[0]:
            message = b"".join(iter(lambda: os.read(0, 1024), b"")).decode()
            grace = float(message) if re.fullmatch(r"\d+(\.\d+)?\s*", message) else GRACE
            self._deadline = time.monotonic() + grace


class _RedactedLog(io.TextIOBase):
    """Text stream that removes credentials."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text without its credentials."""
        return self._stream.write(redact(text))

    def flush(self) -> None:
        """Flush the underlying stream."""
        self._stream.flush()


@contextmanager
def _delivery_lock(folder: Path, pipe: _DriverPipe) -> Iterator[bool]:
    """Wait for the lock of a study's delivery; yield False if the time was up before it was free."""
    with (folder / records.DELIVERY_LOCK).open("w") as lock:
        while pipe.time_left:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                pipe.wait(0.5)
            else:
                yield True
                return
        yield False


def _deliver(folder: Path, uri: str, named_uri: str | None, pipe: _DriverPipe) -> None:
    """Deliver a study until MLflow has everything or the time is up.

    Args:
        folder: the study's folder.
        uri: the tracking store.
        named_uri: how `delivery.json` names it.
        pipe: the pipe from the driver.
    """
    with JournalReader.open(folder) as journal:
        backlog = Backlog(journal)
        backlog.refresh(time.monotonic())
        synchronizer = Synchronizer(folder, uri, backlog, lambda: pipe.time_left)
        save = functools.partial(_save, folder, named_uri, backlog, synchronizer)
        save()
        try:
            _synchronize(synchronizer, pipe, save)
        finally:
            save()


def _save(folder: Path, uri: str | None, backlog: Backlog, synchronizer: Synchronizer) -> None:
    """Write `delivery.json`; until the first connection it keeps what is known of the same store."""
    before = read_delivery(folder)
    known = before if before.uri == uri else DeliveryRecord()
    runs, epochs = backlog.size()
    record = DeliveryRecord(
        complete=synchronizer.complete,
        runs=runs,
        epochs=epochs,
        error=synchronizer.error,
        uri=uri,
        pid=os.getpid(),
        experiment=synchronizer.experiment() or known.experiment,
        run_ids=synchronizer.run_ids() or known.run_ids,
    )
    write_delivery(folder, record)


def _synchronize(synchronizer: Synchronizer, pipe: _DriverPipe, save: Callable[[], None]) -> None:
    """Deliver in rounds, and save the state after each; while MLflow is unreachable, wait longer and longer."""
    wait = _FIRST_WAIT
    while pipe.time_left:
        pipe.wait(0)
        begin = time.monotonic()
        reachable = synchronizer.round(last=pipe.closed)
        save()
        if synchronizer.finished:
            return
        if reachable:
            wait = _FIRST_WAIT
            pipe.wait(_pause(time.monotonic() - begin, pipe.closed))
        else:
            pipe.wait(wait)
            wait = min(1.5 * wait, _LONGEST_LAST_WAIT if pipe.closed else _LONGEST_WAIT)


def _pause(busy: float, last: bool) -> float:
    """Return how long to wait after a round that took `busy` seconds, so that training keeps the processor."""
    return 0.2 if last else min(max(_PAUSE, 2 * busy), _LONGEST_WAIT)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Deliver the study in the folder given on the command line to the store given by MLFLOW_TRACKING_URI.

    The store is not an option, because other users of the machine can read command lines and any credentials in them.
    """
    parser = argparse.ArgumentParser("python -m search.tracking.daemon", description="Deliver a study to MLflow.")
    parser.add_argument("folder", type=Path, help="the study's folder")
    folder = parser.parse_args().folder.absolute()
    signal.signal(signal.SIGTERM, _terminate)
    os.nice(_NICENESS)
    whole_uri = store_uri(folder)
    uri, credentials = without_credentials(whole_uri)
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.update({**ENVIRONMENT, **credentials, "MLFLOW_TRACKING_URI": uri})
    sys.stdout = sys.stderr = _RedactedLog(sys.stderr)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    pipe = _DriverPipe()
    with _delivery_lock(folder, pipe) as locked:
        if not locked:
            _log.warning("another process delivers this study")
            raise SystemExit(BUSY)
        for name in (records.DELIVERY_FILE, records.MLFLOW_FILE):  # of a process that was killed
            remove_unfinished(folder / name)
        _deliver(folder, uri, None if whole_uri == own_store(folder) else redact(whole_uri), pipe)
        _log.info("delivery ends")


if __name__ == "__main__":
    main()
