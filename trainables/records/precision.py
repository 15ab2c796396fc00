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
        why: why mixed precision was not measured or cannot be used, in words; empty if its gain decided.

    Examples:
        >>> PrecisionRecord(chosen="mixed", margin=1.1, gain=1.62).text
        'mixed: 1.62 times as fast as float32 when both were timed at the start (needed: 1.1)'
        >>> PrecisionRecord(chosen="float32", margin=1.1, why="a replay trains nothing").text
        'float32: a replay trains nothing'
    """

    chosen: Precision
    margin: float
    gain: float | None = None
    networks: tuple[NetworkGain, ...] = ()
    why: str = ""

    @property
    def text(self) -> str:
        """The choice and its reason in words."""
        if self.why or self.gain is None:
            return f"{self.chosen}: {self.why}"
        mixed = "" if self.chosen == MIXED else "mixed was "
        each = "; " + ", ".join(f"{one.network}: {one.gain:.2f}" for one in self.networks)
        return (
            f"{self.chosen}: {mixed}{self.gain:.2f} times as fast as float32 when both were timed at the start "
            f"(needed: {self.margin:g}{each if len(self.networks) > 1 else ''})"
        )
