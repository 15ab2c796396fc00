"""Engine protocol: what one training run in progress can do, shared by the Keras classifier and the replay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from trainables.records import TestPart

if TYPE_CHECKING:
    import numpy as np


class TestResult(NamedTuple):
    """Figures from one evaluation of the test set.

    Args:
        metrics: the metrics of `records.TEST_METRICS`, and of `EXTENDED_TEST_METRICS` if asked for; a replay may lack
            some.
        correct: bool (n,), whether each test example is classified correctly, in the order of the data.
        loss: float32 (n,), log loss of each test example in nats.
        confusion: int64 (classes, classes), test images by true and predicted class; None for a replay.
    """

    __test__ = False  # not a test class

    metrics: dict[str, float]
    correct: np.ndarray
    loss: np.ndarray
    confusion: np.ndarray | None = None


class Engine(Protocol):
    """One training run in progress."""

    epoch: int
    """Number of completed epochs."""
    warning: str
    """A sentence about a problem of the run in its current state; empty if there is none."""

    @property
    def state_bytes(self) -> int:
        """Size of a checkpoint in bytes."""
        ...

    def train_epoch(self) -> dict[str, float]:
        """Train one more epoch, evaluate, and return the metrics of `records.EPOCH_METRICS`.

        Raises:
            DivergedError: the training loss is not finite.
        """
        ...

    def test(self, part: TestPart = "official") -> TestResult:
        """Evaluate the test set once.

        Args:
            part: with `extended`, also return `records.EXTENDED_TEST_METRICS`, which are measured on the test set and
                on development images that the run does not use.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write everything that `restore` needs into an existing empty folder."""
        ...

    def restore(self, folder: Path) -> None:
        """Continue from a checkpoint that `save` wrote, as if there had been no interruption.

        Raises:
            TrialError: the checkpoint is damaged or belongs to another run.
        """
        ...

    def save_model(self, path: Path, class_names: tuple[str, ...]) -> None:
        """Write the trained network to a `.keras` file; missing folders are created.

        Args:
            path: the file to write.
            class_names: names of the classes, in the order of the labels.

        Raises:
            TrialError: the run has no network, as in a replay.
        """
        ...
