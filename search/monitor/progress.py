"""Progress display: counts per arm, best results so far and time left, on stderr, live or as plain lines."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search.monitor.counts import StudyProgress
from trainables import records
from trainables.records import duration
from trainables.records.characters import visible

PLAIN_SECONDS = 15.0
LIVE_SECONDS = 0.5
NOTEBOOK_SECONDS = 2.0
BUILDING_SECONDS = 60.0
"""Before this time, and without an ended run, the time left is not estimated: networks are still being built."""
SHORT_NAMES = {
    records.VALIDATION_ACCURACY: "val. acc.",
    records.VALIDATION_BALANCED_ACCURACY: "val. bal. acc.",
    records.VALIDATION_MACRO_F1: "val. macro F1",
    records.VALIDATION_LOSS: "val. loss",
    records.VALIDATION_CALIBRATION_ERROR: "val. cal. error",
}

CAPTION = (
    "The metric is the mean over the last epochs of a run (three, or a twentieth of the length), not its best epoch."
)


def count_table(count: StudyProgress, alive: bool = True) -> Table:
    """Return the counts as a table.

    Args:
        count: the progress of a study.
        alive: whether a process is working on the study.
    """
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("condition", "method"):
        shown.add_column(name, overflow="fold")
    phases = [phase for phase in records.PHASES if any(arm.expected[phase] for arm in count.arms)]
    for name in (
        *phases,
        "running" if alive else "interrupted",
        "stopped",
        "failed",
        f"best {_short_name(count.metric)}",
    ):
        shown.add_column(name, justify="right")
    for arm in count.arms:
        failed = arm.outcomes[records.FAILED] + arm.outcomes[records.DIVERGED]
        shown.add_row(
            Text(visible(arm.condition)),
            Text(visible(arm.method)),
            *(f"{arm.ended[phase]}/{arm.expected[phase]}" for phase in phases),
            str(arm.running or "."),
            str(arm.outcomes[records.STOPPED] or "."),
            Text(str(failed or "."), style="red" if failed else ""),
            _metric_text(count.metric, arm.best) if arm.best == arm.best else ".",
        )
    return shown


def best_table(count: StudyProgress) -> Table | None:
    """Return a table of the best configuration of each arm so far, or None if there is none."""
    if not any(arm.best_runs for arm in count.arms):
        return None
    shown = Table(box=None, pad_edge=False, header_style="dim", caption=CAPTION, caption_justify="left")
    for name in ("condition", "method"):
        shown.add_column(name, overflow="fold")
    for name in (_short_name(count.metric), "runs"):
        shown.add_column(name, justify="right")
    shown.add_column("best configuration so far", overflow="fold")
    for arm in count.arms:
        if arm.best_runs:
            values = ", ".join(f"{name} {_value(value)}" for name, value in arm.parameters.items())
            figure = _metric_text(count.metric, arm.best)
            names = (Text(visible(name)) for name in (arm.condition, arm.method))
            shown.add_row(*names, figure, str(arm.best_runs), Text(visible(values or ".")))
    return shown


def _short_name(metric: str) -> str:
    return SHORT_NAMES.get(metric, metric.replace("_", " "))


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _metric_text(metric: str, value: float) -> str:
    """Return a metric as text: a percentage, or a loss."""
    return f"{value:.3f}" if metric == records.VALIDATION_LOSS else f"{100 * value:.1f} %"


class Display:
    """Context manager that shows progress on stderr: live on a terminal or in a notebook, else a line every 15 s.

    Args:
        count: returns the current progress; called in the thread of the display.
        title: heading of the display.
        alive: returns whether a process is working on the study.
    """

    def __init__(
        self, count: Callable[[], StudyProgress], title: str, alive: Callable[[], bool] = lambda: True
    ) -> None:
        self._count = count
        self._title = title
        self._alive = alive
        self._console = Console(stderr=True)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True, name="progress")
        self._started = time.monotonic()
        self._idle: tuple[float, float] | None = None  # time and work done when progress was last seen to stand still

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _show(self) -> None:
        if self._console.is_jupyter:
            return self._show_in_notebook()
        if not self._console.is_terminal:
            while not self._over.wait(PLAIN_SECONDS):
                self.print_line()
            return None
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while not self._over.wait(LIVE_SECONDS):
                live.update(self.render())
        return None

    def _show_in_notebook(self) -> None:
        """Update one output of the cell; `rich.live.Live` would need ipywidgets."""
        display: Any = importlib.import_module("IPython.display").display
        output = display(self.render(), display_id=True)
        while not self._over.wait(NOTEBOOK_SECONDS):
            output.update(self.render())
        output.update(self.render())

    def render(self) -> Table:
        """Return the title, the progress bar and the counts."""
        count = self._count()
        grid = Table.grid()
        grid.add_row(Text(visible(f"{self._title}: {self._time_left(count)}"), style="bold"))
        grid.add_row(ProgressBar(total=max(count.total, 1), completed=count.done, width=40))
        grid.add_row(count_table(count, self._alive()))
        return grid

    def print_line(self) -> None:
        """Print one line of text."""
        count = self._count()
        ended = {phase: sum(arm.ended[phase] for arm in count.arms) for phase in records.PHASES}
        expected = {phase: sum(arm.expected[phase] for arm in count.arms) for phase in records.PHASES}
        parts = [f"{phase} {ended[phase]}/{expected[phase]}" for phase in records.PHASES if expected[phase]]
        bad = sum(arm.outcomes[records.FAILED] + arm.outcomes[records.DIVERGED] for arm in count.arms)
        stopped = sum(arm.outcomes[records.STOPPED] for arm in count.arms)
        parts += [f"{stopped} stopped"] if stopped else []
        parts += [f"{bad} failed"] if bad else []
        print(f"{self._title}: {', '.join(parts)}; {self._time_left(count)}", file=sys.stderr, flush=True)

    def _time_left(self, count: StudyProgress) -> str:
        """Return the share of work done, the time passed and the time left, estimated from the first progress on."""
        now = time.monotonic()
        percent = 100 if count.finished else min(99, int(100 * count.done / max(count.total, 1e-9)))
        share = f"{percent} % after {duration(now - self._started)}"
        if count.finished or count.done >= count.total:
            return f"{share}, finishing"
        if self._idle is None or count.done <= self._idle[1]:
            self._idle = now, count.done
            return f"{share}, starting"
        elapsed, gained = now - self._idle[0], count.done - self._idle[1]
        if elapsed < BUILDING_SECONDS and not any(sum(arm.ended.values()) for arm in count.arms):
            return f"{share}, first runs"
        return f"{share}, about {duration(max(1.0, (count.total - count.done) * elapsed / gained))} left"
