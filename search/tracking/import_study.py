"""Import of a study from MLflow: returns the same data frames as its journal, so reports are the same.

Runs and histories are read from MLflow's records. Everything else (the plan, the decisions, the searched values and the
correctness on single test images) is in one artifact of the parent run, `journal.json`.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.data.frames import StudyData, study_from_frames
from search.store.tracking_uri import client_uri, existing_store, redact
from search.tracking.client import limit_requests
from search.tracking.deadline import Deadline
from search.tracking.history import CHILDREN, read_histories, read_runs
from search.tracking.supervisor import WAIT_SECONDS
from trainables import records
from trainables.errors import InputError
from trainables.records import ExampleRow, Facts, JournalReader, PlanRecord, decision_rows

if TYPE_CHECKING:
    import pandas as pd

_STUDIES = f"tags.`{records.TAG_PHASE}` = '{records.STUDY}'"
_AT_EPOCH = re.compile(r"(?P<outcome>\w+) at epoch (?P<epoch>\d+)(: (?P<reason>.*))?", re.DOTALL)


def journal_document(journal: JournalReader) -> str:
    """Return the content of `records.JOURNAL_ARTIFACT`: what reports need in addition to MLflow's runs."""
    return json.dumps(
        {
            "plan": journal.meta(records.META_PLAN),
            "decisions": [row.document() for row in journal.all_decisions()],
            "searched": {row.run.name: row.run.searched for row in journal.runs()},
            "examples": {
                row.run: [base64.b64encode(row.correct).decode(), row.n] for row in journal.examples()
            },
        }
    )  # fmt: skip


def read_experiment(uri: str, experiment: str, study_id: str | None = None, timeout: float = WAIT_SECONDS) -> StudyData:
    """Read a study from MLflow.

    Args:
        uri: the tracking store.
        experiment: name of the experiment, which is that of the study.
        study_id: beginning of the id of the study; needed if the experiment has several.
        timeout: longest time without an answer from MLflow, in seconds.

    Raises:
        SilentServerError: MLflow has not answered in time.
        InputError: there is no such experiment or study, or it was delivered by an older version of Assay.
    """
    uri = existing_store(uri)
    limit_requests(timeout)
    deadline = Deadline(timeout, redact(uri))
    with deadline.limited():
        return _read_experiment(uri, experiment, study_id, deadline)


def _read_experiment(uri: str, experiment: str, study_id: str | None, deadline: Deadline) -> StudyData:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        parents = read_runs(uri, experiment, _STUDIES)
        parent, own_id = _select_study(parents, experiment, study_id)
        children = f"{CHILDREN} and tags.`{records.TAG_STUDY_ID}` = '{own_id}'"
        listed = read_runs(uri, experiment, children, deadline.extend)
        client = MlflowClient(client_uri(uri))
        document = _artifact(client, parent, records.JOURNAL_ARTIFACT)
        facts = _artifact(client, parent, records.FACTS_ARTIFACT)
        found = client.get_experiment_by_name(experiment)
        histories = list(read_histories(uri, listed, answered=deadline.extend)) if len(listed) else []
    except LookupError as error:
        raise InputError(f"{error.args[0]} at {redact(uri)}; `assay ui` shows the existing ones") from None
    except MlflowException as error:
        raise InputError(f"MLflow at {redact(uri)} cannot be read: {redact(str(error))}") from None
    runs = _runs(listed, document["searched"])
    pages = f"{uri.rstrip('/')}/#/experiments/{found.experiment_id if found else ''}/runs"
    links = {name: f"{pages}/{id_}" for name, id_ in zip(runs["run"], runs.pop("run_id"), strict=True)}
    return study_from_frames(
        plan=PlanRecord.parse(document["plan"]),
        facts=Facts.parse(facts),
        runs=runs,
        histories=histories,
        decisions=decision_rows(document["decisions"]),
        examples={
            run: ExampleRow(run, base64.b64decode(packed), n) for run, (packed, n) in document["examples"].items()
        },
        links=links if uri.startswith(("http://", "https://")) else {},
    )


