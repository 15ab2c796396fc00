"""What is sent to a worker, and what comes back at the end."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from trainables import records

if TYPE_CHECKING:
    import numpy as np

EPOCHS, FINAL = "epochs", "final"


@dataclass(frozen=True)
class Job:
    """One run, as it is sent to a worker.

    Args:
        run: the run's name.
        phase, condition, method, k, seed: as in the journal.
        config: a `RunConfig` as JSON.
        stops: epochs after which a decision is due.
        test: read the test set at the end.
        checkpoints: the run's own folder.
        log: its log file.
        checkpoint_seconds: time between two checkpoints.
        epoch_seconds: an epoch that takes longer ends the worker, and with it the run.
        curves: a table to replay instead of training, or empty.
        model: where to save the trained model, or empty.
    """

    run: str
    phase: str
    condition: str
    method: str
    k: int
    seed: int
    config: dict[str, Any]
    stops: tuple[int, ...]
    test: bool
    checkpoints: str
    log: str
    checkpoint_seconds: float = 60.0
    epoch_seconds: float = 3600.0
    curves: str = ""
    model: str = ""

    def payload(self) -> dict[str, Any]:
        """Return the fields as a plain dictionary: the trial's configuration in Ray."""
        return asdict(self)


@dataclass(frozen=True)
class Final:
    """How a run ended.

    Args:
        outcome: one of `records.OUTCOMES`.
        reason: empty, or why it failed.
        epoch: epochs finished; None where the worker cannot say.
        metrics: test figures, of a run that reads the test set.
        correct: bool (n,), which test examples are right.
        loss: float32 (n,), their log loss in nats.
        confusion: int64 (classes, classes), test images by true and predicted class, of a final training.
    """

    outcome: str = records.STOPPED
    reason: str = ""
    epoch: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    correct: np.ndarray | None = None
    loss: np.ndarray | None = None
    confusion: np.ndarray | None = None
