"""What all tests share: replayed studies, small and exact."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from search.plan.builder import make_plan
from search.plan.model import Plan
from tests.support.studies import make_study
from trainables.registration.plugins import code_allowed

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job; children would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)

METHODS = ("baseline", "mixup", "sample_pairing", "maxup", "maxup_mean")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their argument: compressed ones contain the time, and all processes must collect the same names."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def keep_ctrl_c() -> Iterator[None]:
    """Workers ignore Ctrl-C, and so would the children of later tests where this process is a worker."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def own_code() -> Iterator[None]:
    """Allow code that is named as `module:name`."""
    with code_allowed():
        yield


@pytest.fixture
def plan() -> Plan:
    """Return the small study's plan."""
    return make_plan(make_study())


@pytest.fixture
def write_curves(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a table of learning curves, one per (method, k, seed).

    `wait` and `faults` (by method, in the middle of the run) are for the workers of `tests.support.faults`.
    """

    def write(epochs: int = 12, ks: int = 4, seeds: int = 3, wait: float = 0.0, **faults: str) -> Path:
        rng = np.random.default_rng(7)
        rows = []
        for phase, seed_count in (("search", 1), ("confirm", seeds)):
            for method in METHODS:
                for k in range(ks):
                    for seed in range(seed_count):
                        top = 0.7 + 0.02 * k + 0.01 * METHODS.index(method) + rng.normal(0, 0.01)
                        for epoch in range(1, epochs + 1):
                            accuracy = round(top - 0.4 * np.exp(-epoch / 4), 6)
                            fault = faults.get(method, "") if epoch == epochs // 2 else ""
                            rows.append((phase, method, k, seed, epoch, accuracy, accuracy, wait, fault))
        columns = ["phase", "method", "k", "seed", "epoch", "validation_accuracy", "test_accuracy", "_wait", "_fault"]
        path = tmp_path / "curves.csv"
        pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
        return path

    return write
