"""What trains: the protocol that the Keras classifier and the replay share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np


class TestResult(NamedTuple):
    """What one reading of the test set gives.

    Args:
        metrics: TEST_METRICS; a replay may lack some.
        correct: bool (n,), whether each test example is classified rightly, in the order of the data.
        loss: float32 (n,), log loss of each test example in nats.
        confusion: int64 (classes, classes), test images by true and predicted class; None of a replay.
    """

    __test__ = False  # not a test class

    metrics: dict[str, float]
    correct: np.ndarray
    loss: np.ndarray
    confusion: np.ndarray | None = None


class Engine(Protocol):
    """One training run in progress."""

    epoch: int
    """Epochs finished."""
    warning: str
    """What is wrong with the run as it stands, in a sentence, or empty."""

    def train_epoch(self) -> dict[str, float]:
        """Train one more epoch, evaluate, and return EPOCH_METRICS.

        Raises:
            DivergedError: the training loss is not finite.
        """
        ...

    def test(self) -> TestResult:
        """Read the test set once."""
        ...

    def save(self, folder: Path) -> None:
        """Write everything that `restore` needs into an existing empty folder."""
        ...

    def restore(self, folder: Path) -> None:
        """Continue from what `save` wrote, as if there had been no interruption.

        Raises:
            TrialError: the checkpoint is damaged or of another run.
        """
        ...
