"""Worker: what its steps return when a run has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from trainables import records
from trainables.worker import trainable
from trainables.worker.requests import EPOCHS, FINAL, IDLE, RunRequest
from trainables.worker.trainable import TrainingTrainable


@pytest.fixture
def request_of(tmp_path: Path, write_curves: Callable[..., Path]) -> Callable[[str], dict[str, Any]]:
    """Return a function that returns the request of a replayed run of twelve epochs."""
    curves = write_curves()

    def made(run: str) -> dict[str, Any]:
        request = RunRequest(
            run=run, phase=records.SEARCH, condition="all", method="mixup", index=0, seed_index=0, stops=(6,),
            test=None, config={"data": {"source": "digits"}, "epochs": 12}, checkpoints=str(tmp_path / run),
            log=str(tmp_path / f"{run}.log"), checkpoint_seconds=60, epoch_seconds=60, curves=str(curves),
        )  # fmt: skip
        return asdict(request)

    return made


@pytest.fixture
def worker(request_of: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> TrainingTrainable:
    monkeypatch.setattr(trainable.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(trainable, "STEP_SECONDS", 1e9)  # a busy machine may need longer for an epoch
    made = object.__new__(TrainingTrainable)
    made.setup(request_of("one"))
    return made


def test_a_worker_whose_run_has_ended_waits_until_it_gets_another(
    worker: TrainingTrainable, request_of: Callable[[str], dict[str, Any]]
) -> None:
    steps = [worker.step() for _ in range(2)]
    assert [epoch for step in steps for epoch, _ in step[EPOCHS]] == list(range(1, 13))
    assert [FINAL in step for step in steps] == [False, True]
    assert steps[1][FINAL].outcome == records.COMPLETED
    waited = worker.step()
    assert (waited[EPOCHS], waited[IDLE] >= 0, FINAL in waited) == ([], True, False)
    assert worker.reset_config(request_of("two"))
    assert len(worker.step()[EPOCHS]) == 6
    worker.cleanup()


def test_a_run_that_the_driver_has_stopped_is_not_continued(worker: TrainingTrainable) -> None:
    assert len(worker.step()[EPOCHS]) == 6
    worker.end_run()
    assert set(worker.step()) == {EPOCHS, IDLE}
    worker.cleanup()
