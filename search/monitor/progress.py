"""How far a study is: counts per arm, the best so far, and when it will end. On stderr, live or as plain lines."""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainables import records

if TYPE_CHECKING:
    from search.store.journal import Outcome, Run

PLAIN_SECONDS = 15.0
LIVE_SECONDS = 0.5
NOTEBOOK_SECONDS = 2.0
BUILDING_SECONDS = 60.0
"""In which epochs say little about the time that is left, unless a run has ended: networks are built."""
SHORT = {
    records.VALIDATION_ACCURACY: "val. acc.",
    records.VALIDATION_BALANCED_ACCURACY: "val. bal. acc.",
    records.VALIDATION_MACRO_F1: "val. macro F1",
    records.VALIDATION_LOSS: "val. loss",
    records.VALIDATION_CALIBRATION_ERROR: "val. cal. error",
}

JUDGED = (
    "Runs are judged on the mean over their last epochs (three, or a twentieth of the length), not on their best one."
)


@dataclass
class ArmCount:
    """How many runs of an arm are where, and its best configuration so far.

    `best` is what that configuration is judged on, the mean of its `best_runs` runs (NaN before any), `parameters`
    the values that were searched.
    """

    condition: str
    method: str
    expected: dict[str, int]
    ended: dict[str, int] = field(default_factory=lambda: dict.fromkeys(records.PHASES, 0))
    running: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(records.OUTCOMES, 0))
    best: float = float("nan")
    best_runs: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Tally:
    """A study's progress.

    Args:
        arms: counts by arm.
        done, total: work in plain epochs; what an early stop saves counts as done.
        metric: what runs are judged on.
    """

    arms: list[ArmCount]
    done: float
    total: float
    metric: str = records.VALIDATION_ACCURACY


@dataclass(frozen=True)
class Seen:
    """What is known of one run: epochs finished, and how it ended, or None."""

    run: Run
    epoch: int
    outcome: Outcome | None


def tally(plan: dict[str, Any], runs: Iterable[Seen], confirmed: Mapping[str, tuple[int, int]] | None = None) -> Tally:
    """Count.

    Args:
        plan: as in `records.PLAN`.
        runs: the runs announced so far.
        confirmed: how many points are confirmed with how many seeds, by condition, where that is decided.
    """
    epochs = {condition["name"]: condition["epochs"] for condition in plan["conditions"]}
    length = {arm["name"]: arm.get("epochs", epochs[arm["condition"]]) for arm in plan["arms"]}
    cost = {arm["name"]: arm["cost"] for arm in plan["arms"]}
    arms = {
        arm["name"]: ArmCount(arm["condition"], arm["method"], _expected(plan, arm, confirmed or {}))
        for arm in plan["arms"]
    }
    done = 0.0
    judged: dict[str, dict[tuple[str, ...], list[Seen]]] = {name: {} for name in arms}
    for seen in runs:
        run, outcome, arm = seen.run, seen.outcome, arms[seen.run.arm]
        done += cost[run.arm] * (length[run.arm] if outcome else seen.epoch)
        if outcome is None:
            arm.running += 1
            continue
        arm.ended[run.phase] += 1
        arm.outcomes[outcome.outcome] += 1
        if records.SELECTION in outcome.metrics:
            judged[run.arm].setdefault((run.phase, *map(str, run.searched.values())), []).append(seen)
    total = sum(cost[name] * length[name] * sum(arm.expected.values()) for name, arm in arms.items())
    for name, arm in arms.items():
        _find_best(arm, list(judged[name].values()), plan["metric"])
    return Tally(list(arms.values()), done, total, plan["metric"])


def _find_best(arm: ArmCount, configurations: list[list[Seen]], metric: str) -> None:
    """Find the best of an arm's configurations, each given as its runs: of the latest phase, of those with most runs.

    A few lucky seeds of one configuration are not held against many of another.
    """
    if not configurations:
        return
    last = max(records.PHASES.index(runs[0].run.phase) for runs in configurations)
    latest = [runs for runs in configurations if runs[0].run.phase == records.PHASES[last]]
    most = max(len(runs) for runs in latest)
    best = max((runs for runs in latest if len(runs) == most), key=lambda runs: records.oriented(metric, _mean(runs)))
    arm.best, arm.best_runs, arm.parameters = _mean(best), most, best[0].run.searched


def _mean(runs: list[Seen]) -> float:
    return fmean(seen.outcome.metrics[records.SELECTION] for seen in runs if seen.outcome)


