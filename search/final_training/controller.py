"""Final training controller: starts one run per seed and records how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from search.monitor.counts import RunProgress
from search.orchestration.protocol import EpochMetrics
from search.store.journal import Journal
from trainables import records
from trainables.records import ConfusionDecision, Outcome, Run, TestPart
from trainables.schedules import mean_of_last_epochs
from trainables.worker.requests import RunResult

NAN = float("nan")


class TrainingController:
    """Provides one run per seed (see `search.orchestration.protocol.RunSource`).

    Args:
        runs: the runs of the training.
        journal: the journal of the training, open for writing.

    `curves` contains the validation accuracy of each run by epoch; NaN without validation images.
    """

    def __init__(self, runs: Sequence[Run], journal: Journal) -> None:
        self.runs = {run.name: run for run in runs}
        self._journal = journal
        known = {row.run.name for row in journal.runs()}
        self.outcomes: dict[str, Outcome] = {row.run: row.outcome for row in journal.outcomes()}
        self.curves: dict[str, dict[int, float]] = {name: {} for name in self.runs}
        for report in journal.reports():
            self.curves[report.run][report.epoch] = report.metrics.get(records.VALIDATION_ACCURACY, NAN)
        self._journal.add_runs([run for run in runs if run.name not in known])
        self._waiting = [name for name in self.runs if name not in self.outcomes]

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return len(self.outcomes) == len(self.runs)

    def next_run(self) -> Run | None:
        """Return the run of the next seed, or None."""
        return self.runs[self._waiting.pop(0)] if self._waiting else None

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return no epochs: a final training is never stopped early."""
        return ()

    def data_set(self, run: Run) -> str:
        """Return an empty label: all runs have the same data set."""
        return ""

    def test_part(self, run: Run) -> TestPart:
        """Return the official test images."""
        return "official"

    def reported(self, name: str, rows: EpochMetrics) -> bool:
        """Record the metrics of epochs; a run never has to stop."""
        self._journal.report(name, rows)
        for epoch, metrics in rows:
            self.curves[name].setdefault(epoch, metrics.get(records.VALIDATION_ACCURACY, NAN))
        return False

    def ended(self, name: str, final: RunResult) -> None:
        """Record how a run ended; only its first end counts."""
        if name in self.outcomes:
            return
        curve, metrics = self.curves[name], dict(final.metrics)
        judged = mean_of_last_epochs(curve, int(self.runs[name].config["epochs"])) if curve else NAN
        if final.outcome == records.COMPLETED and not np.isnan(judged):
            metrics[records.SELECTION] = judged
        if final.confusion is not None:
            self._journal.decide(ConfusionDecision(counts=final.confusion.tolist()), name)
        epoch = max(curve, default=0) if final.epoch is None else final.epoch
        self.outcomes[name] = Outcome(final.outcome, epoch, final.reason, metrics)
        self._journal.end(name, self.outcomes[name], final.correct, final.loss)

    def progress(self) -> list[RunProgress]:
        """Return the progress of every run."""
        return [
            RunProgress(self.runs[name], max(curve, default=0), self.outcomes.get(name))
            for name, curve in list(self.curves.items())
        ]
