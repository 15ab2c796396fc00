"""What changes with training time: the learning rate, and how many last epochs a run is judged on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Schedule = Literal["milestones", "cosine", "constant"]


def selection_epochs(epochs: int) -> int:
    """Return L, the last epochs that a run is judged on: a twentieth, rounded up, and at least 3."""
    return max(3, -(-epochs // 20))


def fractions(milestones: Sequence[float], of: float) -> list[float]:
    """Return milestones as fractions of the training length.

    Args:
        milestones: where the rate falls, counted in anything: epochs, steps, or fractions already.
        of: the whole length, counted in the same.
    """
    return [milestone / of for milestone in milestones]


def part(epoch: int, epochs: int, steps: int) -> tuple[int, int]:
    """Return the first step of an epoch, and the first after it, where `epochs` share `steps` evenly.

    Args:
        epoch: from 0.
        epochs: how many parts.
        steps: how many steps in all.
    """
    return epoch * steps // epochs, (epoch + 1) * steps // epochs


def learning_rates(
    learning_rate: float,
    *,
    schedule: Schedule = "milestones",
    milestones: Sequence[float] = (),
    factor: float = 0.1,
    warm_up: float = 0.0,
    first: int,
    last: int,
    total: int,
) -> np.ndarray:
    """Return the learning rate of each step from `first` to `last`, which is not included.

    Warm-up rises in equal steps from near zero to the full rate over the first part of the training. `cosine`
    then falls along half a cosine from the full rate to near zero (Loshchilov and Hutter, arXiv 1608.03983);
    milestones stand where they do without warm-up.

    Args:
        learning_rate: the full rate.
        schedule: `milestones`, `cosine` or `constant`.
        milestones: fractions of the training length at which the rate is multiplied by `factor`.
        factor: in (0, 1).
        warm_up: fraction of the training length.
        first: the first step wanted, from 0.
        last: the first one no longer wanted.
        total: steps of the whole training.

    Returns:
        float32 (last - first,).
    """
    step = np.arange(first, last)
    warm = round(warm_up * total)
    share = np.ones(len(step))
    if schedule == "milestones":
        for milestone in milestones:
            share = np.where(step >= round(milestone * total), share * factor, share)
    elif schedule == "cosine":
        share = 0.5 * (1 + np.cos(np.pi * np.maximum(step - warm, 0) / max(total - warm, 1)))
    rising = np.minimum(1.0, (step + 1) / warm) if warm else 1.0
    return (learning_rate * share * rising).astype("float32")
