"""Tables of runs with a known truth, and a native study to hold the verdicts against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.data.frames import read_study
from reports.inference.verdicts import Verdict, judge
from reports.judging.question import Question
from reports.page.writer import runs_table
from tests.support.journal_builder import make_plan, simulate_study

METHODS = ("baseline", "mixup", "sample_pairing")
NATIVE = Question(
    arm=("method",),
    metric="test_accuracy",
    seed=("seed",),
    condition=("condition",),
    setting=("k",),
    select="selection",
)
"""What has to be asked about the runs of a native study, so that the verdicts are the same."""
ASKED = Question(arm=("method",), metric="test_accuracy", seed=("seed",))
"""What is asked about the runs of `runs_frame`."""
_RECORDED_WITH_STUDY = {"on_this_test_set", "images", "notes", "look", "points"}
"""What rests on records beside the runs: single test images, declared looks, numbers of the pooled points."""


def native_study(folder: Path, name: str = "native") -> Path:
    """Write a native study of two conditions whose mixup helps, and return its folder."""
    plan = make_plan(methods=METHODS, name=name, variances="pooled", choice="shrunken")
    return simulate_study(folder, plan=plan, effects={"mixup": 0.03, "sample_pairing": -0.005})


def confirmed(folder: Path) -> pd.DataFrame:
    """Return the confirmation runs of a native study."""
    runs = runs_table(read_study(folder))
    return runs[runs["phase"] == "confirm"].reset_index(drop=True)


def assert_same_verdicts(found: list[Verdict], folder: Path) -> None:
    """Compare verdicts with those of the native study, to the last digit."""
    native = {(verdict.condition, verdict.method): _numbers(verdict) for verdict in judge(read_study(folder))}
    assert len(native) == len(found) == 4
    assert {verdict["verdict"] for verdict in native.values()} == {"helps", "undecided"}
    assert {(verdict.condition, verdict.method): _numbers(verdict) for verdict in found} == native


def _numbers(verdict: Verdict) -> dict[str, Any]:
    return {name: value for name, value in asdict(verdict).items() if name not in _RECORDED_WITH_STUDY}


def runs_frame(
    effects: Mapping[str, float],
    seeds: int = 8,
    metric: str = "test_accuracy",
    spread: float = 0.004,
    random: int = 7,
    **columns: object,
) -> pd.DataFrame:
    """Return one row per run: arms with a true effect each, seeds that shift all arms alike.

    Args:
        effects: true effect by arm.
        seeds: runs of every arm.
        metric: name of the metric.
        spread: standard deviation of single runs.
        random: seed of the random numbers.
        columns: further constant columns.
    """
    rng = np.random.default_rng(random)
    shared = rng.normal(0, 0.01, seeds)
    noise = rng.normal(0, spread, (len(effects), seeds))
    noise -= noise.mean(axis=1, keepdims=True)  # the means of the arms differ by exactly their effects
    return pd.DataFrame([
        {"method": arm, "seed": seed, metric: 0.8 + effect + shared[seed] + noise[row, seed], **columns}
        for row, (arm, effect) in enumerate(effects.items()) for seed in range(seeds)
    ])  # fmt: skip


FRAME = runs_frame({"baseline": 0.0, "mixup": 0.02}, seeds=4)
"""Two arms with four seeds each."""


class Refusal:
    """Check of a refusal: an `InputError` whose message contains all the given parts."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    def holds_for(self, error: pytest.ExceptionInfo[BaseException]) -> None:
        """Raise if a part is missing."""
        for part in self.parts:
            assert part in str(error.value), str(error.value)
