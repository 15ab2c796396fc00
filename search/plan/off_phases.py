"""When methods are off: the end of training, and the off blocks of an on/off cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trainables.methods import Method
from trainables.methods.base import off_from


class OffPhases(NamedTuple):
    """Where a method is off in every run of an arm.

    Args:
        start: the epoch, from 0, from which it is off to the end; the training length where it is on to the end.
        block_ends: epochs finished at the ends of the off blocks of its cycle.
    """

    start: int
    block_ends: tuple[int, ...] = ()


def off_phases(methods: Sequence[Method], given: Mapping[str, Any], epochs: int) -> OffPhases:
    """Return where a method is off whatever is searched of it.

    Args:
        methods: the method with every combination of the ends of what is searched of it.
        given: recipe factors that are set, by name.
        epochs: training length.
    """
    fine_tune = given.get("fine_tune", 0)
    starts = [off_from(fine_tune, epochs) if isinstance(fine_tune, int | float) else epochs]
    found = [cycle for method in methods if (cycle := method.cycle(epochs))]
    if not found or len(found) < len(methods):
        return OffPhases(starts[0])
    starts.append(max(cycle.end for cycle in found))
    blocks = [{*range(cycle.start + cycle.length, cycle.end + 1, cycle.length)} for cycle in found]
    return OffPhases(min(starts), tuple(sorted(set.intersection(*blocks))))
