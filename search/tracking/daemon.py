"""The process that delivers: `python -m search.tracking.process FOLDER`, started by `search.tracking.supervisor`.

Its standard input is the line to the driver. When that is closed, because the driver has finished or is gone, the
process delivers what there is and ends within a bounded time.
"""

from __future__ import annotations

import argparse
import fcntl
import io
import json
import logging
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, NoReturn

from search.tracking.backlog import Backlog
from search.tracking.client import ENVIRONMENT
from search.tracking.supervisor import BUSY, DeliveryState
from search.tracking.synchronizer import Synchronizer
from search.tracking.uri import own_store, redact, store_uri, without_credentials
from trainables import records
from trainables.records import JournalReader
from trainables.records.atomic import write_atomically

GRACE = 60.0  # seconds to deliver the rest if the driver is gone without a word
_NICENESS = 10
_PAUSE = 3.0  # seconds between two rounds
_LONGEST_WAIT = 30.0  # seconds between two attempts while MLflow is away
_LONGEST_LAST_WAIT = 2.0  # the same when somebody waits for the end
_log = logging.getLogger(__name__)


class _Line:
    """The line to the driver, seen from the process: whether it is closed, and how much time is left then."""

    def __init__(self) -> None:
        self._deadline: float | None = None

    @property
    def closed(self) -> bool:
        """Whether the driver has finished or is gone."""
        return self._deadline is not None

    @property
    def time_left(self) -> bool:
        """Whether there is time for more."""
        return self._deadline is None or time.monotonic() < self._deadline

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than until the line is closed or the time is over."""
        if self._deadline is not None:
            time.sleep(max(0.0, min(seconds, self._deadline - time.monotonic())))
        elif select.select([0], [], [], seconds)[0]:
            said = b"".join(iter(lambda: os.read(0, 1024), b"")).decode()
            grace = float(said) if re.fullmatch(r"\d+(\.\d+)?\s*", said) else GRACE
            self._deadline = time.monotonic() + grace


class _RedactedLog(io.TextIOBase):
    """A text stream into which no credentials get."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__()
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text."""
        return self._stream.write(redact(text))

    def flush(self) -> None:
        """Flush it."""
        self._stream.flush()


@contextmanager
def _only_one(folder: Path, line: _Line) -> Iterator[bool]:
    """Wait for the lock of a study's delivery; yields False if there was no time to get it."""
    with (folder / records.DELIVERY_LOCK).open("w") as lock:
        while line.time_left:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                line.wait(0.5)
            else:
                yield True
                return
        yield False


def _deliver(folder: Path, uri: str, line: _Line, tell: Callable[[DeliveryState], None]) -> None:
    with JournalReader.open(folder) as journal:
        backlog = Backlog(journal)
        backlog.refresh(time.monotonic())
        tell(DeliveryState(False, *backlog.size()))
        synchronizer = Synchronizer(folder, uri, backlog, lambda: line.time_left)
        wait = 1.0
        try:
            while line.time_left:
                line.wait(0)
                begin = time.monotonic()
                answers = synchronizer.round(last=line.closed)
                tell(DeliveryState(synchronizer.complete, *backlog.size(), synchronizer.error))
                if synchronizer.finished:
                    break
                if answers:
                    wait = 1.0
                    line.wait(_pause(time.monotonic() - begin, line.closed))
                else:
                    line.wait(wait)
                    wait = min(1.5 * wait, _LONGEST_LAST_WAIT if line.closed else _LONGEST_WAIT)
        finally:
            tell(DeliveryState(synchronizer.complete, *backlog.size(), synchronizer.error))


def _pause(busy: float, last: bool) -> float:
    """Return how long to wait after a round that took `busy` seconds, so that training has the machine."""
    return 0.2 if last else min(max(_PAUSE, 2 * busy), _LONGEST_WAIT)


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Deliver the study in the folder that the command line names; MLFLOW_TRACKING_URI names the store.

    The store is no option: every user of the machine can see a command line and the credentials in it.
    """
    parser = argparse.ArgumentParser("python -m search.tracking.process", description="Deliver a study to MLflow.")
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

    def tell(state: DeliveryState) -> None:
        where = {} if whole_uri == own_store(folder) else {"uri": redact(whole_uri)}
        write_atomically(folder / records.DELIVERY_FILE, json.dumps({**asdict(state), **where, "pid": os.getpid()}))

    line = _Line()
    with _only_one(folder, line) as mine:
        if mine:
            _deliver(folder, uri, line, tell)
            _log.info("the delivery ends")
        else:
            _log.warning("another delivery of this study is at work")
            raise SystemExit(BUSY)


if __name__ == "__main__":
    main()
