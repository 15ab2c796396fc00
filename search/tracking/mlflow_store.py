"""MLflow store: creates, updates and closes the runs of a study. Has no global state; every step can be repeated."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from search.store.tracking_uri import artifact_location, check_location
from search.tracking.backlog import TrackedRun
from search.tracking.client import error_code, open_client, retry
from search.tracking.mapping import MAX_PARAMETER, MAX_TAG, RUNNING, Point, StudyTags, run_name, shorten
from trainables import records
from trainables.records import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run as MlflowRun

_PAGE = 1000
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # opens MLflow's pages on training runs
_PARENT = ""  # takes the place of the name of a run
_log = logging.getLogger(__name__)


class _StoreEntry(NamedTuple):
    """A run in MLflow's list of runs."""

    known: TrackedRun
    name: str
    parent: str


class TrackingStore:
    """The runs of one study in MLflow.

    Args:
        uri: the tracking store.
        folder: the study folder.
        study_tags: tags of the study and of its runs.
        started: start time of the study, in milliseconds.
    """

    def __init__(self, uri: str, folder: Path, study_tags: StudyTags, started: int) -> None:
        self.uri = uri
        self.folder = folder
        self.study_tags = study_tags
        self.started = started
        self.listing: dict[str, TrackedRun] = {}
        self._parent: TrackedRun | None = None
        self._parents: dict[str, str] = {}  # id of the parent run in the tag of each run, when it was listed
        self.experiment = ""  # MLflow's id of the experiment, once connected
        self._client: MlflowClient | None = None
        self._unconfirmed: set[str] = set()

    @property
    def client(self) -> MlflowClient:
        """The client; the first use imports MLflow and creates a missing SQLite store."""
        if self._client is None:
            self._client = open_client(self.uri)
        return self._client

    @property
    def parent(self) -> TrackedRun:
        """The parent run, which represents the study."""
        if self._parent is None:
            raise LookupError("the study has no run in MLflow yet")
        return self._parent

    def connect(self) -> None:
        """Find or create the experiment and the parent run, and list the existing runs.

        If a user has deleted the parent run, the runs are attached to the new one.
        """
        self.experiment = self._find_experiment()
        self.list_runs()
        if self._parent is None:
            self._parent = self._create(self.study_tags.name, self.study_tags.parent_tags(), self.started)
        else:
            self.log(self._parent.id, tags=self.study_tags.parent_tags())  # the study may have been extended
        for name, parent in self._parents.items():
            if parent != self._parent.id and not self.listing[name].deleted:
                self.log(self.listing[name].id, tags={records.TAG_PARENT: self._parent.id})
                self._parents[name] = self._parent.id

    def was_deleted(self) -> bool:
        """Return whether a user has deleted the experiment or the parent run since `connect`."""
        from mlflow.exceptions import MlflowException

        try:
            return retry(self.client.get_run, self.parent.id).info.lifecycle_stage == "deleted"
        except MlflowException as error:
            if error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                return True
            raise

    def _find_experiment(self) -> str:
        """Return the id of the experiment with the name of the study, or of a second one if a user has deleted it."""
        for name in (self.study_tags.name, f"{self.study_tags.name} {self.study_tags.id[:8]}"):
            experiment: Experiment | None = retry(self.client.get_experiment_by_name, name)
            if experiment is None:
                place = artifact_location(self.uri, self.folder)
                return retry(self.client.create_experiment, name, artifact_location=place, tags=_KIND)
            if experiment.lifecycle_stage == "active":
                check_location(str(experiment.artifact_location), self.uri, self.folder)
                return str(experiment.experiment_id)
        raise LookupError(f"the experiment {self.study_tags.name!r} was deleted in MLflow; restore it there")

    def list_runs(self) -> None:
        """List the existing runs of the study, and delete duplicates.

        If the response to a creation is lost, a run may be created twice. Of duplicate children the one in use is kept,
        of duplicate parents the one with the most children. Runs that a user has deleted stay deleted.
        """
        entries = list(self._search(f"tags.`{records.TAG_STUDY_ID}` = '{self.study_tags.id}'"))
        children = Counter(entry.parent for entry in entries)
        in_use = {known.id for known in self.listing.values()}
        entries.sort(key=lambda entry: _rank(entry, children, in_use))
        kept: dict[str, TrackedRun] = {}
        parents: dict[str, str] = {}
        for entry in entries:
            parents.setdefault(entry.name, entry.parent)
            known = kept.setdefault(entry.name, entry.known)
            if known is not entry.known and not entry.known.deleted:
                _log.info("run %r was created twice; deleting %s", entry.name, entry.known.id)
                retry(self.client.delete_run, entry.known.id)
        parents.pop(_PARENT, None)
        self._parents = parents
        parent = kept.pop(_PARENT, None)
        self._parent = None if parent is None or parent.deleted else parent
        self.listing = kept

    def _search(self, condition: str) -> Iterator[_StoreEntry]:
        from mlflow.entities import ViewType

        token: str | None = None
        while True:
            page = retry(
                self.client.search_runs,
                [self.experiment],
                condition,
                ViewType.ALL,
                max_results=_PAGE,
                page_token=token,
            )
            for run in page:
                check_location(str(run.info.artifact_uri), self.uri, self.folder)
                yield _entry(run)
            token = page.token
            if not token:
                return

    def _create(self, name: str, tags: Mapping[str, str], started: int) -> TrackedRun:
        tags = {**tags, records.TAG_OUTCOME: records.RUNNING}
        run = self.client.create_run(self.experiment, start_time=started, tags=tags, run_name=name)
        return TrackedRun(run.info.run_id, RUNNING, records.RUNNING)

    def open_run(self, run: Run, started: int) -> TrackedRun:
        """Return a child run, which is created if it does not exist.

        Args:
            run: the run.
            started: start time of the run, in milliseconds.
        """
        name = run.name
        if name in self._unconfirmed:
            of_study = f"tags.`{records.TAG_STUDY_ID}` = '{self.study_tags.id}'"
            for entry in self._search(f"{of_study} and tags.`{records.TAG_RUN}` = '{name}'"):
                self.listing[name] = entry.known
        if name not in self.listing:
            self._unconfirmed.add(name)  # until MLflow responds, it may or may not exist
            self.listing[name] = self._create(run_name(run), self.study_tags.run_tags(run, self.parent.id), started)
        self._unconfirmed.discard(name)
        return self.listing[name]

    def log(
        self,
        run_id: str,
        points: Sequence[Point] = (),
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write points, parameters and tags of a run with as few requests as possible.

        Values longer than MLflow's limits are truncated, and stored in full as an artifact.
        """
        from mlflow.entities import Metric, Param, RunTag

        short, long = shorten(parameters or {}, MAX_PARAMETER)
        short_tags, long_tags = shorten(tags or {}, MAX_TAG)
        retry(
            self.client.log_batch,
            run_id,
            metrics=[Metric(*point) for point in points],
            params=[Param(name, value) for name, value in short.items()],
            tags=[RunTag(name, value) for name, value in short_tags.items()],
        )
        for values, name in (
            (long, records.LONG_PARAMETERS_ARTIFACT),
            (long_tags, records.LONG_TAGS_ARTIFACT),
        ):
            if values:
                retry(self.client.log_dict, run_id, values, name)

    def reopen(self, known: TrackedRun) -> None:
        """Mark a run as running again."""
        self.log(known.id, tags={records.TAG_OUTCOME: records.RUNNING})
        retry(self.client.update_run, known.id, status=RUNNING)
        known.status, known.outcome = RUNNING, records.RUNNING

    def close(
        self,
        known: TrackedRun,
        status: str,
        outcome: str,
        at: int,
        *,
        points: Sequence[Point] = (),
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Write the last points, parameters and the outcome of a run, then end it.

        Args:
            known: the run.
            status: MLflow's status.
            outcome: value of `TAG_OUTCOME`.
            at: end time of the run, in milliseconds.
            points: as in `log`.
            parameters: as in `log`.
        """
        self.log(known.id, points, parameters, {records.TAG_OUTCOME: outcome})
        retry(self.client.set_terminated, known.id, status, at)
        known.status, known.outcome = status, outcome[:MAX_TAG]


def _entry(run: MlflowRun) -> _StoreEntry:
    tags = run.data.tags
    known = TrackedRun(
        run.info.run_id,
        run.info.status,
        tags.get(records.TAG_OUTCOME, ""),
        deleted=run.info.lifecycle_stage == "deleted",
    )
    return _StoreEntry(known, tags.get(records.TAG_RUN, _PARENT), tags.get(records.TAG_PARENT, ""))


def _rank(entry: _StoreEntry, children: Counter[str], in_use: set[str]) -> tuple[bool, bool, bool, int, str]:
    """Return the sort key of an entry among its duplicates; the first one is kept."""
    known = entry.known
    return known.deleted, known.id not in in_use, known.status == RUNNING, -children[known.id], known.id
