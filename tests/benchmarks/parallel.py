"""Two single-threaded runs side by side, beside one run on both cores: which trains more images a second.

Each run is a process of its own, as in a study; all start together once they are traced. About 80 s.
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.benchmarks.common import ours, table

BATCH = 64
STEPS = {"small_cnn": 300}
CHILD = "--child"


def main(arguments: list[str]) -> None:
    """Print a table for some networks, by default a small and a deep one."""
    if arguments[:1] == [CHILD]:
        model, *numbers = arguments[1:]
        _child(model, *map(int, numbers))
        return
    rows = []
    for model in arguments or ("small_cnn", "resnet20"):
        steps = STEPS.get(model, 8)
        one, two = (seconds(model, 2 // threads, threads, BATCH, steps) for threads in (2, 1))
        rows.append([model, BATCH * steps / one, 2 * BATCH * steps / two, 2 * one / two])
    table(("network", "one on both, images/s", "two, one core each", "gain of two"), rows)


def seconds(model: str, runs: int, threads: int, batch: int, steps: int) -> float:
    """Return the seconds until the last of some runs that train at once has ended.

    Args:
        model: name of the network.
        runs: number of runs, each a process of its own.
        threads: CPU threads of each.
        batch, steps: images of a step, and steps of each.
    """
    numbers = map(str, (threads, batch, steps))
    command = [sys.executable, "-m", "tests.benchmarks", "parallel", CHILD, model, *numbers]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(runs)]
    for run in started:
        _wait_for(run, "ready")
    began = time.perf_counter()
    for run in started:
        if run.stdin:
            run.stdin.write("go\n")
            run.stdin.flush()
    for run in started:
        _wait_for(run, "done")
    spent = time.perf_counter() - began
    for run in started:
        run.communicate()
    return spent


def _wait_for(run: subprocess.Popen[str], word: str) -> None:
    for line in run.stdout or ():
        if line.strip() == word:
            return
    raise RuntimeError(f"a run ended before it was {word}")


def _child(model: str, threads: int, batch: int, steps: int) -> None:
    from trainables.backends.selection import backend

    backend.configure(threads=threads, deterministic=False)
    train = ours(model, "baseline", "crop_flip", batch, steps)
    train()
    print("ready", flush=True)
    sys.stdin.readline()
    train()
    print("done", flush=True)
