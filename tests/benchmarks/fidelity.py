"""Short complete schedules as a cheap fidelity of the search: do they rank settings as full trainings do?

Sixteen settings of learning rate and weight decay are trained in full, and in a third of the length with a learning
rate that falls to its end. The alternatives at no extra cost are the full training's own validation accuracy after a
third of its epochs, and behind the first fall of the learning rate, where the search stops runs today. Correlations
are Spearman's, with the selection metric of the full training, within an arm. Regret is the test accuracy, in points,
that is lost against the choice among all full trainings, if half of their epochs are spent: on all short schedules and
full trainings of the best two, or on full trainings of eight settings only.

Runs are kept in `tests/benchmarks/data/fidelity.parquet`; missing ones are trained (`--fashion FILE` names the data).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from tests.benchmarks.common import table

FILE = Path(__file__).parent / "data" / "fidelity.parquet"
POINTS, EPOCHS, SHORT, SEED = 16, 48, 16, 7
BEHIND_FALL = 26
"""Epoch of the first rung: behind half of the length, and a fortieth."""
METHODS: dict[str, Any] = {
    "baseline": "baseline",
    "mixup": {"name": "mixup", "alpha": 0.2},
    "sample_pairing": {"name": "sample_pairing", "start": 0.1, "end": 0.9, "on_epochs": 3, "off_epochs": 1},
}
RECIPES: dict[str, dict[str, Any]] = {
    "digits": {
        "data": "digits", "model": {"name": "resnet8", "width": 0.25}, "train_fraction": 0.4, "optimizer": "sgd",
        "augmentation": "crop",
    },
    "fashion": {
        "data": {"source": "npz", "size": 16}, "model": "small_cnn", "train_fraction": 0.00842, "optimizer": "adam",
        "augmentation": "crop", "validation_fraction": 0.01,
    },
}  # fmt: skip
RATES = {"digits": (0.01, 1.0), "fashion": (0.0005, 0.05)}
DECAYS = (1e-5, 1e-2)


@dataclass(frozen=True)
class Key:
    """The keys of a run: names of data and method, number of the setting, and epochs."""

    data: str
    method: str
    point: int
    epochs: int


def main(arguments: Sequence[str]) -> None:
    """Train the missing runs and print a table with a row per arm."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks fidelity")
    parser.add_argument("--fashion", type=Path, help="Fashion-MNIST as an .npz file")
    asked = parser.parse_args(list(arguments))
    frame = _trained(asked.fashion)
    rows = [
        [f"{data}, {method}", *_row(arm)]
        for (data, method), arm in frame.groupby(["data", "method"], observed=True)
        if len(arm) == 2 * POINTS
    ]
    means = [float(np.mean([row[column] for row in rows])) for column in range(1, 6)]
    table(
        ("arm", "short", "a third", "behind the fall", "regret, short + 2", "regret, 8 in full"),
        [*rows, ["mean", *means]],
    )


def keys() -> Iterator[Key]:
    """Yield the keys of all runs."""
    for data in RECIPES:
        for method in METHODS:
            for point in range(POINTS):
                for epochs in (SHORT, EPOCHS):
                    yield Key(data, method, point, epochs)


def settings(key: Key, file: Path | None) -> dict[str, Any]:
    """Return the settings of a run."""
    from optuna.distributions import FloatDistribution

    from spaces.design import sobol_points

    low, high = RATES[key.data]
    space = {
        "learning_rate": FloatDistribution(low, high, log=True),
        "weight_decay": FloatDistribution(*DECAYS, log=True),
    }
    recipe = dict(RECIPES[key.data])
    if key.data == "fashion":
        recipe["data"] = {**recipe["data"], "path": str(file)}
    point = sobol_points(space, POINTS, SEED)[key.point]
    return {
        **recipe, **point, "method": METHODS[key.method], "epochs": key.epochs, "batch_size": 32,
        "milestones": [0.5, 0.75], "seed": SEED,
    }  # fmt: skip


def _trained(fashion: Path | None) -> pd.DataFrame:
    """Return all runs at hand; train those that are missing and whose data are there."""
    from tqdm import tqdm

    from trainables.backends.selection import backend
    from trainables.records.atomic import atomic_file

    backend.configure(threads=1, deterministic=True)
    frame = pd.read_parquet(FILE) if FILE.exists() else pd.DataFrame(columns=[*Key.__annotations__, "curve", "test"])
    known = {Key(*row) for row in frame[[*Key.__annotations__]].itertuples(index=False)}
    missing = [key for key in keys() if key not in known and (key.data != "fashion" or fashion)]
    for key in tqdm(missing, unit="run"):
        frame = pd.concat([frame, pd.DataFrame([_train(key, fashion)])], ignore_index=True)
        with atomic_file(FILE) as unfinished:
            frame.to_parquet(unfinished, compression="zstd", index=False)
    return frame


def _train(key: Key, fashion: Path | None) -> dict[str, Any]:
    from tests.benchmarks.training import trained_run
    from trainables import records

    run, curve = trained_run(settings(key, fashion))
    return {
        **asdict(key),
        "curve": [metrics[records.VALIDATION_ACCURACY] for metrics in curve],
        "test": float(run.test("official").metrics[records.TEST_ACCURACY]),
    }


def _row(arm: pd.DataFrame) -> list[float]:
    """Return the three rank correlations and the two regrets of an arm."""
    short, full = (arm[arm["epochs"] == epochs].sort_values("point") for epochs in (SHORT, EPOCHS))
    target, tests = _selection(full), full["test"].to_numpy(float)
    cheap = _selection(short)
    after = [np.array([curve[epochs - 1] for curve in full["curve"]]) for epochs in (SHORT, BEHIND_FALL)]
    best = tests[target.argmax()]
    survivors = np.argsort(-cheap, kind="stable")[:2]
    chosen = tests[survivors[target[survivors].argmax()]]
    halves = [tests[half[target[half].argmax()]] for half in (np.arange(0, POINTS, 2), np.arange(1, POINTS, 2))]
    return [
        *(float(spearmanr(proxy, target).statistic) for proxy in (cheap, *after)),
        100 * float(best - chosen),
        100 * float(best - np.mean(halves)),
    ]


def _selection(runs: pd.DataFrame) -> np.ndarray:
    """Return the selection metric: the mean validation accuracy of the last epochs."""
    from trainables.schedules import selection_epochs

    return np.array([np.mean(curve[-selection_epochs(len(curve)) :]) for curve in runs["curve"]])
