"""Hands out the runs of a final training, one for each seed, and writes down what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import numpy as np

from search.monitor.progress import Seen
from search.orchestration.controller import Rows
from search.store.journal import Journal, Outcome, Run
from trainables import records
from trainables.schedules import selection_epochs
from trainables.worker.requests import Final

NAN = float("nan")


class FinalConductor:
    """Hands out one run for each seed (see `search.orchestration.controller.Conducts`).

    `curves` holds validation accuracy by epoch; not a number where nothing is validated.
    """

    def __init__(self, runs: Sequence[Run], journal: Journal) -> None:
        self.runs = {run.name: run for run in runs}
        self._journal = journal
        known = {run.name for _, run in journal.runs()}
        self.outcomes: dict[str, Outcome] = {name: outcome for _, name, outcome, _ in journal.outcomes()}
        self.curves: dict[str, dict[int, float]] = {name: {} for name in self.runs}
        for _, name, epoch, metrics, _ in journal.reports():
            self.curves[name][epoch] = metrics.get(records.VALIDATION_ACCURACY, NAN)
        self._journal.add_runs([run for run in runs if run.name not in known])
        self._waiting = [name for name in self.runs if name not in self.outcomes]

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return len(self.outcomes) == len(self.runs)

    def next_run(self) -> Run | None:
        """Return the next seed's run, or None."""
        return self.runs[self._waiting.pop(0)] if self._waiting else None

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return nothing: a final training is never stopped early."""
        return ()

    def reported(self, name: str, rows: Rows) -> bool:
        """Write epochs down."""
        self._journal.report(name, rows)
        for epoch, metrics in rows:
            self.curves[name].setdefault(epoch, metrics.get(records.VALIDATION_ACCURACY, NAN))
        return False

    def ended(self, name: str, final: Final) -> None:
        """Write down how a run ended."""
        if name in self.outcomes:
            return
        curve, metrics = self.curves[name], dict(final.metrics)
        last = sorted(curve)[-selection_epochs(int(self.runs[name].config["epochs"])) :]
        judged = fmean(curve[epoch] for epoch in last) if last else NAN
        if final.outcome == records.COMPLETED and not np.isnan(judged):
            metrics[records.SELECTION] = judged
        if final.confusion is not None:
            self._journal.decide(records.CONFUSION, {"counts": final.confusion.tolist()}, name)
        epoch = max(curve, default=0) if final.epoch is None else final.epoch
        self.outcomes[name] = Outcome(final.outcome, epoch, final.reason, metrics)
        self._journal.end(name, self.outcomes[name], final.correct, final.loss)

    def seen(self) -> list[Seen]:
        """Return how far every run is."""
        return [
            Seen(self.runs[name], max(curve, default=0), self.outcomes.get(name))
            for name, curve in list(self.curves.items())
        ]
