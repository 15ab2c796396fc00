"""Synchronizer: sends what is new in the journal to MLflow, round by round, whatever MLflow answers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from search.tracking import mapping
from search.tracking.artifacts import log_file, log_folder, log_history, log_text
from search.tracking.backlog import Backlog, RunBacklog, TrackedRun
from search.tracking.client import error_code
from search.tracking.import_study import statement
from search.tracking.mlflow_store import TrackingStore
from search.tracking.models import log_model, register_model
from search.tracking.uri import redact
from trainables import records
from trainables.records import Run

PATIENCE = 5.0  # seconds for which reports of a living run are collected
_FAILURES_IN_A_ROW = 3  # in one round; then MLflow is away, and the round ends
_REFUSALS = 5  # of one run while others get through; then it is given up
_VERSION_TAGS = (records.TAG_STUDY, records.TAG_STUDY_ID, records.TAG_RUN, records.TAG_METHOD, records.TAG_DATA)
_log = logging.getLogger(__name__)


class Synchronizer:
    """Delivers one study, round by round.

    Args:
        folder: the study's folder.
        uri: the tracking store.
        backlog: what is to be delivered.
        may_go_on: asked between two runs; a round ends early when it says no.
    """

    def __init__(self, folder: Path, uri: str, backlog: Backlog, may_go_on: Callable[[], bool]) -> None:
        self.error = ""
        self.complete = False
        self.finished = False
        self._folder = folder
        self._uri = uri
        self._backlog = backlog
        self._may_go_on = may_go_on
        self._store: TrackingStore | None = None
        self._files_kept = False
        self._tried_all = False

    def round(self, last: bool) -> bool:
        """Deliver what waits.

        After the last round that was needed `finished` is True, and `complete` if MLflow has all of it.

        Args:
            last: nothing more will come: runs without an outcome are closed as interrupted, the study is
                closed, the report is kept, and what MLflow then lists is compared with the journal.

        Returns:
            Whether MLflow answers, so that there is no need to wait longer before the next round.
        """
        self._backlog.refresh(time.monotonic())
        # MLflow, its drivers and whatever stands between may raise anything; this process has to outlive it.
        try:
            store = self._connected(last)
            delivered, refusal = self._deliver(store, last)
            if last:
                self._close(store)
            self._keep_files(store)
            if last:
                self._settle(store)
        except Exception as error:
            self._note(error)
            return False
        self._note(refusal)
        return delivered > 0 or refusal is None

    def run_ids(self) -> dict[str, str]:
        """Return MLflow's ids of the delivered runs by run name."""
        listing = self._store.listing if self._store else {}
        return {name: known.id for name, known in sorted(listing.items()) if not known.deleted}

    def _span(self) -> tuple[float, float]:
        """Return when the study started and when its last row was written."""
        return self._backlog.journal.span() or (time.time(), time.time())

    def _note(self, error: Exception | None) -> None:
        text = redact(f"{type(error).__name__}: {error}")[:500] if error else ""
        if text and text != self.error:
            _log.warning("MLflow does not take it, trying again: %s", text)
        elif self.error and not text:
            _log.info("MLflow takes it again")
        self.error = text
        if error_code(error) == "RESOURCE_DOES_NOT_EXIST":
            self._store = None

    def _connected(self, last: bool) -> TrackingStore:
        if self._store is None:
            card = self._backlog.card()
            if card is None:
                raise LookupError("the journal does not name its study yet")
            begin = mapping.milliseconds(self._span()[0])
            store = TrackingStore(self._uri, self._folder, card, begin)
            store.connect()
            self._backlog.compare(store.listing)
            _log.info("connected; %d runs are there, %d wait", len(store.listing), self._backlog.size()[0])
            self._store = store
        store = self._store
        if not last and store.parent.status != mapping.RUNNING:
            store.reopen(store.parent)
        return store

    def _deliver(self, store: TrackingStore, last: bool) -> tuple[int, Exception | None]:
        """Deliver all runs that are due; one that MLflow refuses does not hold up the others.

        Returns:
            How many runs were delivered, and what went wrong last.
        """
        delivered = failed = 0
        error: Exception | None = None
        self._tried_all = True
        for item in self._backlog.due(time.monotonic(), 0.0 if last else PATIENCE):
            if not self._may_go_on() or failed == _FAILURES_IN_A_ROW:
                self._tried_all = False
                break
            try:
                self._deliver_run(store, item)
            except Exception as raised:
                error = raised
                failed += 1
                item.failures += 1
            else:
                delivered += 1
                failed = item.failures = 0
        return delivered, error

    def _deliver_run(self, store: TrackingStore, item: RunBacklog) -> None:
        run, outcome, begun = item.run, item.outcome, item.sent > 0
        reports = self._backlog.journal.reports(item.sent, run.name)
        points = mapping.epoch_points(reports)
        parameters = None if begun else mapping.parameters(run)
        known = store.open_run(run, mapping.started(item.announced, reports, item.ended or time.time()))
        if known.deleted:
            pass  # somebody threw it away in MLflow; it stays away
        elif outcome is not None:
            finals = mapping.final_points(outcome, item.ended)
            log_history(store.client, known.id, run.name, self._backlog.journal.reports(run=run.name))
            if run.phase == records.TRAIN and outcome.outcome == records.COMPLETED:
                self._keep_model(store, run, known, finals)
            store.close(
                known,
                mapping.status(outcome),
                mapping.outcome_text(outcome),
                mapping.milliseconds(item.ended),
                points=points + finals,
                parameters=parameters,
            )
        else:
            if known.status != mapping.RUNNING:
                store.reopen(known)
            store.log(known.id, points, parameters)
        item.closed = outcome is not None
        item.delivered += len(reports)
        item.sent = reports[-1].id if reports else item.sent

    def _keep_model(self, store: TrackingStore, run: Run, known: TrackedRun, finals: list[mapping.Point]) -> str | None:
        """Log the model of a final training's run; return MLflow's id of it, or None if there is no model."""
        path = self._folder / records.MODELS / f"{run.name}.keras"
        if not path.is_file():
            return None
        tags = store.card.run_tags(run, store.parent.id)
        return log_model(
            store.client,
            store.experiment,
            known.id,
            path,
            parameters=mapping.shorten(mapping.parameters(run), mapping.MAX_TAG)[0],
            tags={name: value for name, value in tags.items() if name != records.TAG_PARENT},
            points=finals,
        )

    def _keep_files(self, store: TrackingStore) -> None:
        """Keep the study file, the recipe of a final training and the facts, once per process."""
        if self._files_kept:
            return
        for name in (records.STUDY_FILE, records.RECIPE_FILE):
            log_file(store.client, store.parent.id, self._folder / name, name)
        facts = self._backlog.journal.meta(records.META_FACTS)
        if facts:
            log_text(store.client, store.parent.id, json.dumps(facts, indent=1), records.FACTS_ARTIFACT)
        log_text(store.client, store.parent.id, statement(self._backlog.journal), records.JOURNAL_ARTIFACT)
        self._files_kept = True

    def _close(self, store: TrackingStore) -> None:
        """Close the runs that did not end, and the study."""
        end = mapping.milliseconds(self._span()[1])
        for name, known, text in self._backlog.interrupted(store.listing):
            log_history(store.client, known.id, name, self._backlog.journal.reports(run=name))
            store.close(known, mapping.KILLED, text, end)
        complete = self._backlog.complete()
        status, outcome = (mapping.FINISHED, records.COMPLETED) if complete else (mapping.KILLED, records.INTERRUPTED)
        if (store.parent.status, store.parent.outcome) != (status, outcome):
            store.close(store.parent, status, outcome, end)

    def _register(self, store: TrackingStore) -> None:
        """Register the best model of a final training under the name that was asked for, if there is one."""
        name, best = self._backlog.journal.meta(records.META_REGISTER), self._backlog.best()
        known = store.listing.get(best.name) if best else None
        if not name or best is None or known is None or known.deleted:
            return
        model = self._keep_model(store, best, known, [])
        if model:
            tags = store.card.run_tags(best, store.parent.id)
            tags = {key: tags[key] for key in _VERSION_TAGS if key in tags}
            register_model(store.client, name, model, known.id, tags)

    def _settle(self, store: TrackingStore) -> None:
        """Keep what came at the end, and hold what MLflow lists against the journal."""
        end = mapping.milliseconds(self._span()[1])
        log_folder(store.client, store.parent.id, self._folder / records.REPORT, records.REPORT)
        log_text(store.client, store.parent.id, statement(self._backlog.journal), records.JOURNAL_ARTIFACT)
        log_file(store.client, store.parent.id, self._folder / records.RECIPE_FILE, records.RECIPE_FILE)
        if self._backlog.complete():
            self._register(store)
        store.list_runs()
        self._backlog.compare(store.listing)
        waiting = [item for item in self._backlog.items.values() if item.waits]
        self.complete = not waiting
        self.finished = self._tried_all and all(item.failures >= _REFUSALS for item in waiting)
        if self.finished:
            refused = [store.listing[item.run.name] for item in waiting if item.run.name in store.listing]
            for known in refused:
                store.close(known, mapping.KILLED, records.UNDELIVERED, end)
