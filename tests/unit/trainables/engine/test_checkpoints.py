"""Checkpoints: a resumed run equals one that was not interrupted, and what is damaged or foreign is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.trainables.engine.small_runs import DROPOUT, measured, same, saved, start
from trainables.engine.classifier import RUN_FILE, STATE_FILE
from trainables.errors import TrialError
from trainables.methods import METHODS
from trainables.optimizers import OPTIMIZERS

pytestmark = pytest.mark.usefixtures("own_code")


@pytest.mark.parametrize(
    ("method", "model"),
    [
        *((method, DROPOUT) for method in METHODS),
        ("maxup", "resnet8"),
        *(pytest.param(method, "resnet8", marks=pytest.mark.slow) for method in METHODS if method != "maxup"),
    ],
)
def test_a_resumed_run_equals_the_uninterrupted_one(
    digits: dict[str, np.ndarray], tmp_path: Path, method: str, model: str
) -> None:
    whole = start(digits, method, model=model)
    first = measured(whole, 2)
    saved(whole, tmp_path / "half")
    rest = measured(whole, 2)

    resumed = start(digits, method, model=model)
    resumed.restore(tmp_path / "half")
    assert resumed.epoch == 2
    assert measured(resumed, 2) == rest
    assert same(saved(resumed, tmp_path / "a"), saved(whole, tmp_path / "b"))
    assert measured(start(digits, method, model=model), 4) == first + rest


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer_resumes(digits: dict[str, np.ndarray], tmp_path: Path, optimizer: str) -> None:
    whole = start(digits, optimizer=optimizer, learning_rate=0.003)
    measured(whole, 1)
    saved(whole, tmp_path / "half")
    resumed = start(digits, optimizer=optimizer, learning_rate=0.003)
    resumed.restore(tmp_path / "half")
    assert measured(resumed, 1) == measured(whole, 1)


def test_a_checkpoint_of_another_run_is_refused(digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    run = start(digits)
    measured(run, 1)
    saved(run, tmp_path)
    other = start(digits, seed=4)
    with pytest.raises(TrialError, match="belongs to a run with another configuration"):
        other.restore(tmp_path)
    assert other.epoch == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (STATE_FILE, b""),
        (STATE_FILE, b"PK\x03\x04 torn"),
        (STATE_FILE, None),
        (RUN_FILE, b"{"),
        (RUN_FILE, b"{}"),
        (RUN_FILE, b"[]"),
        (RUN_FILE, None),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    digits: dict[str, np.ndarray], tmp_path: Path, name: str, content: bytes | None
) -> None:
    run = start(digits)
    saved(run, tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TrialError, match="is damaged"):
        run.restore(tmp_path)


def test_a_checkpoint_that_does_not_fit_is_refused(digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    run = start(digits)
    arrays = saved(run, tmp_path)
    np.savez(tmp_path / STATE_FILE, allow_pickle=False, **{**arrays, "weights": arrays["weights"][:-1]})
    with pytest.raises(TrialError, match="does not fit the network"):
        run.restore(tmp_path)
    assert json.loads((tmp_path / RUN_FILE).read_text())["epoch"] == 0
