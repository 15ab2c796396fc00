"""Backlog: what is in the journal but not in MLflow yet. Does not import MLflow, and keeps no metrics in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from search.tracking.mapping import (
    KILLED,
    MAX_TAG,
    RUNNING,
    StudyTags,
    interrupted_text,
    outcome_text,
)
from trainables import records
from trainables.records import JournalReader, Outcome, Run


@dataclass
class TrackedRun:
    """State of a run in MLflow.

    Args:
        id: MLflow's id of the run.
        status: MLflow's status.
        outcome: value of `TAG_OUTCOME`.
        deleted: whether a user has deleted the run.
    """

    id: str
    status: str
    outcome: str
    deleted: bool = False

    def is_closed(self, outcome: Outcome) -> bool:
        """Return whether MLflow has this outcome, or the run was deleted there."""
        return self.deleted or (self.status != RUNNING and self.outcome == outcome_text(outcome)[:MAX_TAG])


@dataclass
class RunBacklog:
    """The undelivered part of one run.

    Args:
        run: the run, without its config.
        announced: time of its announcement, in POSIX seconds.
        reported: number of epochs in the journal.
        delivered: number of epochs in MLflow.
        sent: journal id of the last delivered report.
        since: time at which the oldest undelivered report was seen, on the monotonic clock.
        outcome: outcome of the run, or None.
        ended: time of the outcome, in POSIX seconds.
        closed: whether MLflow has the outcome.
        failures: number of consecutive failed deliveries.
    """

    run: Run
    announced: float = 0.0
    reported: int = 0
    delivered: int = 0
    sent: int = 0
    since: float = 0.0
    outcome: Outcome | None = None
    ended: float = 0.0
    closed: bool = False
    failures: int = 0

    @property
    def epochs(self) -> int:
        """Number of undelivered epochs."""
        return self.reported - self.delivered

    @property
    def is_pending(self) -> bool:
        """Whether anything of this run is undelivered."""
        return self.epochs > 0 or (self.outcome is not None and not self.closed)


class Backlog:
    """The undelivered parts of all runs of a study.

    Args:
        journal: the journal of the study.
    """

    def __init__(self, journal: JournalReader) -> None:
        self.journal = journal
        self.items: dict[str, RunBacklog] = {}
        self._run_id = self._report_id = self._outcome_id = 0

    def refresh(self, now: float) -> None:
        """Read the new rows of the journal.

        Args:
            now: time of the monotonic clock.
        """
        # Outcomes before reports: a run whose outcome is known then has all its epochs counted.
        outcomes = self.journal.outcomes(self._outcome_id)
        arrivals = self.journal.arrivals(self._report_id)
        runs = self.journal.runs(self._run_id)
        for _, run, at in runs:
            self.items[run.name] = RunBacklog(replace(run, config={}), announced=at)
        for row in outcomes:
            self.items[row.run].outcome, self.items[row.run].ended = row.outcome, row.at
        for arrival in arrivals:
            item = self.items[arrival.run]
            if not item.epochs:
                item.since = now
            item.reported += 1
        self._run_id = runs[-1].id if runs else self._run_id
        self._outcome_id = outcomes[-1].id if outcomes else self._outcome_id
        self._report_id = arrivals[-1].id if arrivals else self._report_id

    def due(self, now: float, patience: float) -> list[RunBacklog]:
        """Return the runs to deliver now; those whose delivery failed before come last.

        Args:
            now: time of the monotonic clock.
            patience: seconds for which reports of a running run are collected.
        """
        items = [
            item
            for item in self.items.values()
            if item.is_pending and (item.outcome is not None or now - item.since >= patience)
        ]
        return sorted(items, key=lambda item: item.failures)

    def compare(self, listing: Mapping[str, TrackedRun]) -> None:
        """Reset the backlog to the state of MLflow: closed runs are delivered, all others are sent again.

        The outcome of a run is written last, so a closed run is complete in MLflow. Sending points again is harmless:
        MLflow stores equal points once.

        Args:
            listing: the runs of the study in MLflow, by name.
        """
        for item in self.items.values():
            known = listing.get(item.run.name)
            item.closed = known is not None and item.outcome is not None and known.is_closed(item.outcome)
            if item.closed:
                item.delivered = item.reported
            elif known is not None and item.outcome is None and known.status == KILLED:
                self._compare_interrupted(item, known)
            elif known is None or item.outcome is not None:
                item.delivered = item.sent = 0

    def _compare_interrupted(self, item: RunBacklog, known: TrackedRun) -> None:
        reports = self.journal.reports(run=item.run.name)
        if reports and known.outcome == interrupted_text(reports[-1].epoch):
            item.delivered, item.sent = len(reports), reports[-1].id
        else:
            item.delivered = item.sent = 0

    def size(self) -> tuple[int, int]:
        """Return (number of runs with undelivered parts, number of undelivered epochs)."""
        pending = [item for item in self.items.values() if item.is_pending]
        return len(pending), sum(item.epochs for item in pending)

    def interrupted(self, listing: Mapping[str, TrackedRun]) -> list[tuple[str, TrackedRun, str]]:
        """Return (name, state in MLflow, text of the outcome) of the runs to close that did not end."""
        interrupted = [
            (name, listing[name])
            for name, item in self.items.items()
            if item.outcome is None and name in listing and not listing[name].deleted
        ]
        texts = [(name, known, interrupted_text(self._last_epoch(name))) for name, known in interrupted]
        return [(name, known, text) for name, known, text in texts if (known.status, known.outcome) != (KILLED, text)]

    def _last_epoch(self, run: str) -> int:
        return max((report.epoch for report in self.journal.reports(run=run)), default=0)

    def study_tags(self) -> StudyTags | None:
        """Return the tags of the study and its runs, or None while the journal has no plan yet."""
        study_id, plan = self.journal.meta(records.META_ID), self.journal.plan()
        return StudyTags.from_plan(study_id, plan, self.journal.facts()) if study_id and plan else None

    def complete(self) -> bool:
        """Return whether all runs of the study have ended and no more will follow.

        A study records its end as its last decision; a final training announces all its runs at once.
        """
        if any(item.outcome is None for item in self.items.values()):
            return False
        if self.journal.is_final_training:
            return bool(self.items)
        return self.journal.runs_at_end() == len(self.items)

    def best(self) -> Run | None:
        """Return the completed run of a final training with the best selection metric, or None.

        Without validation data it is the first one, since the test set must not be used for selection.
        """
        metric = self.journal.required_plan().metric
        values = {
            item.run.name: records.as_maximized(
                metric, item.outcome.metrics.get(records.SELECTION, records.worst(metric))
            )
            for item in self.items.values()
            if item.run.phase == records.TRAIN and item.outcome and item.outcome.outcome == records.COMPLETED
        }
        return self.items[max(values, key=lambda name: values[name])].run if values else None
