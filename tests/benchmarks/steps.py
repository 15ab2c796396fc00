"""A training step, beside `model.fit` on tf.data and a bare compiled loop on one batch, on every installed backend.

Aim: 1.5 times as fast as `fit` on the small network and never slower on others; 90 % of the bare loop's speed. `fit` is
measured as it is by default, and as fast as it gets: with `steps_per_execution`, and with XLA where that is faster. A
process for each backend; KERAS_BACKEND chooses one. About 4 minutes on two cores.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from tests.benchmarks.common import in_turns, ours, table

BATCH = 64
WORK = {"small_cnn": ("none", 100), "resnet20": ("crop_flip", 8), "vgg11": ("crop_flip", 4)}


def main(models: list[str]) -> None:
    """Print a table for some networks, by default all three, per backend."""
    if "KERAS_BACKEND" in os.environ:
        measure(models)
        return
    for backend in ("tensorflow", "jax"):
        if find_spec(backend) is None:
            print(f"{backend} is not installed")
            continue
        command = [sys.executable, "-m", "tests.benchmarks", "steps", *models]
        subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, check=True)


def measure(models: list[str], rounds: int = 3) -> None:
    """Print the table of this process's backend.

    Args:
        models: names of networks, by default all three.
        rounds: how often each piece of work is measured.
    """
    backend = importlib.import_module("trainables.backends.selection").backend
    backend.configure(threads=2, deterministic=False)
    header = ("network", "ours ms", "fit ms", "fastest fit ms", "fit/ours", "fastest/ours", "(cpu)", "fastest fit")
    print(os.environ.get("KERAS_BACKEND", "tensorflow"), flush=True)
    for model in models or WORK:
        augmentation, steps = WORK[model]
        found = in_turns(variants(model, augmentation, steps), rounds)
        mine, plain = found["ours"], found["fit"]
        best = min((name for name in found if name.startswith("fit,")), key=lambda name: found[name].wall)
        fast, bare = found[best], found.get("bare")
        times = [1000 * cost.wall / steps for cost in (mine, plain, fast)]
        ratios = [plain.wall / mine.wall, fast.wall / mine.wall, fast.cpu / mine.cpu]
        loop = ["", ""] if bare is None else [bare.wall / mine.wall, bare.cpu / mine.cpu]
        row = [f"{model}, {augmentation}", *times, *ratios, best.removeprefix("fit, "), *loop]
        table((*header, "bare/ours", "(cpu)"), [row])


def variants(model: str, augmentation: str, steps: int) -> dict[str, Callable[[], Any]]:
    """Return what is measured, by name: a run, the ways to call `fit`, and on TensorFlow the bare loop."""
    import keras

    from tests.benchmarks import usual

    work = {
        "ours": ours(model, "baseline", augmentation, BATCH, steps),
        "fit": usual.fit(model, augmentation, BATCH, steps),
        "fit, steps_per_execution": usual.fit(model, augmentation, BATCH, steps, at_once=True),
    }
    if keras.backend.backend() == "tensorflow":  # on JAX every `fit` is compiled by XLA
        work["fit, steps_per_execution, jit"] = usual.fit(model, augmentation, BATCH, steps, jit=True, at_once=True)
        work["bare"] = usual.bare(model, BATCH, steps)
    return work
