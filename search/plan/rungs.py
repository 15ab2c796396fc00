"""Rungs: the epochs after which the search runs of a condition may be stopped early; and their length otherwise."""

from __future__ import annotations

import math

from trainables.errors import InputError
from trainables.methods import Cycle

SETTLING_SHARE = 1 / 40
"""Share of the training length (at least one epoch) until a learning rate drop shows in the validation metric."""

SHORTENED = 3
"""A search with `fidelity: schedule` trains one part in this many of the whole length."""
MIN_TRIAL_EPOCHS = 4
"""Fewest epochs of such a run: one more than are averaged for its selection metric."""


def short_schedule(epochs: int, condition: str) -> int:
    """Return the length of the search runs with `fidelity: schedule`, for a training of `epochs` in all.

    Raises:
        InputError: it would be too short to rank runs.

    >>> short_schedule(100, "all")
    34
    """
    short = math.ceil(epochs / SHORTENED)
    if short < MIN_TRIAL_EPOCHS:
        raise InputError(
            f"search.fidelity: `schedule` searches with a third of the training length, but {condition} has only "
            f"{epochs} epochs; set `epochs` to {SHORTENED * (MIN_TRIAL_EPOCHS - 1) + 1} or more, or omit `fidelity`"
        )
    return short


def rung_epochs(epochs: int, first_fall: float | None, factor: float, cycles: list[Cycle]) -> list[int]:
    """Return the rungs of a condition, in epochs finished; all its arms have the same.

    No rung lies before a third of the length, or before the effect of the first learning rate drop shows: until then,
    the ranking of the runs is a poor predictor of their final ranking. If methods are switched on and off in cycles,
    each rung moves to the end of an off block, where the methods can be compared.

    Args:
        epochs: training length.
        first_fall: fraction of the length at which the learning rate falls first, the latest over the condition's runs;
            None if it does not fall.
        factor: the reduction factor, the ratio of successive rungs.
        cycles: the cycles of the condition's methods.

    >>> rung_epochs(100, None, 2, [])
    [34, 67]
    >>> rung_epochs(200, 0.5, 3, [])
    [105]
    """
    settling = max(1, math.ceil(epochs * SETTLING_SHARE))
    rungs = []
    rung = max(epochs / 3, 0 if first_fall is None else first_fall * epochs + settling)
    while rung < epochs:
        moved = next((epoch for epoch in range(math.ceil(rung), epochs) if _is_comparable(epoch, cycles)), None)
        if moved is not None and moved not in rungs:
            rungs.append(moved)
        rung *= factor
    return rungs


def why_unstopped(latest: float | None, cycles: list[Cycle]) -> str:
    """Return why a condition has no rungs, in words.

    Args:
        latest: the latest first learning rate drop, as a fraction of the length, or None if none matters.
        cycles: the cycles of the condition's methods.

    >>> why_unstopped(0.96, [])
    'no epoch follows the latest first drop of the learning rate (0.96 of the training length)'
    """
    after = f"follows the latest first drop of the learning rate ({latest:g} of the training length)"
    reasons = [] if latest is None else [after]
    reasons += ["ends an off block of every schedule that the methods may have"] if cycles else []
    return f"no epoch {' and '.join(reasons) or 'follows a third of the training length'}"


def _is_comparable(epoch: int, cycles: list[Cycle]) -> bool:
    """Return whether, after this many epochs, every cycle is at the end of an off block or is not active."""
    return all(
        epoch < cycle.start or epoch > cycle.end or (epoch > cycle.start and (epoch - cycle.start) % cycle.length == 0)
        for cycle in cycles
    )
