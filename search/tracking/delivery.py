"""Delivery of a study's journal to MLflow, in a process of its own: training never waits for it.

The process reads the journal, and repeats what MLflow does not acknowledge until it does. It may be killed at
any time: the next one asks MLflow what is there and sends the rest. Its standard input is the line to the
driver. When that is closed, because the driver has finished or is gone, the process delivers what there is
and ends within a bounded time.
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
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NoReturn

from search.files import write_whole
from search.tracking.courier import Courier
from search.tracking.mapping import redact, store_uri, without_credentials
from search.tracking.outbox import Outbox, Source
from search.tracking.store import ENVIRONMENT
from trainables import records
from trainables.errors import InputError

GRACE = 60.0  # seconds to deliver the rest if the driver is gone without a word
_NICENESS = 10
_PAUSE = 3.0  # seconds between two rounds
_LONGEST_WAIT = 30.0  # seconds between two attempts while MLflow is away
_LONGEST_LAST_WAIT = 2.0  # the same when somebody waits for the end
_STARTS = 5  # that end in a quick death, before the driver gives the delivery up
_QUICK_DEATH = 60.0  # seconds
_BUSY = 3  # exit code: another process delivers this study
_log = logging.getLogger(__name__)


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
        died = self._process is None or self._process.poll() not in {None, 0, _BUSY}
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
                    [sys.executable, "-P", "-m", "search.tracking.delivery", str(self._folder)],
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
            if code in {0, _BUSY} or rest == 0 or self._starts == _STARTS:
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
        said = _read_state(self._folder)
        if said and self._process and said.pop("pid", None) == self._process.pid:
            return DeliveryState(**said)
        with closing(Source.read(self._folder)) as source:
            outbox = Outbox(source)
            outbox.refresh(time.monotonic())
        if self._process and self._process.returncode == _BUSY:
            return DeliveryState(False, *outbox.backlog(), "another process is delivering this study")
        log = self._folder / records.LOGS / records.DELIVERY_LOG
        return DeliveryState(False, *outbox.backlog(), f"the delivery did not get to work; see {log}")


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
    with closing(Source.read(folder)) as source:
        outbox = Outbox(source)
        outbox.refresh(time.monotonic())
        tell(DeliveryState(False, *outbox.backlog()))
        courier = Courier(folder, uri, outbox, lambda: line.time_left)
        wait = 1.0
        try:
            while line.time_left:
                line.wait(0)
                begin = time.monotonic()
                answers = courier.round(last=line.closed)
                tell(DeliveryState(courier.complete, *outbox.backlog(), courier.error))
                if courier.finished:
                    break
                if answers:
                    wait = 1.0
                    line.wait(_pause(time.monotonic() - begin, line.closed))
                else:
                    line.wait(wait)
                    wait = min(1.5 * wait, _LONGEST_LAST_WAIT if line.closed else _LONGEST_WAIT)
        finally:
            tell(DeliveryState(courier.complete, *outbox.backlog(), courier.error))


def _pause(busy: float, last: bool) -> float:
    """Return how long to wait after a round that took `busy` seconds, so that training has the machine."""
    return 0.2 if last else min(max(_PAUSE, 2 * busy), _LONGEST_WAIT)


def _read_state(folder: Path) -> dict:
    try:
        return json.loads((folder / records.DELIVERY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _terminate(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def main() -> None:
    """Deliver the study in the folder that the command line names; MLFLOW_TRACKING_URI names the store.

    The store is no option: every user of the machine can see a command line and the credentials in it.
    """
    parser = argparse.ArgumentParser("python -m search.tracking.delivery", description="Deliver a study to MLflow.")
    parser.add_argument("folder", type=Path, help="the study's folder")
    folder = parser.parse_args().folder.absolute()
    signal.signal(signal.SIGTERM, _terminate)
    os.nice(_NICENESS)
    uri, credentials = without_credentials(store_uri(folder))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.update({**ENVIRONMENT, **credentials, "MLFLOW_TRACKING_URI": uri})
    sys.stdout = sys.stderr = _RedactedLog(sys.stderr)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)

    def tell(state: DeliveryState) -> None:
        write_whole(folder / records.DELIVERY_FILE, json.dumps({**asdict(state), "pid": os.getpid()}))

    line = _Line()
    with _only_one(folder, line) as mine:
        if mine:
            _deliver(folder, uri, line, tell)
            _log.info("the delivery ends")
        else:
            _log.warning("another delivery of this study is at work")
            raise SystemExit(_BUSY)


if __name__ == "__main__":
    main()
