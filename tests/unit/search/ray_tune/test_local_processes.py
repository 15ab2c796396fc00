"""Local Ray processes: their death stops the study with a reason, before any run counts as lost."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from search.ray_tune import local_processes
from search.ray_tune.dispatcher import ExecutionContext, RunDispatcher
from search.ray_tune.local_processes import LocalProcesses
from search.study.resources import Resources
from trainables.errors import StoppedError


def test_only_essential_children_are_watched_and_their_death_is_noticed(tmp_path: Path) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / "raylet")
    LocalProcesses().check()
    child = subprocess.Popen([program, "60"])
    local = LocalProcesses()
    local.check()
    child.kill()
    child.wait()
    with pytest.raises(StoppedError, match="Ray's process `raylet`"):
        local.check()
    with pytest.raises(StoppedError, match="Ray's process `raylet`"), local.watched(print):
        raise RuntimeError("what Ray raises")


BLOCKED = """
import subprocess, sys, threading
from search.ray_tune import local_processes
from trainables.errors import StoppedError
local_processes.POLL_SECONDS, local_processes.EXIT_SECONDS = 0.05, {patience}
child = subprocess.Popen([sys.argv[1], "60"])
local = local_processes.LocalProcesses()
threading.Timer(0.2, child.kill).start()
try:
    with local.watched(print):
        {wait}
except StoppedError as error:
    print("stopped:", error)
"""


@pytest.mark.parametrize(
    ("patience", "wait", "code", "said"),
    [
        (20, "threading.Event().wait(30)", 0, "stopped: Ray's process"),
        (
            0.2,
            "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {2}); signal.signal(2, signal.SIG_IGN); "
            "threading.Event().wait(30)",
            1,
            "Ray's process",
        ),
    ],
)
def test_a_blocked_driver_is_interrupted_or_ends_with_the_fatal_error(
    patience: float, wait: str, code: int, said: str, tmp_path: Path
) -> None:
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / "gcs_server")
    script = textwrap.dedent(BLOCKED).format(patience=patience, wait=wait)
    done = subprocess.run(
        [sys.executable, "-u", "-P", "-c", script, program], capture_output=True, text=True, timeout=25, check=False
    )
    assert (done.returncode, done.stdout.startswith(said)) == (code, True), done


def test_an_interrupt_that_also_kills_ray_stays_an_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm, for example, sends SIGTERM to the driver and to Ray's processes."""
    monkeypatch.setattr(local_processes, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(local_processes, "requested", lambda: True)
    program = shutil.copy(shutil.which("sleep") or "", tmp_path / "raylet")
    child = subprocess.Popen([program, "60"])
    local = LocalProcesses()

    def interrupted() -> None:
        child.kill()
        child.wait()
        threading.Event().wait(0.3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), local.watched(print):
        interrupted()


class Source:
    """A run source that remembers what ended."""

    done = False

    def __init__(self) -> None:
        self.lost: list[str] = []

    def ended(self, name: str, final: Any) -> None:
        self.lost.append(name)


def test_runs_are_not_lost_when_ray_itself_has_died(tmp_path: Path) -> None:
    def dead() -> None:
        raise StoppedError("Ray has died")

    source: Any = Source()
    dispatcher = RunDispatcher(source, ExecutionContext(tmp_path, Resources()), lambda: 1, dead)
    dispatcher._active["one"] = source
    dispatcher.run_lost("one")
    assert source.lost == []
    with pytest.raises(StoppedError, match="Ray has died"):
        dispatcher.next_request()
