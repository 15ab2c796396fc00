"""Run source protocol: what the launcher needs of a controller, be it of a study or of a final training."""

from __future__ import annotations

from typing import Protocol

from trainables.records import Run, TestPart
from trainables.worker.requests import RunResult

EpochMetrics = list[tuple[int, dict[str, float]]]
"""(epochs finished, metrics), in order."""


class RunSource(Protocol):
    """Provides the runs to start and receives their results."""

    def next_run(self) -> Run | None:
        """Return a run to start, or None if none can start now."""
        ...

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        ...

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return the epochs after which a decision on the run is due."""
        ...

    def test_part(self, run: Run) -> TestPart | None:
        """Return what the run is tested on at its end, or None for no test."""
        ...

    def data_set(self, run: Run) -> str:
        """Return the label of the run's data set; empty if all runs have the same one."""
        ...

    def reported(self, name: str, rows: EpochMetrics) -> bool:
        """Record the metrics of epochs; return whether the run must stop."""
        ...

    def ended(self, name: str, final: RunResult) -> None:
        """Record how a run ended."""
        ...
