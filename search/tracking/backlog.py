"""Backlog: what the journal holds and MLflow does not have yet. Neither imports MLflow nor keeps metrics in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from search.tracking.mapping import (
    KILLED,
    MAX_TAG,
    RUNNING,
    StudyCard,
    interrupted_text,
    outcome_text,
)
from trainables import records
from trainables.records import JournalReader, Outcome, Run


@dataclass
class TrackedRun:
    """A run as MLflow has it.

    Args:
        id: MLflow's id.
        status: MLflow's status.
        outcome: its `TAG_OUTCOME`.
        deleted: whether a user has deleted it.
    """

    id: str
    status: str
    outcome: str
    deleted: bool = False

    def is_closed(self, outcome: Outcome) -> bool:
        """Return whether MLflow has this outcome of the run."""
        return self.deleted or (self.status != RUNNING and self.outcome == outcome_text(outcome)[:MAX_TAG])


@dataclass
class RunBacklog:
    """What MLflow lacks of one run.

    Args:
        run: the run, without its config.
        announced: when it was announced, in POSIX seconds.
        reported: how many epochs the journal has.
        delivered: how many of them MLflow has.
        sent: the journal's id of the last report that MLflow has.
        since: when the oldest report that MLflow lacks was seen, on the monotonic clock.
        outcome: how the run ended, if it did, at `ended`.
        closed: whether MLflow has the outcome.
        failures: how often its delivery failed in a row.
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
    def points(self) -> int:
        """How many epochs MLflow lacks."""
        return self.reported - self.delivered

    @property
    def waits(self) -> bool:
        """Whether MLflow lacks anything of this run."""
        return self.points > 0 or (self.outcome is not None and not self.closed)


class Backlog:
    """What MLflow lacks of all runs of a study.

    Args:
        journal: the study's journal.
    """

    def __init__(self, journal: JournalReader) -> None:
        self.journal = journal
        self.items: dict[str, RunBacklog] = {}
        self._run_id = self._report_id = self._outcome_id = 0

    def refresh(self, now: float) -> None:
        """Read what is new in the journal.

        Args:
            now: the monotonic clock.
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
            if not item.points:
                item.since = now
            item.reported += 1
        self._run_id = runs[-1].id if runs else self._run_id
        self._outcome_id = outcomes[-1].id if outcomes else self._outcome_id
        self._report_id = arrivals[-1].id if arrivals else self._report_id

    def due(self, now: float, patience: float) -> list[RunBacklog]:
        """Return the runs to deliver now; those that failed before come last.

        Args:
            now: the monotonic clock.
            patience: seconds for which reports of a run that has not ended are collected.
        """
        items = [
            item
            for item in self.items.values()
            if item.waits and (item.outcome is not None or now - item.since >= patience)
        ]
        return sorted(items, key=lambda item: item.failures)

    def compare(self, listing: Mapping[str, TrackedRun]) -> None:
        """Start over from what MLflow lists: what was closed there is delivered, all else is sent again.

        A run is closed after all else of it was written, so its outcome there stands for the whole. Sending
        again is harmless: MLflow keeps an equal point once.

        Args:
            listing: the study's runs in MLflow, by name.
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
        """Return (runs of which something is undelivered, epochs that are undelivered)."""
        waiting = [item for item in self.items.values() if item.waits]
        return len(waiting), sum(item.points for item in waiting)

    def interrupted(self, listing: Mapping[str, TrackedRun]) -> list[tuple[str, TrackedRun, str]]:
        """Return (name, run as MLflow has it, text of its outcome) of the runs to close that did not end."""
        unended = [
            (name, listing[name])
            for name, item in self.items.items()
            if item.outcome is None and name in listing and not listing[name].deleted
        ]
        texts = [(name, known, interrupted_text(self._last_epoch(name))) for name, known in unended]
        return [(name, known, text) for name, known, text in texts if (known.status, known.outcome) != (KILLED, text)]

    def _last_epoch(self, run: str) -> int:
        return max((report.epoch for report in self.journal.reports(run=run)), default=0)

    def card(self) -> StudyCard | None:
        """Return what the study's run says, or None while the journal does not name the study yet."""
        study_id, plan = self.journal.meta(records.META_ID), self.journal.plan()
        return StudyCard.from_plan(study_id, plan, self.journal.facts()) if study_id and plan else None

    def complete(self) -> bool:
        """Return whether the study has trained all that it is going to train.

        A study says so itself, in its last decision; a final training announces all its runs at once.
        """
        if any(item.outcome is None for item in self.items.values()):
            return False
        if self.journal.meta(records.META_RECIPE) is not None:
            return bool(self.items)
        return self.journal.runs_at_end() == len(self.items)

    def best(self) -> Run | None:
        """Return the completed run of a final training that is best by the validation metric it is judged on.

        Where nothing is validated it is the first one: the test set chooses nothing.
        """
        plan = self.journal.plan()
        metric = plan.metric if plan else records.VALIDATION_ACCURACY
        judged = {
            item.run.name: records.as_maximized(
                metric, item.outcome.metrics.get(records.SELECTION, records.worst(metric))
            )
            for item in self.items.values()
            if item.run.phase == records.TRAIN and item.outcome and item.outcome.outcome == records.COMPLETED
        }
        return self.items[max(judged, key=lambda name: judged[name])].run if judged else None
