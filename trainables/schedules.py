"""What changes with the epoch: the learning rate, and how many last epochs a run is judged on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def selection_epochs(epochs: int) -> int:
    """Return L, the last epochs that a run is judged on: a twentieth, rounded up, and at least 3."""
    return max(3, -(-epochs // 20))


def learning_rates(
    learning_rate: float,
    milestones: Sequence[float],
    factor: float,
    *,
    epoch: int,
    epochs: int,
    steps: int,
) -> np.ndarray:
    """Return the learning rate of each step of one epoch.

    Args:
        learning_rate: of the first step.
        milestones: fractions of the training length at which the rate is multiplied by `factor`.
        factor: in (0, 1).
        epoch: the epoch, from 0.
        epochs: length of the training.
        steps: steps per epoch.

    Returns:
        float32 (steps,).
    """
    step = epoch * steps + np.arange(steps)
    passed = np.zeros(steps)
    for milestone in milestones:
        passed += step >= round(milestone * epochs * steps)
    return (learning_rate * factor**passed).astype("float32")
