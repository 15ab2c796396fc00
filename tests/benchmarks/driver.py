"""Whole replayed studies through Ray Tune on many logical CPUs: what one driver does as a study grows.

Runs of 50 epochs, half of them in the search, in two arms; nothing is trained, so that the driver is what limits. A
table of: the driver's CPU time per report of an epoch and its peak memory; the seconds from the last run to a complete
MLflow store (`assay sync`); and those of `assay status`, `assay report` and `assay resume` of the finished study.

    uv run python -m tests.benchmarks driver [RUNS ...]      # by default 500, 1000, 2000 and 5000
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tests.benchmarks.common import table
from tests.support.ray_cluster import Cluster
from trainables import records
from trainables.records import JournalReader

SIZES = (500, 1000, 2000, 5000)
EPOCHS = 50
POINTS = 5
CPUS = 16
METHODS = ("baseline", "mixup")
POLL_SECONDS = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """What a command took: seconds of wall clock and of its own CPU, and its peak memory in bytes."""

    wall: float
    cpu: float
    memory: int


def main(arguments: list[str]) -> None:
    """Print a table with a row per size."""
    rows = [measure(int(size)) for size in arguments or SIZES]
    header = ("runs", "reports", "wall, s", "a report, ms", "its CPU, ms", "peak, GB", "sync, s", "status", "report")
    table((*header, "resume"), rows)


def measure(runs: int) -> list[float]:
    """Return the row of studies of about so many runs."""
    with tempfile.TemporaryDirectory(prefix="assay-", dir="/tmp") as scratch:  # Ray's sockets allow short paths only
        folder = Path(scratch)
        study, curves, out = folder / "study.yaml", folder / "curves.csv", folder / "out"
        study.write_text(yaml.safe_dump(study_document(runs)))
        curves_for(runs).to_csv(curves, index=False)
        with closing(Cluster(folder, cpus=CPUS)) as cluster:
            address = ("--address", cluster.address)
            run = spent(folder, cluster.env, "run", study, "--replay", curves, "-o", out, *address)
        sync = spent(folder, cluster.env, "sync", out, "--timeout", 3600)
        commands = (("status", out), ("report", out), ("resume", out))
        others = [spent(folder, cluster.env, *command).wall for command in commands]
        with JournalReader.open(out / records.JOURNAL_FILE) as journal:
            ended, reports = len(journal.outcomes()), sum(1 for _ in journal.reports())
    each = [1000 * seconds / reports for seconds in (run.wall, run.cpu)]
    return [ended, reports, run.wall, *each, run.memory / 1e9, sync.wall, *others]


def study_document(runs: int) -> dict[str, object]:
    """Return the study file: half of the runs are trials, the others confirm five points in each arm."""
    quarter = runs // 4
    return {
        "name": "scale",
        "data": {"source": "digits"},
        "recipe": {"model": "resnet8", "augmentation": "crop", "epochs": EPOCHS},
        "methods": list(METHODS),
        "search": {"trials_per_arm": quarter, "sampler": "random", "early_stopping": False},
        "confirm": {"points": POINTS, "seeds": quarter // (2 * POINTS), "looks": []},
        "resources": {"concurrency": CPUS},
    }


def curves_for(runs: int) -> pd.DataFrame:
    """Return a learning curve for each trial and for each seed of the confirmation."""
    rng, quarter, epochs = np.random.default_rng(1), runs // 4, np.arange(1, EPOCHS + 1)
    keys = [("search", method, k, None) for method in METHODS for k in range(quarter)]
    keys += [("confirm", method, None, seed) for method in METHODS for seed in range(quarter // POINTS)]
    parts = []
    for (phase, method, k, seed), top in zip(keys, rng.normal(0.8, 0.02, len(keys)), strict=True):
        accuracy = (top - 0.4 * np.exp(-epochs / 12)).round(6)
        figures = {"validation_accuracy": accuracy, "test_accuracy": accuracy}
        parts.append(pd.DataFrame({"phase": phase, "method": method, "k": k, "seed": seed, "epoch": epochs, **figures}))
    return pd.concat(parts)


def spent(folder: Path, env: Mapping[str, str], *arguments: object) -> Spent:
    """Run a command of Assay in an environment; return what its process took, without its children.

    Raises:
        RuntimeError: it failed.
    """
    log, cpu, memory = folder / "command.log", 0.0, 0
    began = time.perf_counter()
    with log.open("wb") as out:
        command = [sys.executable, "-m", "search.cli", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**env, "PYTHONWARNINGS": "ignore"})
        while process.poll() is None:
            try:
                stat = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            if peak := re.search(r"VmHWM:\s+(\d+)", status):
                cpu, memory = (int(stat[11]) + int(stat[12])) / TICKS, 1024 * int(peak[1])
            time.sleep(POLL_SECONDS)
    if process.wait():
        raise RuntimeError(log.read_text()[-3000:])
    return Spent(time.perf_counter() - began, cpu, memory)
