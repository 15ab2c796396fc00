"""Run requests and run results: what a worker receives at the start of a run and returns at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from trainables import records
from trainables.records import DataPlace, TestPart

if TYPE_CHECKING:
    import numpy as np

EPOCHS, FINAL, IDLE = "epochs", "final", "idle"
"""Keys of a step's result: its epochs, (epoch, metrics) each; the `RunResult` in the run's last step; in later steps,
for how many seconds the worker has been waiting for another run."""


@dataclass(frozen=True)
class RunRequest:
    """A training run, as it is sent to a worker.

    Args:
        run: the run's name.
        phase, condition, method: as in the journal.
        index: index of the trial in the search, or of the point in later phases.
        seed_index: index of the seed; the seed itself is in `config`.
        config: a `RunConfig` as JSON.
        stops: epochs after which early stopping decides.
        test: what to test on at the end, or None for no test.
        checkpoints: folder for the run's checkpoints.
        log: path of its log file.
        checkpoint_seconds: minimum time between two checkpoints, in seconds.
        epoch_seconds: time limit of an epoch, in seconds; exceeding it ends the worker and fails the run.
        curves: path of a table to replay instead of training, or empty.
        model: path of the file to save the trained model to, or empty.
        data: where its images are (see `search.study.resources.Resources`).
        data_set: label of its data set in a study on several; empty if there is one only.
        gpus: GPUs of the run, among which it divides each batch, or its share of one; 0 for none.
        code: what the user allowed to run (see `trainables.registration.plugins.allow_code`).
        avoided_nodes: Ray's ids of nodes on which it must not start.
    """

    run: str
    phase: str
    condition: str
    method: str
    index: int
    seed_index: int
    config: dict[str, Any]
    stops: tuple[int, ...]
    test: TestPart | None
    checkpoints: str
    log: str
    checkpoint_seconds: float = 60.0
    epoch_seconds: float = 3600.0
    curves: str = ""
    model: str = ""
    data: DataPlace = "auto"
    data_set: str = ""
    gpus: float = 0
    code: tuple[str, ...] = ()
    avoided_nodes: tuple[str, ...] = ()

    def payload(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary, which is the trial's configuration in Ray."""
        return asdict(self)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Args:
        outcome: one of `records.OUTCOMES`.
        reason: why the run failed, or a warning about it; else empty.
        epoch: number of completed epochs, or None if the worker does not know.
        metrics: test metrics, for a run that evaluates the test set.
        correct: bool (n,), which test examples are classified correctly.
        loss: float32 (n,), their log loss in nats.
        confusion: int64 (classes, classes), test images by true and predicted class, for a final training.
    """

    outcome: str = records.STOPPED
    reason: str = ""
    epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    correct: np.ndarray | None = None
    loss: np.ndarray | None = None
    confusion: np.ndarray | None = None