def _select_study(parents: pd.DataFrame, experiment: str, study_id: str | None) -> tuple[str, str]:
    """Return MLflow's id of the parent run, and the id of the study."""
    ids = {} if parents.empty else dict(parents[f"tags.{records.TAG_STUDY_ID}"])
    matching = {run: own for run, own in ids.items() if str(own).startswith(study_id or "")}
    if len(matching) == 1:
        return next((str(run), str(own)) for run, own in matching.items())
    known = ", ".join(sorted(str(own)[:8] for own in ids.values())) or "none"
    if not matching:
        raise InputError(f"the experiment {experiment!r} has no study {study_id or 'of Assay'}; its studies: {known}")
    raise InputError(f"the experiment {experiment!r} has several studies ({known}); select one with --study-id")


def _artifact(client: Any, run_id: str, name: str) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException

    try:
        with tempfile.TemporaryDirectory(prefix="assay-report-") as scratch:
            return json.loads(Path(client.download_artifacts(run_id, name, scratch)).read_text("utf-8"))
    except (OSError, ValueError, RecursionError, MlflowException):
        raise InputError(
            f"MLflow has no {name} of this study: it was delivered by an older version of Assay, or its artifacts are"
            " not available. Create the report from the study folder: `assay report FOLDER`."
        ) from None


def _runs(listed: pd.DataFrame, searched: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row per run, in the order of the journal, with the columns that `study_from_frames` needs."""
    import pandas as pd

    order = {name: place for place, name in enumerate(searched)}
    rows = [_row(str(run_id), run, searched) for run_id, run in listed.iterrows()]
    ordered = sorted(rows, key=lambda row: order.get(str(row["run"]), len(order)))
    return pd.DataFrame(ordered, columns=pd.Index(_COLUMNS))


_COLUMNS = [
    "run_id", "run", "phase", "condition", "arm", "method", "index", "seed_index", "audit", "parameters", "searched",
    "outcome", "epoch", "reason", "metrics",
]  # fmt: skip


def _row(run_id: str, run: pd.Series, searched: Mapping[str, Any]) -> dict[str, Any]:
    known = run.dropna()

    def tag(name: str) -> str:
        return str(known.get(f"tags.{name}", ""))

    outcome, epoch, reason = _parse_outcome(tag(records.TAG_OUTCOME))
    finals = (
        records.SELECTION,
        *records.TEST_METRICS,
        *records.EXTENDED_TEST_METRICS,
        records.EXTENDED_TEST_IMAGES,
    )
    return {
        "run_id": run_id,
        "run": tag(records.TAG_RUN),
        "phase": tag(records.TAG_PHASE),
        "condition": tag(records.TAG_CONDITION),
        "arm": tag(records.TAG_ARM),
        "method": tag(records.TAG_METHOD),
        "index": int(tag(records.TAG_TRIAL)),
        "seed_index": int(tag(records.TAG_SEED)),
        "audit": tag(records.TAG_AUDIT) == "true",
        "parameters": {str(key)[7:]: _value(value) for key, value in known.items() if str(key).startswith("params.")},
        "searched": searched.get(tag(records.TAG_RUN), {}),
        "outcome": outcome,
        "epoch": epoch,
        "reason": reason,
        "metrics": {name: float(known[f"metrics.{name}"]) for name in finals if f"metrics.{name}" in known},
    }


def _parse_outcome(text: str) -> tuple[str | None, int | None, str]:
    """Return (outcome, epochs finished, reason) from the tag of the outcome; (None, None, "") if there is none."""
    found = _AT_EPOCH.fullmatch(text)
    if found and found["outcome"] in records.OUTCOMES:
        return found["outcome"], int(found["epoch"]), found["reason"] or ""
    outcome, _, reason = text.partition(": ")
    return (outcome, None, reason) if outcome in records.OUTCOMES else (None, None, "")


def _value(text: Any) -> Any:
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError):
        return text
