"""Metrics: names, direction and worst values of what runs and studies are measured by.

Accuracies are fractions in [0, 1], losses are in nats.
"""

from __future__ import annotations

from typing import Literal, Protocol, Self, TypeVar, get_args

# Metrics of every epoch. Training figures are measured on un-mixed, un-augmented training images. Every loss is log
# loss in nats; calibration errors are expected ones, fractions in [0, 1].
TRAIN_LOSS = "train_loss"
TRAIN_ACCURACY = "train_accuracy"
VALIDATION_LOSS = "validation_loss"
VALIDATION_ACCURACY = "validation_accuracy"
VALIDATION_BALANCED_ACCURACY = "validation_balanced_accuracy"
VALIDATION_MACRO_F1 = "validation_macro_f1"
VALIDATION_CALIBRATION_ERROR = "validation_calibration_error"
LEARNING_RATE = "learning_rate"
SECONDS = "seconds"
IMAGES_PER_SECOND = "images_per_second"
PLAIN_EPOCHS = "plain_epochs"  # cost so far, in epochs of plain training
EPOCH_METRICS = (
    TRAIN_LOSS, TRAIN_ACCURACY, VALIDATION_LOSS, VALIDATION_ACCURACY,
    VALIDATION_BALANCED_ACCURACY, VALIDATION_MACRO_F1, VALIDATION_CALIBRATION_ERROR,
    LEARNING_RATE, SECONDS, IMAGES_PER_SECOND, PLAIN_EPOCHS,
)  # fmt: skip

# Columns of a run's history, in addition to its metrics.
RUN = "run"
EPOCH = "epoch"
AT = "at"  # POSIX seconds

# Final figures of a run.
SELECTION = "selection"  # mean validation metric of the last L epochs: what runs are judged on
TEST_ACCURACY = "test_accuracy"
TEST_LOSS = "test_loss"
TEST_BALANCED_ACCURACY = "test_balanced_accuracy"
TEST_MACRO_F1 = "test_macro_f1"
TEST_CALIBRATION_ERROR = "test_calibration_error"
TEST_METRICS = (TEST_ACCURACY, TEST_BALANCED_ACCURACY, TEST_MACRO_F1, TEST_LOSS, TEST_CALIBRATION_ERROR)

# The same on the extended test part: the test images, and development images that the run does not use.
TestPart = Literal["official", "extended"]
EXTENDED_TEST_ACCURACY = "extended_test_accuracy"
EXTENDED_TEST_METRICS = tuple(f"extended_{name}" for name in TEST_METRICS)
EXTENDED_TEST_IMAGES = "extended_test_images"  # number of images in it

# What a study may be judged on: `metric` in a study file.
Metric = Literal[
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_macro_f1",
    "validation_loss",
    "validation_calibration_error",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
LOSSES = (TRAIN_LOSS, VALIDATION_LOSS, TEST_LOSS, f"extended_{TEST_LOSS}")
LOWER_IS_BETTER = (
    *LOSSES, VALIDATION_CALIBRATION_ERROR, TEST_CALIBRATION_ERROR, f"extended_{TEST_CALIBRATION_ERROR}",
)  # fmt: skip
WORST_LOSS = 100.0  # nats; about what float32 gives for certainty in a wrong class


T = TypeVar("T", bound="_Number")


class _Number(Protocol):
    """A number or an array of numbers."""

    def __neg__(self) -> Self: ...


def as_maximized(metric: str, value: T) -> T:
    """Return a value of a metric (a number or an array) so that higher is better: losses and errors are negated.

    Applied twice, it returns the original value.

    >>> as_maximized("test_accuracy", 0.75), as_maximized("test_loss", 0.25)
    (0.75, -0.25)
    """
    return -value if metric in LOWER_IS_BETTER else value


def worst(metric: str) -> float:
    """Return the score assigned to a run that could not be measured: the worst possible value of the metric."""
    if metric not in LOWER_IS_BETTER:
        return 0.0
    return WORST_LOSS if metric in LOSSES else 1.0
