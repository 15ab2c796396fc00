"""Writing a report: a large study, a usual one in a process of its own, and the size of a page of 1 000 runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reports.page.writer import write_report
from tests.benchmarks.common import table
from tests.support.journal_builder import JournalBuilder, curve, make_plan
from trainables import records

METHODS = ("baseline", "mixup", "sample_pairing", "maxup_mean", "maxup")
SPACE = {
    "learning_rate": {"low": 0.001, "high": 1.0, "log": True, "integer": False},
    "weight_decay": {"low": 1e-5, "high": 1e-2, "log": True, "integer": False},
}
SIZES = {"50 runs": (2, 1, 13, 2, 6, 20), "1 000 runs": (5, 4, 20, 2, 15, 100), "5 000 runs": (5, 10, 60, 4, 10, 100)}
"""Methods, conditions, search runs of an arm, pooled points, seeds, epochs."""
IMAGES = 1000


def main(arguments: Sequence[str]) -> None:
    """Measure all sizes, or those that are named by their number of runs (`50 5000`)."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            if arguments and name.split(" runs")[0].replace(" ", "") not in arguments:
                continue
            runs = write_study(Path(folder) / name, *size)
            begin, wall = os.times(), time.perf_counter()
            subprocess.run([sys.executable, "-c", SCRIPT, str(Path(folder) / name)], check=True)
            end = os.times()
            cpu = end.children_user + end.children_system - begin.children_user - begin.children_system
            page = (Path(folder) / name / records.REPORT / "index.html").stat().st_size
            rows.append((name, runs, size[-1], time.perf_counter() - wall, cpu, page / 1e6))
    table(("study", "runs", "epochs", "wall s", "CPU s", "page MB"), rows)


SCRIPT = f"import sys, pathlib; from {write_report.__module__} import write_report as w; w(pathlib.Path(sys.argv[1]))"


def write_study(folder: Path, methods: int, conditions: int, trials: int, points: int, seeds: int, epochs: int) -> int:
    """Write a finished study with curves and single images; return its number of runs."""
    names = {f"fraction {i + 1}": {"train_fraction": (i + 1) / 10} for i in range(conditions)}
    plan = make_plan(names, METHODS[:methods], trials_per_arm=trials, points=points, seeds=seeds)
    for condition in plan["conditions"]:
        condition.update(epochs=epochs, selection_epochs=5, rungs=[])
    for arm in plan["arms"]:
        arm["spaces"] = {
            **SPACE,
            f"{arm['method']}.strength": {"low": 0.1, "high": 1.0, "log": False, "integer": False},
        }
    rng = np.random.default_rng(0)
    curves = [curve(float(rng.normal(0.8, 0.02)), epochs, rng, 0.05) for _ in range(100)]
    count = 0
    with JournalBuilder(folder, plan) as journal:
        for arm in plan["arms"]:
            cells = [(records.SEARCH, k, 0) for k in range(trials)]
            cells += [(records.CONFIRM, k, seed) for k in range(points) for seed in range(seeds)]
            for phase, k, seed in cells:
                _run(journal, arm, phase, k, seed, curves[count % len(curves)], rng)
                count += 1
    return count


def _run(
    journal: JournalBuilder, arm: dict[str, Any], phase: str, k: int, seed: int, rows: list[dict[str, float]],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    values = {name: float(rng.uniform(space["low"], space["high"])) for name, space in arm["spaces"].items()}
    run = journal.run(arm["condition"], arm["method"], phase=phase, k=k, seed=seed, parameters=values, searched=values)
    for epoch, row in enumerate(rows, start=1):
        journal.report(run, epoch, row)
    final = float(np.mean([row[records.VALIDATION_ACCURACY] for row in rows[-5:]]) + rng.normal(0, 0.01))
    if phase == records.SEARCH:
        journal.end(run, epoch=len(rows), selection=final)
        return
    correct = rng.random(IMAGES) < final
    journal.end(run, epoch=len(rows), selection=final, test=float(correct.mean()))
    journal.examples(run, correct)
