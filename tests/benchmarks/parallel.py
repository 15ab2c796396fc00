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
        _child(arguments[1], int(arguments[2]))
        return
    rows = []
    for model in arguments or ("small_cnn", "resnet20"):
        images = BATCH * STEPS.get(model, 8)
        one, two = (_measure(model, threads) for threads in (2, 1))
        rows.append([model, images / one, 2 * images / two, 2 * one / two])
    table(("network", "one on both, images/s", "two, one core each", "gain of two"), rows)


def _measure(model: str, threads: int) -> float:
    """Return the seconds until the last of 2 / threads runs has ended."""
    command = [sys.executable, "-m", "tests.benchmarks", "parallel", CHILD, model, str(threads)]
    runs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2 // threads)
    ]
    for run in runs:
        _wait_for(run, "ready")
    started = time.perf_counter()
    for run in runs:
        if run.stdin:
            run.stdin.write("go\n")
            run.stdin.flush()
    for run in runs:
        _wait_for(run, "done")
    seconds = time.perf_counter() - started
    for run in runs:
        run.communicate()
    return seconds


def _wait_for(run: subprocess.Popen[str], word: str) -> None:
    for line in run.stdout or ():
        if line.strip() == word:
            return
    raise RuntimeError(f"a run ended before it was {word}")


def _child(model: str, threads: int) -> None:
    from trainables.backends.selection import backend

    backend.configure(threads=threads, deterministic=False)
    train = ours(model, "baseline", "crop_flip", BATCH, STEPS.get(model, 8))
    train()
    print("ready", flush=True)
    sys.stdin.readline()
    train()
    print("done", flush=True)
