"""Classification metrics, computed from the predictions for each image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15
"""Number of equal-width confidence bins of the calibration error, as in the paper."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of a network for n images.

    Args:
        labels: int (n,), the true classes.
        classes: int (n,), the most probable classes.
        confidence: float32 (n,), the probability of the most probable class.
        loss: float32 (n,), log loss in nats: minus the logarithm of the true class's probability.

    Examples:
        >>> labels, classes = np.array([0, 0, 1]), np.array([0, 1, 1])
        >>> predictions = Predictions(labels, classes, np.full(3, 0.6, "float32"), np.full(3, 0.5, "float32"))
        >>> round(predictions.scores("test")["test_accuracy"], 3)
        0.667
        >>> predictions.confusion(2).tolist()
        [[1, 1], [0, 1]]
    """

    labels: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray
    loss: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """bool (n,): which images are classified correctly."""
        return self.classes == self.labels

    def confusion(self, classes: int) -> np.ndarray:
        """Return the confusion matrix, int64 (classes, classes): number of images by true and predicted class."""
        counts = np.zeros((classes, classes), dtype="int64")
        np.add.at(counts, (self.labels, self.classes), 1)
        return counts

    def __add__(self, other: Predictions) -> Predictions:
        """Return the predictions for the images of both."""
        return Predictions(
            np.concatenate([self.labels, other.labels]),
            np.concatenate([self.classes, other.classes]),
            np.concatenate([self.confidence, other.confidence]),
            np.concatenate([self.loss, other.loss]),
        )

    def __getitem__(self, which: slice) -> Predictions:
        return Predictions(self.labels[which], self.classes[which], self.confidence[which], self.loss[which])

    def scores(self, prefix: str) -> dict[str, float]:
        """Return all metrics by their names in `records`, such as `validation_accuracy`.

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
    """Return balanced accuracy, the mean recall over the classes that occur.

    Args:
        labels: int (n,), the true classes.
        classes: int (n,), the predicted classes.

    Examples:
        >>> balanced_accuracy(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
        0.5
    """
    right, images, _ = _counts(labels, classes)
    present = images > 0
    return float((right[present] / images[present]).mean())


def macro_f1(labels: np.ndarray, classes: np.ndarray) -> float:
    """Return the macro F1 score, the mean of 2 correct / (images + predictions) over all classes that occur in either.

    Args:
        labels: int (n,), the true classes.
        classes: int (n,), the predicted classes.

    Examples:
        >>> round(macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0])), 3)
        0.429
    """
    right, images, predictions = _counts(labels, classes)
    total = images + predictions
    return float((2 * right[total > 0] / total[total > 0]).mean())


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error (Guo et al. 2017, arXiv 1706.04599), in [0, 1].

    This is the mean absolute difference between accuracy and mean confidence over the confidence bins (0, 1/15],
    (1/15, 2/15], ..., weighted by the number of images in each bin.

    Args:
        confidence: float (n,), probability of the predicted class.
        correct: bool (n,), which predictions are correct.

    Examples:
        >>> round(calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 3)
        0.4
    """
    bins = np.clip(np.ceil(confidence.astype("float64") * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=correct - confidence.astype("float64"), minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def _counts(labels: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each class the numbers of correct images, of images, and of predictions."""
    size = int(max(labels.max(), classes.max())) + 1
    right = np.bincount(labels[labels == classes], minlength=size)
    return right, np.bincount(labels, minlength=size), np.bincount(classes, minlength=size)
