"""Synchronizer: sends the new content of the journal to MLflow in rounds, and retries what MLflow rejects."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from search.store.tracking_uri import redact
from search.tracking import mapping
from search.tracking.artifacts import log_file, log_folder, log_history, log_text
from search.tracking.backlog import Backlog, RunBacklog, TrackedRun
from search.tracking.client import error_code
from search.tracking.import_study import journal_document
from search.tracking.mlflow_store import TrackingStore
from search.tracking.models import log_model, register_model
from trainables import records
from trainables.records import Run
from trainables.records.files import is_file_name

PATIENCE = 5.0  # seconds for which reports of a running run are collected
_MAX_CONSECUTIVE_FAILURES = 3  # in one round; then MLflow counts as unavailable, and the round ends
_MAX_REJECTIONS = 5  # of one run while others are accepted; then its delivery is given up
_VERSION_TAGS = (records.TAG_STUDY, records.TAG_STUDY_ID, records.TAG_RUN, records.TAG_METHOD, records.TAG_DATA)
_log = logging.getLogger(__name__)


class Synchronizer:
    """Delivers one study in rounds.

    Args:
        folder: the study folder.
        uri: the tracking store.
        backlog: the undelivered content of the journal.
        may_continue: called before each run; a round ends early if it returns False.
    """

    def __init__(self, folder: Path, uri: str, backlog: Backlog, may_continue: Callable[[], bool]) -> None:
        self.error = ""
        self.complete = False
        self.finished = False
        self._folder = folder
        self._uri = uri
        self._backlog = backlog
        self._may_continue = may_continue
        self._store: TrackingStore | None = None
        self._files_logged = False
        self._tried_all = False

    def round(self, last: bool) -> bool:
        """Deliver the pending runs.

        When no further round is needed, `finished` is True, and `complete` is True if MLflow has everything.

        Args:
            last: whether the journal will not change any more: then runs without an outcome are closed as interrupted,
                the study is closed, the report is stored, and MLflow's list of runs is compared with the journal.

        Returns:
            Whether MLflow responds, so that the next round need not be delayed.
        """
        self._backlog.refresh(time.monotonic())
        # MLflow, its database drivers and the network may raise any exception; this process must survive it.
        try:
            store = self._connected(last)
            delivered, rejection = self._deliver(store, last)
            if last:
                self._close(store)
            self._log_files(store)
            if last:
                self._settle(store)
        except Exception as error:
            self._note(error)
            return False
        self._note(rejection)
        return delivered > 0 or rejection is None

    def run_ids(self) -> dict[str, str]:
        """Return MLflow's ids of the delivered runs by run name."""
        listing = self._store.listing if self._store else {}
        return {name: known.id for name, known in sorted(listing.items()) if not known.deleted}

    def experiment(self) -> str:
        """Return MLflow's id of the experiment, or an empty text before the first connection."""
        return self._store.experiment if self._store else ""

    def _span(self) -> tuple[float, float]:
        """Return the start time of the study and the time of its last row, in POSIX seconds."""
        return self._backlog.journal.span() or (time.time(), time.time())

    def _note(self, error: Exception | None) -> None:
        text = redact(f"{type(error).__name__}: {error}")[:500] if error else ""
        if text and text != self.error:
            _log.warning("the delivery to MLflow failed, trying again: %s", text)
        elif self.error and not text:
            _log.info("the delivery to MLflow works again")
        self.error = text
        if error_code(error) == "RESOURCE_DOES_NOT_EXIST":
            self._store = None

    def _connected(self, last: bool) -> TrackingStore:
        if self._store is not None and self._store.was_deleted():
            _log.warning("the experiment or the run of the study was deleted in MLflow; creating it again")
            self._store, self._files_logged = None, False
        if self._store is None:
            study_tags = self._backlog.study_tags()
            if study_tags is None:
                raise LookupError("the journal has no plan yet")
            begin = mapping.milliseconds(self._span()[0])
            store = TrackingStore(self._uri, self._folder, study_tags, begin)
            store.connect()
            self._backlog.compare(store.listing)
            _log.info("connected; MLflow has %d runs, %d are pending", len(store.listing), self._backlog.size()[0])
            self._store = store
        store = self._store
        if not last and store.parent.status != mapping.RUNNING:
            store.reopen(store.parent)
        return store

    def _deliver(self, store: TrackingStore, last: bool) -> tuple[int, Exception | None]:
        """Deliver all runs that are due; a run that MLflow rejects does not block the others.

        Returns:
            Number of delivered runs, and the last error or None.
        """
        delivered = failed = 0
        error: Exception | None = None
        self._tried_all = True
        for item in self._backlog.due(time.monotonic(), 0.0 if last else PATIENCE):
            if not self._may_continue() or failed == _MAX_CONSECUTIVE_FAILURES:
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
            pass  # a user has deleted it in MLflow
        elif outcome is not None:
            finals = mapping.final_points(outcome, item.ended)
            log_history(store.client, known.id, run.name, self._backlog.journal.reports(run=run.name))
            if run.phase == records.TRAIN and outcome.outcome == records.COMPLETED:
                self._log_model(store, run, known, finals)
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

    def _log_model(self, store: TrackingStore, run: Run, known: TrackedRun, finals: list[mapping.Point]) -> str | None:
        """Log the model of a run of a final training; return MLflow's id of the model, or None if there is none."""
        path = self._folder / records.MODELS / f"{run.name}.keras"
        if not (is_file_name(run.name) and path.is_file()):
            return None
        tags = store.study_tags.run_tags(run, store.parent.id)
        return log_model(
            store.client,
            store.experiment,
            known.id,
            path,
            parameters=mapping.shorten(mapping.parameters(run), mapping.MAX_TAG)[0],
            tags={name: value for name, value in tags.items() if name != records.TAG_PARENT},
            points=finals,
        )

    def _log_files(self, store: TrackingStore) -> None:
        """Log the study file, the recipe of a final training and the facts, once per process."""
        if self._files_logged:
            return
        for name in (records.STUDY_FILE, records.RECIPE_FILE):
            log_file(store.client, store.parent.id, self._folder / name, name)
        facts = self._backlog.journal.meta(records.META_FACTS)
        if facts:
            log_text(store.client, store.parent.id, json.dumps(facts, indent=1), records.FACTS_ARTIFACT)
        log_text(store.client, store.parent.id, journal_document(self._backlog.journal), records.JOURNAL_ARTIFACT)
        self._files_logged = True

    def _close(self, store: TrackingStore) -> None:
        """Close the runs without an outcome, and the parent run."""
        end = mapping.milliseconds(self._span()[1])
        for name, known, text in self._backlog.interrupted(store.listing):
            log_history(store.client, known.id, name, self._backlog.journal.reports(run=name))
            store.close(known, mapping.KILLED, text, end)
        complete = self._backlog.complete()
        status, outcome = (mapping.FINISHED, records.COMPLETED) if complete else (mapping.KILLED, records.INTERRUPTED)
        if (store.parent.status, store.parent.outcome) != (status, outcome):
            store.close(store.parent, status, outcome, end)

    def _register(self, store: TrackingStore) -> None:
        """Register the best model of a final training, if a name was given."""
        name, best = self._backlog.journal.meta(records.META_REGISTER), self._backlog.best()
        known = store.listing.get(best.name) if best else None
        if not name or best is None or known is None or known.deleted:
            return
        model = self._log_model(store, best, known, [])
        if model:
            tags = store.study_tags.run_tags(best, store.parent.id)
            tags = {key: tags[key] for key in _VERSION_TAGS if key in tags}
            register_model(store.client, name, model, known.id, tags)

    def _settle(self, store: TrackingStore) -> None:
        """Log the final report and recipe, and compare MLflow's list of runs with the journal."""
        end = mapping.milliseconds(self._span()[1])
        log_folder(store.client, store.parent.id, self._folder / records.REPORT, records.REPORT)
        log_text(store.client, store.parent.id, journal_document(self._backlog.journal), records.JOURNAL_ARTIFACT)
        log_file(store.client, store.parent.id, self._folder / records.RECIPE_FILE, records.RECIPE_FILE)
        if self._backlog.complete():
            self._register(store)
        store.list_runs()
        self._backlog.compare(store.listing)
        pending = [item for item in self._backlog.items.values() if item.is_pending]
        self.complete = not pending
        self.finished = self._tried_all and all(item.failures >= _MAX_REJECTIONS for item in pending)
        if self.finished:
            rejected = [store.listing[item.run.name] for item in pending if item.run.name in store.listing]
            for known in rejected:
                store.close(known, mapping.KILLED, records.UNDELIVERED, end)
