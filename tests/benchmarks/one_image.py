"""Case 1's program before and after three of its lines use `trainables.keras`: seconds an epoch, and whether it trains.

`maxup_script.py` is MaxUp of four copies as published, one image in a step. It runs on a part of a data set in class
folders, since an epoch of all images takes hours on two cores.

    uv run python -m tests.benchmarks one_image --data FOLDER [--images N] [--side N] [--width X] [--epochs N]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.common import table

SCRIPT = Path(__file__).with_name("maxup_script.py")
CHANGES = {
    'Copies(read("train", 1))': 'read("train", 64)',
    "model = network()": 'model = MaxUp(network(), m=M, augment=Augment("affine_flip"))',
    "worst_copy, metrics": '"categorical_crossentropy", metrics',
}
IMPORT = ("import numpy as np\n", "import numpy as np\nfrom trainables.keras import Augment, MaxUp\n")
PARTS = {"train": 1.0, "test": 0.5}


def main(arguments: list[str]) -> None:
    """Print a table with a row per program."""
    asked = _parser().parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory(prefix="assay-benchmark-") as scratch:
        part_of(asked.data, asked.images, Path(scratch))
        for name, program in (("before", SCRIPT.read_text()), ("after", changed())):
            epochs = run(program, [scratch, *(str(value) for value in (asked.side, asked.width, asked.epochs))])
            seconds = [epoch["seconds"] for epoch in epochs[1:] or epochs]  # the first one compiles
            accuracies = [100 * epoch["accuracy"] for epoch in epochs]
            rows.append([name, epochs[0]["seconds"], min(seconds), accuracies[0], accuracies[-1], max(accuracies)])
    table(("program", "first epoch, s", "later epochs, s", "accuracy, %", "last", "best"), rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks one_image")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/CLASS/* and test/CLASS/*")
    parser.add_argument("--images", type=int, default=2000, help="training images")
    parser.add_argument("--side", type=int, default=32, help="height and width in pixels")
    parser.add_argument("--width", type=float, default=0.25, help="factor of the numbers of filters and units")
    parser.add_argument("--epochs", type=int, default=4)
    return parser


def part_of(data: Path, images: int, folder: Path) -> None:
    """Copy the first images of each class into `folder`, half as many for the test."""
    for part, share in PARTS.items():
        for source in sorted(path for path in (data / part).iterdir() if path.is_dir()):
            new = folder / part / source.name
            new.mkdir(parents=True)
            for path in sorted(source.iterdir())[: int(share * images / 10)]:
                shutil.copy(path, new)


def changed() -> str:
    """Return the program with the three changed lines and their import."""
    program = SCRIPT.read_text()
    for old, new in [*CHANGES.items(), IMPORT]:
        if program.count(old) != 1:
            raise RuntimeError(f"{SCRIPT.name} does not hold {old!r} once")
        program = program.replace(old, new)
    return program


def run(program: str, arguments: list[str]) -> list[dict[str, Any]]:
    """Return seconds and accuracy of each epoch of a program, run in a process of its own."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])
