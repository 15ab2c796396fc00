"""A bank of real training runs, from which the certificate draws studies: digits, many seeds, arms with known effects.

The arms are the baseline; three twins of it, which train with other seeds on the same images, so that their true
differences are zero; a planted harm and a planted gain. Every arm is run at every point with every seed, as in a
crossed confirmation. A run is a function of its row's keys: a bank can be extended, and its rows can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

FILE = Path(__file__).parent / "data" / "certificate_bank.parquet"
SEED = 20
TWINS = ("twin 1", "twin 2", "twin 3")
BASELINE, HARM, GAIN = "baseline", "harm", "gain"
PLANTED: dict[str, dict[str, Any]] = {
    HARM: {"label_noise": 0.05},
    GAIN: {"model": {"name": "resnet8", "width": 0.35}},
}
ARMS = (BASELINE, *TWINS, *PLANTED)
POINTS: tuple[dict[str, Any], ...] = ({"learning_rate": 0.05}, {"learning_rate": 0.1})
CONDITIONS: dict[str, dict[str, Any]] = {
    "10 %": {"train_fraction": 0.1, "epochs": 40},
    "40 %": {"train_fraction": 0.4, "epochs": 20},
}
RECIPE: dict[str, Any] = {
    "data": "digits", "model": {"name": "resnet8", "width": 0.25},
    "augmentation": "none", "batch_size": 32, "weight_decay": 1e-4,
}  # fmt: skip
KEYS = ["condition", "arm", "point", "seed"]


@dataclass(frozen=True)
class Key:
    """The keys of a row: names of condition and arm, numbers of point and seed."""

    condition: str
    arm: str
    point: int
    seed: int

    def settings(self) -> dict[str, Any]:
        """Return the run's settings by plain name."""
        from trainables.randomness import derive_seed

        twin = TWINS.index(self.arm) + 1 if self.arm in TWINS else 0
        return {
            **RECIPE,
            **CONDITIONS[self.condition],
            **POINTS[self.point],
            **PLANTED.get(self.arm, {}),
            "seed": derive_seed(SEED, "confirm", self.seed, twin),
            "split_seed": derive_seed(SEED, "confirm split", self.seed),
        }


def keys(seeds: Iterable[int]) -> Iterator[Key]:
    """Yield the keys of all rows of some seeds."""
    for seed in seeds:
        for condition in CONDITIONS:
            for point in range(len(POINTS)):
                for arm in ARMS:
                    yield Key(condition, arm, point, seed)


def train(key: Key, arrays: dict[str, Any]) -> dict[str, Any]:
    """Train the run of a row and return the row.

    Returns:
        The keys; `selection`, the mean validation accuracy of the last epochs; `official` and `extended`, the test
        accuracies after each of these epochs; and the number of `images` of the extended test part.
    """
    from trainables import records
    from trainables.config import RunConfig
    from trainables.engine.classifier import Classifier
    from trainables.schedules import selection_epochs

    run = Classifier(RunConfig.from_plain(key.settings()), arrays, 10)
    last = selection_epochs(run.config.epochs)
    validation, tests = [], []
    for epoch in range(run.config.epochs):
        metrics = run.train_epoch()
        if epoch >= run.config.epochs - last:
            validation.append(metrics[records.VALIDATION_ACCURACY])
            tests.append(run.test("extended").metrics)
    return {
        **vars(key),
        "selection": sum(validation) / last,
        "official": [one[records.TEST_ACCURACY] for one in tests],
        "extended": [one[records.EXTENDED_TEST_ACCURACY] for one in tests],
        "images": int(tests[-1][records.EXTENDED_TEST_IMAGES]),
    }


def grow(seeds: int, file: Path = FILE) -> pd.DataFrame:
    """Return the bank with at least that many seeds; missing ones are trained, and kept after each seed."""
    from tqdm import tqdm

    from trainables.backends.selection import backend
    from trainables.data import SOURCES
    from trainables.records.atomic import atomic_file

    frame = pd.read_parquet(file) if file.exists() else pd.DataFrame()
    first = int(frame["seed"].max()) + 1 if len(frame) else 0
    if first >= seeds:
        return frame
    backend.configure(threads=1, deterministic=True)
    arrays = SOURCES.get("digits")().load().arrays()
    for seed in tqdm(range(first, seeds), unit="seed", initial=first, total=seeds):
        frame = pd.concat([frame, pd.DataFrame([train(key, arrays) for key in keys([seed])])], ignore_index=True)
        with atomic_file(file) as unfinished:
            frame.to_parquet(unfinished, compression="zstd", index=False)
    return frame
