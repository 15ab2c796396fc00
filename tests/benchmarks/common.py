"""Timing in turns, tables, and runs on made-up images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CLASSES = 10
LEAST = 100
"""Least number of images, so that a tenth of each class can be held out."""
SHAPES = {"small_cnn": (28, 28, 1)}
COLOUR = (32, 32, 3)


@dataclass(frozen=True)
class Cost:
    """The least time that a piece of work took, in seconds of wall clock and of all CPUs together."""

    wall: float
    cpu: float


def in_turns(work: dict[str, Callable[[], Any]], rounds: int = 3) -> dict[str, Cost]:
    """Return what each piece of work costs, measured in turns after one run that does not count."""
    found: dict[str, list[Cost]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, function in work.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function()
            if turn:
                found[name].append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    return {name: Cost(min(c.wall for c in costs), min(c.cpu for c in costs)) for name, costs in found.items()}


def percent(values: np.ndarray) -> str:
    """Return a share in percent with its interval: Clopper and Pearson's, or the normal one for means of shares."""
    mean = float(values.mean())
    if np.isin(values, (0.0, 1.0)).all():
        low, high = stats.binomtest(int(values.sum()), len(values)).proportion_ci(method="exact")
    else:
        half = 1.96 * float(values.std(ddof=1)) / np.sqrt(len(values))
        low, high = max(0.0, mean - half), min(1.0, mean + half)
    return f"{100 * mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; numbers with three digits."""
    texts = [list(header), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(header))]
    for row in texts:
        first, *others = (
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]))
    print(flush=True)


def _text(cell: Any) -> str:
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def shape_of(model: str) -> tuple[int, int, int]:
    """Return the image shape that a network is measured on."""
    return SHAPES.get(model, COLOUR)


def images(n: int, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Return random images and labels, as a data set's arrays."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, *shape), dtype="uint8")
    labels = (np.arange(n) % CLASSES).astype("int32")
    return {"images": pixels, "labels": labels, "test_images": pixels[:64], "test_labels": labels[:64]}


def ours(
    model: str, method: str, augmentation: str, batch: int, steps: int, placement: Any = None, **plain: Any
) -> Callable[[], Any]:
    """Return a function that trains `steps` steps of a run, draws included, evaluation not.

    Args:
        model, method, augmentation: names.
        batch, steps: images of a step, and steps.
        placement: where the run finds its images; by default on the device.
        plain: further settings, and `shape` of the images if it is not the network's usual one.
    """
    shape = plain.pop("shape", shape_of(model))
    from trainables.config import RunConfig
    from trainables.engine.classifier import Classifier
    from trainables.engine.feeding import Placement, collected

    settings = {"data": "digits", "model": model, "method": method, "augmentation": augmentation, "epochs": 20}
    settings |= {"batch_size": batch, "validation_fraction": 0.1, "deterministic": False, **plain}
    arrays = images(max(round(batch * steps / 0.9) + CLASSES * 2, LEAST), shape)
    run = Classifier(RunConfig.from_plain(settings), arrays, CLASSES, placement or Placement("resident"))
    epoch = next(epoch for epoch in range(20) if run.config.method_on(epoch))

    def train() -> None:
        batches = run._batches(epoch)
        taken = _first(batches, steps)
        collected(run._trained(taken))

    return train


def _first(batches: dict[str, Any], steps: int) -> dict[str, Any]:
    return {name: _first(value, steps) if isinstance(value, dict) else value[:steps] for name, value in batches.items()}
