"""Replay: curves, checkpoints, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables import records
from trainables.engine.protocol import Engine
from trainables.errors import InputError, TrialError
from trainables.worker.replay import Replay, RunKeys, check_covered, read_curves

RUN = RunKeys(phase="search", condition="all", method="mixup", index=1, seed_index=0)


@pytest.fixture
def replay(write_curves: Callable[..., Path]) -> Replay:
    return Replay(read_curves(write_curves()), RUN, 0.1, 2.0)


def test_a_replay_returns_the_metrics_of_its_curve(replay: Replay) -> None:
    rows = [replay.train_epoch() for _ in range(12)]
    accuracies = [row[records.VALIDATION_ACCURACY] for row in rows]
    assert accuracies == sorted(accuracies)
    assert rows[-1][records.PLAIN_EPOCHS] == 24
    result = replay.test()
    assert result.metrics[records.TEST_ACCURACY] == accuracies[-1]
    assert result.correct.mean() == pytest.approx(accuracies[-1], abs=5e-4)
    assert result.loss == pytest.approx(np.float32(1 - accuracies[-1]))
    with pytest.raises(TrialError, match="the curve ends before epoch 13"):
        replay.train_epoch()


def test_a_replay_continues_from_its_checkpoint(
    replay: Replay, write_curves: Callable[..., Path], tmp_path: Path
) -> None:
    for _ in range(3):
        replay.train_epoch()
    replay.save(tmp_path)
    assert (tmp_path / "replay.json").stat().st_size == replay.state_bytes
    other = Replay(read_curves(write_curves()), RUN, 0.1, 2.0)
    other.restore(tmp_path)
    assert other.train_epoch()[records.VALIDATION_ACCURACY] == replay.train_epoch()[records.VALIDATION_ACCURACY]
    with pytest.raises(TrialError, match="belongs to another run"):
        Replay(read_curves(write_curves()), replace(RUN, index=2), 0.1, 2.0).restore(tmp_path)


def test_a_replay_refuses_to_save_a_model_and_writes_nothing(replay: Replay, tmp_path: Path) -> None:
    engine: Engine = replay
    with pytest.raises(TrialError, match="a replayed run has no network; train it to get one"):
        engine.save_model(tmp_path / "models" / "m.keras", ("a", "b"))
    assert not (tmp_path / "models").exists()


def test_a_run_without_a_curve_is_refused(write_curves: Callable[..., Path]) -> None:
    with pytest.raises(TrialError, match="the table of curves has no curve for"):
        Replay(read_curves(write_curves()), replace(RUN, method="cutmix"), 0.1, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"method": "cutmix"},
            r"no curve for phase `search`, method `cutmix`; it has some for: search, baseline; search, ",
        ),
        ({"epochs": 13}, r"longest curve for phase `search`, method `mixup` has 12 epochs, but its runs need 13"),
        ({"condition": "any"}, ""),
    ],
)
def test_a_table_must_have_curves_for_all_arms(
    changes: dict[str, Any], message: str, write_curves: Callable[..., Path]
) -> None:
    run = {"phase": "search", "condition": "all", "method": "mixup", "epochs": 12, **changes}
    path = write_curves()
    needed = [({key: run[key] for key in ("phase", "condition", "method")}, run["epochs"])]
    with pytest.raises(InputError, match=message) if message else nullcontext():
        check_covered(read_curves(path), path, needed)


@pytest.mark.parametrize(
    ("k", "seed", "method", "expected"),
    [(0, 0, "mixup", 0.1), (0, 1, "mixup", 0.2), (1, 5, "mixup", 0.3), (2, 0, "None", 0.4), (0, 0, "None", 0.5)],
)
def test_an_empty_cell_matches_every_run_and_a_number_its_own(
    k: int, seed: int, method: str, expected: float, tmp_path: Path
) -> None:
    path = tmp_path / "curves.csv"
    rows = ["mixup,0,0,1,0.1,x", "mixup,0,1,1,0.2,x", "mixup,1,,1,0.3,x", "None,2,,1,0.4,", "None,0,,1,0.5,"]
    path.write_text("\n".join(["method,k,seed,epoch,validation_accuracy,_note", *rows]))
    replay = Replay(read_curves(path), replace(RUN, method=method, index=k, seed_index=seed), 0.1, 1.0)
    assert replay.train_epoch()[records.VALIDATION_ACCURACY] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a CSV table"),
        ("method,epoch\nmixup,1\n", r"lacks the column\(s\) validation_accuracy; it has method, epoch"),
        (f"method,epoch,validation_accuracy\nmixup,{10**400},0.5\nmixup,1,0.5\n", "`epoch` is inf in line 2"),
        ("method,epoch,validation_accuracy\n", "contains no curve"),
        ("method,epoch,validation_accuracy\nmixup,1,0.5\nmixup,2,\n", "`validation_accuracy` is missing in line 3"),
        (
            "method,k,epoch,validation_accuracy\nmixup,2,1,.5\nmixup,2,3,.5\n",
            "of method mixup, k 2 lacks epoch 2",
        ),
        ("method,epoch,validation_accuracy\nmixup,first,0.5\n", "the column `epoch` contains text"),
        ("method,epoch,validation_accuracy\nmixup,1,50\n", "`validation_accuracy` must be between 0 and 1"),
        ("method,epoch,validation_accuracy,sead\nmixup,1,0.5,0\n", "unknown column `sead`; did you mean `seed`?"),
        ("method,epoch,validation_accuracy,notes\nmixup,1,0.5,0\n", "unknown column `notes`; known are method, epoch"),
        ("method,epoch,validation_accuracy,phase\nmixup,1,0.5,serach\n", "unknown phase `serach`; use `search`"),
        ("method,epoch,validation_accuracy,k\nmixup,1,0.5,1.5\n", "`k` is 1.5 in line 2; it must be a whole number"),
        ("method,epoch,validation_accuracy,seed\nmixup,1,0.5,-1\n", "`seed` is -1 in line 2"),
        ("method,epoch,validation_accuracy\nmixup,0,0.5\n", "`epoch` is 0 in line 2; it must be a whole number from 1"),
        ("method,epoch,validation_accuracy\nmixup,,0.5\n", "`epoch` is nan in line 2"),
        ("method,epoch,validation_accuracy\nmixup,1,0.5\nmixup,1,0.6\n", "line 3 repeats the keys and epoch"),
    ],
)
def test_bad_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_curves(path)
    with pytest.raises(InputError, match="there is no table of curves at"):
        read_curves(tmp_path / "missing.csv")
    with pytest.raises(InputError, match="is a folder, not a CSV table"):
        read_curves(tmp_path)
