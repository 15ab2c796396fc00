"""Off phases of a method: the end of training, and the off blocks of an on/off cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trainables.methods import Method
from trainables.methods.base import off_from


class OffPhases(NamedTuple):
    """The phases in which a method is off in every run of an arm.

    Args:
        start: epoch, from 0, from which it stays off; the training length if it is on until the end.
        block_ends: epochs finished at the end of each off block of its cycle.
    """

    start: int
    block_ends: tuple[int, ...] = ()


def off_phases(methods: Sequence[Method], given: Mapping[str, Any], epochs: int) -> OffPhases:
    """Return the phases in which a method is off for all values of its searched hyperparameters.

    Args:
        methods: the method at every corner of its search space.
        given: recipe factors that are set, by name.
        epochs: training length.

    >>> from trainables.methods import METHODS
    >>> off_phases([METHODS.get("mixup")()], {"fine_tune": 0.25}, 20)
    OffPhases(start=15, block_ends=())
    """
    fine_tune = given.get("fine_tune", 0)
    starts = [off_from(fine_tune, epochs) if isinstance(fine_tune, int | float) else epochs]
    found = [cycle for method in methods if (cycle := method.cycle(epochs))]
    if not found or len(found) < len(methods):
        return OffPhases(starts[0])
    starts.append(max(cycle.end for cycle in found))
    blocks = [{*range(cycle.start + cycle.length, cycle.end + 1, cycle.length)} for cycle in found]
    return OffPhases(min(starts), tuple(sorted(set.intersection(*blocks))))
