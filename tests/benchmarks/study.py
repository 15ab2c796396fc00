"""The same small study with Assay, with plain Ray Tune and with KerasTuner: wall time per epoch, start-up included.

Fashion-MNIST, 6 000 images, case 2's network (`small_cnn`) with batch 64, 8 epochs at most, 2 slots of one CPU each;
the learning rate and mixup are searched. The plain script is what the documentation of Ray shows: a function trainable,
`OptunaSearch`, ASHA, and Ray's callback for MLflow. KerasTuner is optional: `uv pip install keras-tuner tensorboard`.

A lost slot-second is one in which a slot trains nothing: (slots x wall time - time in epochs) / runs. KerasTuner has
one slot, since it runs its trials one after the other.

    uv run python -m tests.benchmarks study --data fashion_mnist.npz [--images N] [--trials N] [assay] [plain] [tuner]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import yaml

from tests.benchmarks.common import table
from tests.benchmarks.study_rivals import EPOCHS, SLOTS
from trainables import records
from trainables.records import JournalReader

WAYS = ("assay", "plain", "tuner")
NAMES = {"assay": "Assay", "plain": "plain Ray Tune", "tuner": "KerasTuner, Hyperband"}

TUNER = ("keras_tuner", "tensorboard")
"""Packages that KerasTuner needs; it does not require the second, and fails without it."""


@dataclass(frozen=True)
class Spent:
    """What a study took.

    Args:
        wall: seconds from the start of its process to the end.
        runs: number of runs.
        epochs: epochs of all runs.
        training: seconds in these epochs, evaluation included.
        slots: runs that could train at once.
    """

    wall: float
    runs: int
    epochs: int
    training: float
    slots: int = SLOTS

    @property
    def lost(self) -> float:
        """Lost slot-seconds per run."""
        return (self.slots * self.wall - self.training) / self.runs


def main(arguments: list[str]) -> None:
    """Print a table with a row per way."""
    asked = _parser().parse_args(arguments)
    ways = asked.ways or WAYS
    if unknown := set(ways) - set(WAYS):
        raise SystemExit(f"unknown: {', '.join(unknown)}; choose from {', '.join(WAYS)}")
    if "tuner" in ways and any(find_spec(name) is None for name in TUNER):
        print(f"KerasTuner is not installed, and left out: uv pip install {' '.join(TUNER).replace('_', '-')}")
        ways = [way for way in ways if way != "tuner"]
    found = {}
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as scratch:
        data = part_of(asked.data, asked.images, Path(scratch))
        for way in ways:
            try:
                found[way] = measure(way, data, asked.trials, Path(scratch))
            except RuntimeError as error:
                print(error)
    rows = [
        [NAMES[way], spent.runs, spent.epochs, spent.wall, spent.wall / spent.epochs, spent.lost]
        for way, spent in found.items()
    ]
    table(("", "runs", "epochs", "wall, s", "s an epoch", "lost slot-seconds a run"), rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks study")
    parser.add_argument("ways", nargs="*", help=f"what is measured, of {', '.join(WAYS)}; by default everything")
    parser.add_argument("--data", type=Path, required=True, help="an .npz file with x_train, y_train, x_test, y_test")
    parser.add_argument("--images", type=int, default=6000, help="training images")
    parser.add_argument("--trials", type=int, default=16, help="runs of the search, of both methods together")
    return parser


def part_of(path: Path, images: int, folder: Path) -> Path:
    """Write the first images of a data set, and a sixth as many for the test, into a new file; return its path."""
    with np.load(path) as whole:
        counts = {"train": images, "test": images // 6}
        arrays = {f"{x}_{part}": whole[f"{x}_{part}"][:count] for x in "xy" for part, count in counts.items()}
    new = folder / "part.npz"
    np.savez(new, **arrays)
    return new


def measure(way: str, data: Path, trials: int, scratch: Path) -> Spent:
    """Return what a study took in a process of its own.

    Args:
        way: one of WAYS.
        data: its images.
        trials: its runs.
        scratch: an existing folder.

    Raises:
        RuntimeError: the process failed.
    """
    folder = scratch / way
    folder.mkdir()
    command = [sys.executable, "-m", "tests.benchmarks.study_rivals", way, str(data), str(trials)]
    if way == "assay":
        (folder / "study.yaml").write_text(yaml.safe_dump(study_document(data, trials)))
        out = str(folder / "out")
        command = [sys.executable, "-m", "search.cli", "run", str(folder / "study.yaml"), "-o", out, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "PYTHONWARNINGS": "ignore"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{NAMES[way]} failed:\n{done.stderr[-3000:]}")
    if way == "assay":
        return _of_journal(folder / "out", wall)
    return Spent(wall, **json.loads(done.stdout.strip().splitlines()[-1]))


def study_document(data: Path, trials: int) -> dict[str, object]:
    """Return the study file: half of the trials for each of two methods, then one point with two seeds each."""
    return {
        "name": "small",
        "data": {"source": "npz", "path": str(data), "mirror_keeps_class": True},
        "recipe": {"model": "small_cnn", "augmentation": "none", "batch_size": 64, "epochs": EPOCHS},
        "methods": ["baseline", "mixup"],
        "nuisance": {"learning_rate": "auto"},
        "search": {"trials_per_arm": max(2, trials // 2)},
        "confirm": {"points": 1, "seeds": 2},
        "resources": {"cpus": 1, "concurrency": SLOTS},
    }


def _of_journal(folder: Path, wall: float) -> Spent:
    """Return what a study of Assay took, from its journal."""
    with JournalReader.open(folder) as journal:
        seconds = [row.metrics[records.SECONDS] for row in journal.reports()]
        return Spent(wall, len(journal.outcomes()), len(seconds), sum(seconds))
