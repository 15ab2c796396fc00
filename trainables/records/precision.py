"""Precision record: how a study with `precision: auto` chose its precision, and what was measured for that."""

from __future__ import annotations

from typing import Literal

from trainables.records.base import Record

FLOAT32, MIXED = "float32", "mixed"
Precision = Literal["float32", "mixed"]


class NetworkGain(Record):
    """What mixed precision gains for one network.

    Args:
        network: the network in words: `resnet8, batch 32`.
        share: its share of the study's training time in float32, a fraction.
        gain: how many times as fast it trains in mixed precision.
    """

    network: str
    share: float
    gain: float


class PrecisionRecord(Record):
    """The precision of all runs of a study, chosen by timing both before its first run.

    Args:
        chosen: the precision of all runs.
        margin: how many times as fast as float32 mixed precision had to be.
        gain: how many times as fast it was in total, or None if it was not measured.
        networks: the same for each network, the largest share of the time first.
        why: why mixed precision was not measured or cannot be used, in words; empty if its gain was measured.

    Examples:
        >>> PrecisionRecord(chosen="mixed", margin=1.1, gain=1.62).text
        'mixed, timed at 1.62 times the speed of float32 (needed: 1.1)'
        >>> PrecisionRecord(chosen="float32", margin=1.1, gain=1.04).text
        'float32; mixed was timed at 1.04 times its speed (needed: 1.1)'
        >>> PrecisionRecord(chosen="float32", margin=1.1, why="a replay trains nothing").text
        'float32, since a replay trains nothing'
    """

    chosen: Precision
    margin: float
    gain: float | None = None
    networks: tuple[NetworkGain, ...] = ()
    why: str = ""

    @property
    def text(self) -> str:
        """The choice and its reason in words."""
        if self.gain is None:
            return f"{self.chosen}, since {self.why}"
        each = ", ".join(f"{one.network}: {one.gain:.2f}" for one in self.networks)
        needed = f"(needed: {self.margin:g}{f'; {each}' if len(self.networks) > 1 else ''})"
        if self.chosen == MIXED:
            return f"mixed, timed at {self.gain:.2f} times the speed of float32 {needed}"
        return f"float32; mixed was timed at {self.gain:.2f} times its speed {needed}"
