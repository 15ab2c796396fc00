"""What the journal holds and MLflow does not have yet. Imports no MLflow, and keeps no metrics in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from search.store.journal import Journal, Outcome, Run
from search.tracking.mapping import (
    KILLED,
    MAX_TAG,
    RUNNING,
    Report,
    StudyCard,
    interrupted_text,
    outcome_text,
)
from trainables import records


class Source(Journal):
    """A journal opened for reading run by run, so that a run's whole history fits into one delivery."""

    @classmethod
    def read(cls, folder: Path) -> Source:
        """Open the journal of the study in a folder.

        Raises:
            InputError: as `Journal.open`.
        """
        journal = Journal.open(folder / records.JOURNAL_FILE, write=False)
        return cls(journal.path, journal._db, None)

    def arrivals(self, after: int) -> list[tuple[int, str]]:
        """Return (id, run) of the epochs reported after id `after`, in order."""
        return self._db.execute("SELECT id, run FROM reports WHERE id > ? ORDER BY id", (after,)).fetchall()

    def reports_of(self, run: str, after: int) -> list[Report]:
        """Return a run's epochs reported after id `after`, in order."""
        rows = self._db.execute(
            "SELECT id, epoch, metrics, at FROM reports WHERE run = ? AND id > ? ORDER BY id", (run, after)
        ).fetchall()
        return [Report(row[0], row[1], json.loads(row[2]), row[3]) for row in rows]

    def announced(self, run: str) -> float:
        """Return when a run was announced, in seconds since 1970."""
        return self._db.execute("SELECT at FROM runs WHERE run = ?", (run,)).fetchone()[0]

    def runs_at_end(self) -> int:
        """Return how many runs the study had when it ended, or -1 if it did not, or went on."""
        row = self._db.execute("SELECT kind, detail FROM decisions ORDER BY id DESC LIMIT 1").fetchone()
        return int(json.loads(row[1])["runs"]) if row and row[0] == records.END else -1

    def all_decisions(self) -> list[tuple[str, str | None, dict[str, Any], float]]:
        """Return (kind, run, detail, time) of every decision, in order."""
        rows = self._db.execute("SELECT kind, run, detail, at FROM decisions ORDER BY id")
        return [(kind, run, json.loads(detail), at) for kind, run, detail, at in rows]

    def examples(self) -> list[tuple[str, bytes, int]]:
        """Return (run, which test images it got right as the journal packs it, their number) of all runs."""
        return self._db.execute("SELECT run, correct, n FROM examples ORDER BY run").fetchall()

    def span(self) -> tuple[float, float]:
        """Return when the first run was announced and when the last line was written, as POSIX seconds."""
        (first,) = self._db.execute("SELECT min(at) FROM runs").fetchone()
        lasts = [
            self._db.execute(f"SELECT at FROM {table} ORDER BY id DESC LIMIT 1").fetchone()
            for table in ("reports", "decisions", "outcomes")
        ]
        first = time.time() if first is None else first
        return first, max([first, *(row[0] for row in lasts if row)])


@dataclass
class Known:
    """A run as MLflow has it: its id there, its status, its `TAG_OUTCOME`, whether a user has deleted it."""

    id: str
    status: str
    outcome: str
    deleted: bool = False

    def is_closed(self, outcome: Outcome) -> bool:
        """Return whether MLflow has this outcome of the run."""
        return self.deleted or (self.status != RUNNING and self.outcome == outcome_text(outcome)[:MAX_TAG])


@dataclass
class Item:
    """One run that has something to say.

    Args:
        run: the run, without its config.
        reported: how many epochs the journal has.
        delivered: how many of them MLflow has.
        sent: the journal's id of the last report that MLflow has.
        since: when the oldest report that MLflow lacks was seen, on the monotonic clock.
        outcome: how the run ended, if it did, at `ended`.
        closed: whether MLflow has the outcome.
        failures: how often its delivery failed in a row.
    """

    run: Run
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


class Outbox:
    """All runs of a study and what is still to be delivered of each.

    Args:
        source: the study's journal.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.items: dict[str, Item] = {}
        self._run_id = self._report_id = self._outcome_id = 0

    def refresh(self, now: float) -> None:
        """Read what is new in the journal.

        Args:
            now: the monotonic clock.
        """
        # Outcomes before reports: a run whose outcome is known then has all its epochs counted.
        outcomes = self.source.outcomes(self._outcome_id)
        arrivals = self.source.arrivals(self._report_id)
        runs = self.source.runs(self._run_id)
        for _, run in runs:
            self.items[run.name] = Item(replace(run, config={}))
        for _, name, outcome, at in outcomes:
            self.items[name].outcome, self.items[name].ended = outcome, at
        for _, name in arrivals:
            item = self.items[name]
            if not item.points:
                item.since = now
            item.reported += 1
        self._run_id = runs[-1][0] if runs else self._run_id
        self._outcome_id = outcomes[-1][0] if outcomes else self._outcome_id
        self._report_id = arrivals[-1][0] if arrivals else self._report_id

    def due(self, now: float, patience: float) -> list[Item]:
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

    def compare(self, listing: Mapping[str, Known]) -> None:
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

    def _compare_interrupted(self, item: Item, known: Known) -> None:
        reports = self.source.reports_of(item.run.name, 0)
        if reports and known.outcome == interrupted_text(reports[-1].epoch):
            item.delivered, item.sent = len(reports), reports[-1].id
        else:
            item.delivered = item.sent = 0

    def backlog(self) -> tuple[int, int]:
        """Return (runs of which something is undelivered, epochs that are undelivered)."""
        waiting = [item for item in self.items.values() if item.waits]
        return len(waiting), sum(item.points for item in waiting)

    def interrupted(self, listing: Mapping[str, Known]) -> list[tuple[str, Known, str]]:
        """Return (name, run as MLflow has it, text of its outcome) of the runs to close that did not end."""
        unended = [
            (name, listing[name])
            for name, item in self.items.items()
            if item.outcome is None and name in listing and not listing[name].deleted
        ]
        texts = [(name, known, interrupted_text(self._last_epoch(name))) for name, known in unended]
        return [(name, known, text) for name, known, text in texts if (known.status, known.outcome) != (KILLED, text)]

    def _last_epoch(self, run: str) -> int:
        return max((report.epoch for report in self.source.reports_of(run, 0)), default=0)

    def card(self) -> StudyCard | None:
        """Return what the study's run says, or None while the journal does not name the study yet."""
        study_id, plan = self.source.meta(records.META_ID), self.source.meta(records.META_PLAN)
        return StudyCard.from_plan(study_id, plan, self.source.meta(records.META_FACTS)) if study_id and plan else None

    def complete(self) -> bool:
        """Return whether the study has trained all that it is going to train.

        A study says so itself, in its last decision; a final training announces all its runs at once.
        """
        if any(item.outcome is None for item in self.items.values()):
            return False
        if self.source.meta(records.META_RECIPE) is not None:
            return bool(self.items)
        return self.source.runs_at_end() == len(self.items)

    def best(self) -> Run | None:
        """Return the completed run of a final training that is best by the validation metric it is judged on.

        Where nothing is validated it is the first one: the test set chooses nothing.
        """
        metric = self.source.meta(records.META_PLAN)["metric"]
        judged = {
            item.run.name: records.oriented(metric, item.outcome.metrics.get(records.SELECTION, records.worst(metric)))
            for item in self.items.values()
            if item.run.phase == records.TRAIN and item.outcome and item.outcome.outcome == records.COMPLETED
        }
        return self.items[max(judged, key=lambda name: judged[name])].run if judged else None
