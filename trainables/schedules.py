"""Schedules over training time: the learning rate, and the number of last epochs that a run is evaluated on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

import numpy as np

Schedule = Literal["milestones", "cosine", "constant"]


def selection_epochs(epochs: int) -> int:
    """Return the number of last epochs whose metrics decide a run's value: a twentieth, rounded up, and at least 3.

    Examples:
        >>> selection_epochs(20), selection_epochs(165)
        (3, 9)
    """
    return max(3, -(-epochs // 20))


def mean_of_last_epochs(curve: Mapping[int, float], epochs: int) -> float:
    """Return the mean metric of the last epochs of a run: what runs are judged on, never the best epoch.

    Args:
        curve: the metric by the number of finished epochs; not empty.
        epochs: length of the run.

    Examples:
        >>> mean_of_last_epochs({1: 0.25, 2: 0.25, 3: 0.5, 4: 0.75}, epochs=4)
        0.5
    """
    return fmean(curve[epoch] for epoch in sorted(curve)[-selection_epochs(epochs) :])


def fractions(milestones: Sequence[float], of: float) -> list[float]:
    """Return milestones as fractions of the training length.

    Args:
        milestones: positions at which the learning rate falls, in any unit: epochs, steps or fractions.
        of: the training length in the same unit.

    Examples:
        >>> fractions([80, 120], of=160)
        [0.5, 0.75]
    """
    return [milestone / of for milestone in milestones]


NO_FALL = "none"
"""Text of a schedule of milestones without any."""


def schedule_text(milestones: Sequence[float]) -> str:
    """Return milestones as text, a value that search spaces, journals and tables can hold.

    Examples:
        >>> schedule_text([0.5, 0.75])
        '0.5, 0.75'
    """
    return ", ".join(f"{milestone:.12g}" for milestone in milestones) or NO_FALL


def parse_schedule(text: str) -> list[float]:
    """Return the milestones of a text: the inverse of `schedule_text`.

    Raises:
        ValueError: the text is not a list of numbers.

    Examples:
        >>> parse_schedule("0.5, 0.75"), parse_schedule("none")
        ([0.5, 0.75], [])
    """
    return [] if text == NO_FALL else [float(number) for number in text.split(",")]


def milestone_number(name: str) -> int | None:
    """Return k of the plain name `milestone_K`, which stands for the k-th milestone, and None for other names.

    Examples:
        >>> milestone_number("milestone_2"), milestone_number("milestones")
        (2, None)
    """
    found = re.fullmatch(r"milestone_([1-9])", name)
    return int(found.group(1)) if found else None


def part(epoch: int, epochs: int, steps: int) -> tuple[int, int]:
    """Return the first step of an epoch and the first step after it, where `epochs` share `steps` evenly.

    Args:
        epoch: the epoch, from 0.
        epochs: number of epochs.
        steps: total number of steps.

    Examples:
        >>> [part(epoch, 3, 10) for epoch in range(3)]
        [(0, 3), (3, 6), (6, 10)]
    """
    return epoch * steps // epochs, (epoch + 1) * steps // epochs


def learning_rates(
    learning_rate: float,
    *,
    schedule: Schedule = "milestones",
    milestones: Sequence[float] = (),
    factor: float = 0.1,
    warm_up: float = 0.0,
    rate_decay: float = 0.0,
    first: int,
    last: int,
    total: int,
) -> np.ndarray:
    """Return the learning rate of each step from `first` up to but not including `last`.

    During warm-up the rate rises linearly from near zero to the full rate. `cosine` then falls along half a cosine from
    the full rate to near zero (Loshchilov and Hutter, arXiv 1608.03983). Warm-up does not move the milestones. Any
    schedule can be combined with inverse-time decay, a division by `1 + rate_decay * step`, which the optimizers of
    Keras before 2.11 called `decay`. It counts steps and does not scale with the length.

    Args:
        learning_rate: the full rate.
        schedule: `milestones`, `cosine` or `constant`.
        milestones: fractions of the training length at which the rate is multiplied by `factor`.
        factor: factor in (0, 1).
        warm_up: length of the warm-up, as a fraction of the training length.
        rate_decay: inverse-time decay per step, 0 for none.
        first: first step, from 0.
        last: the step after the last one.
        total: number of steps of the whole training.

    Returns:
        float32 (last - first,).

    Examples:
        >>> learning_rates(0.5, milestones=[0.5], first=0, last=4, total=4).round(3).tolist()
        [0.5, 0.5, 0.05000000074505806, 0.05000000074505806]
        >>> learning_rates(1.0, schedule="constant", warm_up=0.5, first=0, last=4, total=4).tolist()
        [0.5, 1.0, 1.0, 1.0]
        >>> learning_rates(1.0, schedule="constant", rate_decay=1.0, first=0, last=3, total=3).round(3).tolist()
        [1.0, 0.5, 0.3330000042915344]
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
    return (learning_rate * share * rising / (1 + rate_decay * step)).astype("float32")
