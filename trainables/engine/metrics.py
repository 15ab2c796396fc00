"""What a classifier is measured by, from what it says of each image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15
"""Equal bins of confidence in the calibration error, as in the paper."""


@dataclass(frozen=True)
class Predictions:
    """What a network says of n images.

    Args:
        labels: int (n,), the true classes.
        classes: int (n,), the most probable ones.
        confidence: float32 (n,), the probability of the most probable class.
        loss: float32 (n,), log loss in nats: minus the logarithm of the true class's probability.
    """

    labels: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """bool (n,): which images are classified rightly."""
        return self.classes == self.labels

    def confusion(self, classes: int) -> np.ndarray:
        """Return int64 (classes, classes): how many images of each true class are taken for each class."""
        counts = np.zeros((classes, classes), dtype="int64")
        np.add.at(counts, (self.labels, self.classes), 1)
        return counts

    def __getitem__(self, which: slice) -> Predictions:
        return Predictions(self.labels[which], self.classes[which], self.confidence[which], self.loss[which])

    def scores(self, prefix: str) -> dict[str, float]:
        """Return every metric by its name in `records`, as in `validation_accuracy`.

        Args:
            prefix: `validation` or `test`.
        """
        return {
            f"{prefix}_accuracy": float(self.correct.mean()),
            f"{prefix}_balanced_accuracy": balanced_accuracy(self.labels, self.classes),
            f"{prefix}_macro_f1": macro_f1(self.labels, self.classes),
            f"{prefix}_loss": float(self.loss.mean()),
            f"{prefix}_calibration_error": calibration_error(self.confidence, self.correct),
        }


def balanced_accuracy(labels: np.ndarray, classes: np.ndarray) -> float:
    """Return the mean over classes of the share of its images that are classified rightly.

    Args:
        labels: int (n,), the true classes; those that do not occur do not count.
        classes: int (n,), the predicted ones.
    """
    right, images, _ = _counts(labels, classes)
    present = images > 0
    return float((right[present] / images[present]).mean())


def macro_f1(labels: np.ndarray, classes: np.ndarray) -> float:
    """Return the mean over classes of F1 = 2 right / (images + predictions), over those that occur in either.

    Args:
        labels: int (n,), the true classes.
        classes: int (n,), the predicted ones.
    """
    right, images, predictions = _counts(labels, classes)
    total = images + predictions
    return float((2 * right[total > 0] / total[total > 0]).mean())


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599), in [0, 1].

    The mean distance between accuracy and mean confidence in bins of confidence, (0, 1/15], (1/15, 2/15], ...,
    weighted by how many images fall into each.

    Args:
        confidence: float (n,), probability of the predicted class.
        correct: bool (n,).
    """
    bins = np.clip(np.ceil(confidence.astype("float64") * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=correct - confidence.astype("float64"), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _counts(labels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each class how many images are right, belong to it, and are predicted to."""
    size = int(max(labels.max(), classes.max())) + 1
    right = np.bincount(labels[labels == classes], minlength=size)
    return right, np.bincount(labels, minlength=size), np.bincount(classes, minlength=size)
