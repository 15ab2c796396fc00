"""Moments at which a driver is killed: it sends SIGKILL to its own process group, exactly there.

The variable FAULTY_DRIVER names the moment: `before` or `after`, an event, which of these events it is (counted from 1,
from the start of this driver), and optionally how many seconds later.

    run:search, run:confirm            a run is announced
    report                             epochs are written
    outcome:search, outcome:confirm    the end of a run is written
    rung, pool, look, end              a decision is written
    write                              any of these
    file:NAME                          a file is moved to its place
    delivery                           the driver waits for the delivery to MLflow

`python -m tests.support.faulty_cli` is `assay` with such a driver.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any
from unittest.mock import patch

from search.store.journal import Journal
from search.tracking.supervisor import Delivery
from trainables.records import Decision, Run, atomic

VARIABLE = "FAULTY_DRIVER"


@dataclass
class Moment:
    """A moment that is waited for.

    Args:
        when: `before` or `after` the event.
        event: name of the event.
        left: how many of these events are still to come.
        delay: seconds from the event to the death.
    """

    when: str
    event: str
    left: int
    delay: float

    def passed(self, when: str, *events: str) -> None:
        """Take note that something happens under one or more names; die if it is the moment."""
        if when != self.when or self.event not in events:
            return
        self.left -= 1
        if self.left == 0:
            threading.Timer(self.delay, die).start() if self.delay else die()


def die() -> None:
    """Kill this process and all others of its group."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def parse(text: str) -> Moment:
    """Return the moment that a text names.

    >>> parse("before pool 1")
    Moment(when='before', event='pool', left=1, delay=0.0)
    """
    when, event, left, delay = (*text.split(), "0")[:4]
    return Moment(when, event, int(left), float(delay))


@contextmanager
def awaited_death() -> Iterator[None]:
    """Let this process die at the moment that the variable names, if it does."""
    if VARIABLE not in os.environ:
        yield
        return
    moment = parse(os.environ[VARIABLE])
    with ExitStack() as patches:
        for owner, name, naming in EVENTS:
            function = _watched(getattr(owner, name), moment, naming)
            patches.enter_context(patch.object(owner, name, function))
        patches.enter_context(patch.object(atomic, "atomic_file", _watched_file(moment)))
        yield


def _watched(
    function: Callable[..., Any], moment: Moment, naming: Callable[..., tuple[str, ...]]
) -> Callable[..., Any]:
    """Return a function that tells the moment before and after each call."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        names = naming(*arguments, **named)
        moment.passed("before", *names)
        result = function(*arguments, **named)
        moment.passed("after", *names)
        return result

    return call


def _watched_file(moment: Moment) -> Callable[..., Any]:
    """Return `atomic_file` that tells the moment before and after a complete file is moved to its place."""
    whole = atomic.atomic_file

    @contextmanager
    def watched(path: Path, private: bool = False) -> Iterator[Path]:
        with whole(path, private) as unfinished:
            yield unfinished
            moment.passed("before", f"file:{path.name}")
        moment.passed("after", f"file:{path.name}")

    return watched


def _announced(_: Journal, runs: list[Run]) -> tuple[str, ...]:
    return *(f"run:{run.phase}" for run in runs), "write"


def _reported(*_: Any) -> tuple[str, ...]:
    return "report", "write"


def _ended(_: Journal, run: str, *__: Any) -> tuple[str, ...]:
    return f"outcome:{run.partition('_')[0]}", "write"


def _decided(_: Journal, decision: Decision, *__: Any) -> tuple[str, ...]:
    return decision.kind, "write"


def _delivered(*_: Any) -> tuple[str, ...]:
    return ("delivery",)


EVENTS: tuple[tuple[type, str, Callable[..., tuple[str, ...]]], ...] = (
    (Journal, "add_runs", _announced),
    (Journal, "report", _reported),
    (Journal, "end", _ended),
    (Journal, "decide", _decided),
    (Delivery, "finish", _delivered),
)
"""What is watched: the method, and a function that returns the names of the event."""