def _expected(plan: dict[str, Any], arm: dict[str, Any], confirmed: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    searches = plan.get("replicates", 1)
    points, seeds = confirmed.get(arm["condition"], (plan["points"] * searches, plan["seeds"]))
    return {
        records.SEARCH: 0 if arm.get("compute_of") else plan["trials_per_arm"] * searches,
        records.CONFIRM: points * seeds,
        records.TRAIN: plan.get("final_seeds", 0),
    }


def table(count: Tally, alive: bool = True) -> Table:
    """Return the counts as a table; `alive` says whether a process works on the study, so that a run can be running."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("condition", "method"):
        shown.add_column(name, overflow="fold")
    phases = [phase for phase in records.PHASES if any(arm.expected[phase] for arm in count.arms)]
    for name in (*phases, "running" if alive else "interrupted", "stopped", "failed", f"best {SHORT[count.metric]}"):
        shown.add_column(name, justify="right")
    for arm in count.arms:
        failed = arm.outcomes[records.FAILED] + arm.outcomes[records.DIVERGED]
        shown.add_row(
            Text(arm.condition),
            Text(arm.method),
            *(f"{arm.ended[phase]}/{arm.expected[phase]}" for phase in phases),
            str(arm.running or "."),
            str(arm.outcomes[records.STOPPED] or "."),
            Text(str(failed or "."), style="red" if failed else ""),
            _figure(count.metric, arm.best) if arm.best == arm.best else ".",
        )
    return shown


def best_table(count: Tally) -> Table | None:
    """Return the best configuration of each arm so far as a table, or None where there is none."""
    if not any(arm.best_runs for arm in count.arms):
        return None
    shown = Table(box=None, pad_edge=False, header_style="dim", caption=JUDGED, caption_justify="left")
    for name in ("condition", "method"):
        shown.add_column(name, overflow="fold")
    for name in (SHORT[count.metric], "runs"):
        shown.add_column(name, justify="right")
    shown.add_column("best configuration so far", overflow="fold")
    for arm in count.arms:
        if arm.best_runs:
            values = ", ".join(f"{name} {_value(value)}" for name, value in arm.parameters.items())
            figure = _figure(count.metric, arm.best)
            shown.add_row(Text(arm.condition), Text(arm.method), figure, str(arm.best_runs), Text(values or "."))
    return shown


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figure(metric: str, value: float) -> str:
    """Return a judged figure as people read it."""
    return f"{value:.3f}" if metric == records.VALIDATION_LOSS else f"{100 * value:.1f} %"


def duration(seconds: float) -> str:
    """Return a time in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class Display:
    """Shows progress on stderr while a block runs: live on a terminal or in a notebook, else a line now and then.

    Args:
        count: returns the present tally; called from a thread of the display's own.
        title: what runs.
        alive: returns whether a process works on it.
    """

    def __init__(self, count: Callable[[], Tally], title: str, alive: Callable[[], bool] = lambda: True) -> None:
        self._count = count
        self._title = title
        self._alive = alive
        self._console = Console(stderr=True)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True, name="progress")
        self._started = time.monotonic()
        self._idle: tuple[float, float] | None = None  # when nothing had been gained yet, and what was done then

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
                self.line()
            return None
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while not self._over.wait(LIVE_SECONDS):
                live.update(self.picture())
        return None

    def _show_in_notebook(self) -> None:
        """Draw into one output of the cell, again and again: rich's own `Live` wants ipywidgets for that."""
        display: Any = importlib.import_module("IPython.display").display
        drawn = display(self.picture(), display_id=True)
        while not self._over.wait(NOTEBOOK_SECONDS):
            drawn.update(self.picture())
        drawn.update(self.picture())

    def picture(self) -> Table:
        """Return the title, the bar and the counts as they are now."""
        count = self._count()
        drawn = Table.grid()
        drawn.add_row(Text(f"{self._title}: {self._when(count)}", style="bold"))
        drawn.add_row(ProgressBar(total=max(count.total, 1), completed=count.done, width=40))
        drawn.add_row(table(count, self._alive()))
        return drawn

    def line(self) -> None:
        """Print one plain line."""
        count = self._count()
        ended = {phase: sum(arm.ended[phase] for arm in count.arms) for phase in records.PHASES}
        expected = {phase: sum(arm.expected[phase] for arm in count.arms) for phase in records.PHASES}
        parts = [f"{phase} {ended[phase]}/{expected[phase]}" for phase in records.PHASES if expected[phase]]
        bad = sum(arm.outcomes[records.FAILED] + arm.outcomes[records.DIVERGED] for arm in count.arms)
        stopped = sum(arm.outcomes[records.STOPPED] for arm in count.arms)
        parts += [f"{stopped} stopped"] if stopped else []
        parts += [f"{bad} failed"] if bad else []
        print(f"{self._title}: {', '.join(parts)}; {self._when(count)}", file=sys.stderr, flush=True)

    def _when(self, count: Tally) -> str:
        """Return the share that is done and the time that is left, judged from when work was first seen done."""
        now = time.monotonic()
        share = f"{100 * count.done / max(count.total, 1e-9):.0f} % after {duration(now - self._started)}"
        if count.done >= count.total:
            return f"{share}, finishing"
        if self._idle is None or count.done <= self._idle[1]:
            self._idle = now, count.done
            return f"{share}, starting"
        elapsed, gained = now - self._idle[0], count.done - self._idle[1]
        if elapsed < BUILDING_SECONDS and not any(sum(arm.ended.values()) for arm in count.arms):
            return f"{share}, first runs"
        return f"{share}, about {duration((count.total - count.done) * elapsed / gained)} left"
