"""Writing to MLflow: one client, no global state, every step safe to repeat.

`import mlflow` stands in this file only, inside functions: it costs seconds.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from search.journal import Run
from search.tracking.mapping import MAX_PARAMETER, MAX_TAG, RUNNING, Point, StudyCard, redact, shorten
from search.tracking.outbox import Known
from trainables import records

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment
    from mlflow.entities import Run as MlflowRun

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # printing costs one more request per run
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a request to create a run that is repeated blindly creates two
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
_PAGE = 1000
_PAUSES = (0.2, 0.8)  # seconds before a call is repeated
_PASSING = {None, "INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}
_TEXT_FILES = {".html", ".md", ".csv", ".json", ".yaml", ".yml", ".txt", ".svg"}
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # opens MLflow's pages on training runs
_PARENT = ""  # stands for a run's name
P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


class _Entry(NamedTuple):
    """A line of MLflow's list of runs."""

    known: Known
    name: str
    parent: str


class TrackingStore:
    """The runs of one study in MLflow.

    Args:
        uri: the tracking store.
        folder: the study's folder; artifacts go there unless a server keeps them.
        card: what the parent run says.
        started: when the study started, in milliseconds since 1970.
    """

    def __init__(self, uri: str, folder: Path, card: StudyCard, started: int) -> None:
        self.uri = uri
        self.folder = folder
        self.card = card
        self.started = started
        self.listing: dict[str, Known] = {}
        self._parent: Known | None = None
        self._experiment = ""
        self._client: MlflowClient | None = None
        self._doubtful: set[str] = set()

    @property
    def client(self) -> MlflowClient:
        """The client; the first use imports MLflow and creates a missing SQLite store."""
        if self._client is None:
            from mlflow import MlflowClient

            _quiet()
            _create_sqlite(self.uri)
            self._client = MlflowClient(self.uri)
        return self._client

    @property
    def parent(self) -> Known:
        """The run that stands for the whole study."""
        if self._parent is None:
            raise LookupError("the study has no run in MLflow yet")
        return self._parent

    def connect(self) -> None:
        """Find or create the experiment and the parent run, and list the runs that are there."""
        self._experiment = self._find_experiment()
        self.list_runs()
        if self._parent is None:
            self._parent = self._create(self.card.name, self.card.tags(), self.started)
        self.log(self.parent.id, parameters=self.card.parameters)

    def _find_experiment(self) -> str:
        """Return the id of the experiment of the study's name, or of a twin if a user has deleted that."""
        for name in (self.card.name, f"{self.card.name} {self.card.id[:8]}"):
            experiment: Experiment | None = _again(self.client.get_experiment_by_name, name)
            if experiment is None:
                kept_here = not self.uri.startswith(("http://", "https://", "databricks"))
                location = (self.folder / records.ARTIFACTS).as_uri() if kept_here else None
                return _again(self.client.create_experiment, name, artifact_location=location, tags=_KIND)
            if experiment.lifecycle_stage == "active":
                return str(experiment.experiment_id)
        raise LookupError(f"the experiment {self.card.name!r} was deleted in MLflow; restore it there")

    def list_runs(self) -> None:
        """Read which runs of the study are there, and delete what was created twice.

        A creation whose answer was lost may leave a twin: of the children the one that is in use stays, of
        the parents the one with the most children. What a user has deleted stays deleted.
        """
        entries = list(self._search(f"tags.`{records.TAG_STUDY_ID}` = '{self.card.id}'"))
        kin = Counter(entry.parent for entry in entries)
        in_use = {known.id for known in self.listing.values()}
        entries.sort(key=lambda entry: _rank(entry, kin, in_use))
        kept: dict[str, Known] = {}
        for entry in entries:
            known = kept.setdefault(entry.name, entry.known)
            if known is not entry.known and not entry.known.deleted:
                _log.info("run %r was created twice; deleting %s", entry.name, entry.known.id)
                _again(self.client.delete_run, entry.known.id)
        parent = kept.pop(_PARENT, None)
        self._parent = None if parent is None or parent.deleted else parent
        self.listing = kept

    def _search(self, condition: str) -> Iterator[_Entry]:
        from mlflow.entities import ViewType

        token: str | None = None
        while True:
            page = _again(
                self.client.search_runs,
                [self._experiment],
                condition,
                ViewType.ALL,
                max_results=_PAGE,
                page_token=token,
            )
            yield from map(_entry, page)
            token = page.token
            if not token:
                return

    def _create(self, name: str, tags: Mapping[str, str], started: int) -> Known:
        tags = {**tags, records.TAG_OUTCOME: records.RUNNING}
        run = self.client.create_run(self._experiment, start_time=started, tags=tags, run_name=name)
        return Known(run.info.run_id, RUNNING, records.RUNNING)

    def open_run(self, run: Run, started: int) -> Known:
        """Return a child run, created if need be.

        Args:
            run: the run.
            started: when it started, in milliseconds since 1970.
        """
        name = run.name
        if name in self._doubtful:
            mine = f"tags.`{records.TAG_STUDY_ID}` = '{self.card.id}' and tags.`{records.TAG_RUN}` = '{name}'"
            for entry in self._search(mine):
                self.listing[name] = entry.known
        if name not in self.listing:
            self._doubtful.add(name)  # until the answer is there, it may exist or not
            self.listing[name] = self._create(name, self.card.run_tags(run, self.parent.id), started)
        self._doubtful.discard(name)
        return self.listing[name]

    def log(
        self,
        run_id: str,
        points: Sequence[Point] = (),
        parameters: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write points, parameters and tags of a run, as few requests as MLflow allows.

        What is longer than MLflow allows is cut, and kept whole as an artifact.
        """
        from mlflow.entities import Metric, Param, RunTag

        short, long = shorten(parameters or {}, MAX_PARAMETER)
        short_tags, long_tags = shorten(tags or {}, MAX_TAG)
        _again(
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
                _again(self.client.log_dict, run_id, values, name)

    def reopen(self, known: Known) -> None:
        """Mark a run as running again."""
        self.log(known.id, tags={records.TAG_OUTCOME: records.RUNNING})
        _again(self.client.update_run, known.id, status=RUNNING)
        known.status, known.outcome = RUNNING, records.RUNNING

    def close(
        self,
        known: Known,
        status: str,
        outcome: str,
        at: int,
        *,
        points: Sequence[Point] = (),
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Write the last of a run, and after it that the run has ended.

        Args:
            known: the run.
            status: MLflow's status.
            outcome: its `TAG_OUTCOME`.
            at: when it ended, in milliseconds since 1970.
            points: as in `log`.
            parameters: as in `log`.
        """
        self.log(known.id, points, parameters, {records.TAG_OUTCOME: outcome})
        _again(self.client.set_terminated, known.id, status, at)
        known.status, known.outcome = status, outcome[:MAX_TAG]

    def log_text(self, run_id: str, text: str, name: str) -> None:
        """Keep a text as an artifact of a run, without credentials."""
        _again(self.client.log_text, run_id, redact(text), name)

    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        """Keep the files of a folder as artifacts of a run, texts without credentials."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            place = Path(name, path.relative_to(folder))
            text = path.read_text(encoding="utf-8") if path.suffix in _TEXT_FILES else ""
            if redact(text) != text:
                self.log_text(run_id, text, place.as_posix())
            else:
                _again(self.client.log_artifact, run_id, str(path), place.parent.as_posix())


def _entry(run: MlflowRun) -> _Entry:
    tags = run.data.tags
    known = Known(
        run.info.run_id,
        run.info.status,
        tags.get(records.TAG_OUTCOME, ""),
        deleted=run.info.lifecycle_stage == "deleted",
    )
    return _Entry(known, tags.get(records.TAG_RUN, _PARENT), tags.get(records.TAG_PARENT, ""))


def _rank(entry: _Entry, kin: Counter[str], in_use: set[str]) -> tuple[bool, bool, bool, int, str]:
    """Return the place of an entry among its twins; the first one is kept."""
    known = entry.known
    return known.deleted, known.id not in in_use, known.status == RUNNING, -kin[known.id], known.id


def delivered_runs(uri: str, study_id: str) -> dict[str, str]:
    """Return the ids of a study's runs by name, as far as a server has them.

    Args:
        uri: the tracking store.
        study_id: the study's own id.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    _quiet()
    client = MlflowClient(uri)
    experiments = [experiment.experiment_id for experiment in _again(client.search_experiments)]
    found: dict[str, str] = {}
    token: str | None = None
    while True:
        condition = f"tags.`{records.TAG_STUDY_ID}` = '{study_id}'"
        page = _again(client.search_runs, experiments, condition, max_results=_PAGE, page_token=token)
        found |= {run.data.tags.get(records.TAG_RUN, ""): run.info.run_id for run in page}
        token = page.token
        if not token:
            return {name: found[name] for name in sorted(found) if name}


def _quiet() -> None:
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _create_sqlite(uri: str) -> None:
    """Create a missing SQLite store, under another name first: a schema cut short cannot be mended."""
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or path.exists():
        return
    from mlflow import MlflowClient

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        MlflowClient(f"sqlite:///{unfinished}").search_experiments(max_results=1)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _again(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call that may be made twice, some times if need be."""
    for pause in _PAUSES:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            if error_code(error) not in _PASSING:
                raise
        time.sleep(pause)
    return call(*args, **kwargs)


def error_code(error: BaseException | None) -> Any:
    """Return MLflow's code of an error, or None."""
    return getattr(error, "error_code", None)
