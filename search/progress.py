"""How far a study is: counts per arm, the best so far, and when it will end. On stderr, live or as plain lines."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainables import records

PLAIN_SECONDS = 15.0
LIVE_SECONDS = 0.5
SHORT = {
    records.VALIDATION_ACCURACY: "val. acc.",
    records.VALIDATION_BALANCED_ACCURACY: "val. bal. acc.",
    records.VALIDATION_MACRO_F1: "val. macro F1",
    records.VALIDATION_LOSS: "val. loss",
    records.VALIDATION_CALIBRATION_ERROR: "val. cal. error",
}


@dataclass
class ArmCount:
    """How many runs of an arm are where, and its best judged figure so far (NaN before any)."""

    condition: str
    method: str
    expected: dict[str, int]
    ended: dict[str, int] = field(default_factory=lambda: dict.fromkeys(records.PHASES, 0))
    running: int = 0
    outcomes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(records.OUTCOMES, 0))
    best: float = float("nan")


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
    """What is known of one run: epochs finished, best judged figure so far (more is better), outcome or None."""

    phase: str
    arm: str
    epoch: int
    best: float
    outcome: str | None


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
    for run in runs:
        arm = arms[run.arm]
        done += cost[run.arm] * (length[run.arm] if run.outcome else run.epoch)
        arm.best = run.best if not arm.best >= run.best else arm.best
        if run.outcome:
            arm.ended[run.phase] += 1
            arm.outcomes[run.outcome] += 1
        else:
            arm.running += 1
    total = sum(cost[name] * length[name] * sum(arm.expected.values()) for name, arm in arms.items())
    for arm in arms.values():
        arm.best = records.oriented(plan["metric"], arm.best)
    return Tally(list(arms.values()), done, total, plan["metric"])


def _expected(plan: dict[str, Any], arm: dict[str, Any], confirmed: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    searches = plan.get("replicates", 1)
    points, seeds = confirmed.get(arm["condition"], (plan["points"] * searches, plan["seeds"]))
    return {
        records.SEARCH: 0 if arm.get("compute_of") else plan["trials_per_arm"] * searches,
        records.CONFIRM: points * seeds,
        records.TRAIN: plan.get("final_seeds", 0),
    }


def table(count: Tally) -> Table:
    """Return the counts as a table."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("condition", "method"):
        shown.add_column(name, overflow="fold")
    phases = [phase for phase in records.PHASES if any(arm.expected[phase] for arm in count.arms)]
    for name in (*phases, "running", "stopped", "failed", f"best {SHORT[count.metric]}"):
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
    """Shows progress on stderr while a block runs: live on a terminal, else a line now and then.

    Args:
        count: returns the present tally; called from a thread of the display's own.
        title: what runs.
    """

    def __init__(self, count: Callable[[], Tally], title: str) -> None:
        self._count = count
        self._title = title
        self._console = Console(stderr=True)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True, name="progress")
        self._started = time.monotonic()
        self._first: float | None = None

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _show(self) -> None:
        if not self._console.is_terminal:
            while not self._over.wait(PLAIN_SECONDS):
                self.line()
            return
        with Live(console=self._console, refresh_per_second=4, transient=True) as live:
            while not self._over.wait(LIVE_SECONDS):
                count = self._count()
                bar = Table.grid()
                bar.add_row(ProgressBar(total=max(count.total, 1), completed=count.done, width=40))
                live.update(Group(Text(f"{self._title}: {self._when(count)}", style="bold"), bar, table(count)))

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
        if self._first is None:
            self._first = count.done
        elapsed, gained = time.monotonic() - self._started, count.done - self._first
        share = f"{100 * count.done / max(count.total, 1e-9):.0f} % after {duration(elapsed)}"
        if count.done >= count.total:
            return f"{share}, finishing"
        if gained <= 0 or elapsed < 2:
            return f"{share}, starting"
        return f"{share}, about {duration((count.total - count.done) * elapsed / gained)} left"
