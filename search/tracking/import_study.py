"""A study read back from MLflow: the same frames as its journal gives, so the same report.

Runs and histories come from MLflow's own records. What they do not say (the plan, the decisions, what was searched,
which test images a run got right) stands in one artifact of the study's run, `journal.json`.
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
from search.tracking.history import CHILDREN, read_histories, read_runs
from search.tracking.uri import redact
from trainables import records
from trainables.errors import InputError
from trainables.records import KINDS, DecisionRow, ExampleRow, Facts, JournalReader, PlanRecord

if TYPE_CHECKING:
    import pandas as pd

_STUDIES = f"tags.`{records.TAG_PHASE}` = '{records.STUDY}'"
_AT_EPOCH = re.compile(r"(?P<outcome>\w+) at epoch (?P<epoch>\d+)")


def statement(journal: JournalReader) -> str:
    """Return `records.JOURNAL_ARTIFACT`: what a report needs of a journal and MLflow's runs do not say."""
    return json.dumps(
        {
            "plan": journal.meta(records.META_PLAN),
            "decisions": [
                (row.decision.kind, row.run, row.decision.dump(), row.at) for row in journal.all_decisions()
            ],
            "searched": {row.run.name: row.run.searched for row in journal.runs()},
            "examples": {
                row.run: [base64.b64encode(row.correct).decode(), row.n] for row in journal.examples()
            },
        }
    )  # fmt: skip


def read_experiment(uri: str, experiment: str, study_id: str | None = None) -> StudyData:
    """Read a study from MLflow.

    Args:
        uri: the tracking store.
        experiment: its name: the study's.
        study_id: beginning of the id of the study, where the experiment holds several.

    Raises:
        InputError: there is no such experiment or study, or it was not delivered by this version of Assay.
    """
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        parents = read_runs(uri, experiment, _STUDIES)
        parent, own_id = _chosen(parents, experiment, study_id)
        mine = f"{CHILDREN} and tags.`{records.TAG_STUDY_ID}` = '{own_id}'"
        listed = read_runs(uri, experiment, mine)
        client = MlflowClient(uri)
        told = _artifact(client, parent, records.JOURNAL_ARTIFACT)
        facts = _artifact(client, parent, records.FACTS_ARTIFACT)
        found = client.get_experiment_by_name(experiment)
        histories = list(read_histories(uri, listed)) if len(listed) else []
    except LookupError as error:
        raise InputError(f"{error.args[0]} at {redact(uri)}; `assay ui` shows what is there") from None
    except MlflowException as error:
        raise InputError(f"MLflow at {redact(uri)} cannot be read: {redact(str(error))}") from None
    runs = _runs(listed, told["searched"])
    pages = f"{uri.rstrip('/')}/#/experiments/{found.experiment_id if found else ''}/runs"
    links = {name: f"{pages}/{id_}" for name, id_ in zip(runs["run"], runs.pop("run_id"), strict=True)}
    return study_from_frames(
        plan=PlanRecord.parse(told["plan"]),
        facts=Facts.parse(facts),
        runs=runs,
        histories=histories,
        decisions=[
            DecisionRow(number, run, KINDS[kind].parse(detail), at)
            for number, (kind, run, detail, at) in enumerate(told["decisions"])
            if kind in KINDS
        ],
        examples={run: ExampleRow(run, base64.b64decode(packed), n) for run, (packed, n) in told["examples"].items()},
        links=links if uri.startswith(("http://", "https://")) else {},
    )


def _chosen(parents: pd.DataFrame, experiment: str, study_id: str | None) -> tuple[str, str]:
    """Return MLflow's id of the study's run, and the study's own id."""
    ids = {} if parents.empty else dict(parents[f"tags.{records.TAG_STUDY_ID}"])
    fitting = {run: own for run, own in ids.items() if str(own).startswith(study_id or "")}
    if len(fitting) == 1:
        return next((str(run), str(own)) for run, own in fitting.items())
    known = ", ".join(sorted(str(own)[:8] for own in ids.values())) or "none"
    if not fitting:
        raise InputError(f"the experiment {experiment!r} holds no study {study_id or 'of Assay'}; it holds {known}")
    raise InputError(f"the experiment {experiment!r} holds several studies ({known}); name one with --study-id")


def _artifact(client: Any, run_id: str, name: str) -> dict[str, Any]:
    from mlflow.exceptions import MlflowException

    try:
        with tempfile.TemporaryDirectory(prefix="assay-report-") as scratch:
            return json.loads(Path(client.download_artifacts(run_id, name, scratch)).read_text("utf-8"))
    except (OSError, MlflowException):
        raise InputError(
            f"MLflow does not have {name} of this study: it was delivered by an older version of Assay, or its"
            " artifacts are away. Make the report from the study's folder: `assay report FOLDER`."
        ) from None


def _runs(listed: pd.DataFrame, searched: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each run, in the order of the journal, with the columns that `study_from_frames` takes."""
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

    outcome, epoch, reason = _ended(tag(records.TAG_OUTCOME))
    finals = (records.SELECTION, *records.TEST_METRICS)
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


def _ended(text: str) -> tuple[str | None, int | None, str]:
    """Return (outcome, epochs finished, reason) from the tag of the outcome; the first None while there is none."""
    found = _AT_EPOCH.fullmatch(text)
    if found and found["outcome"] in records.OUTCOMES:
        return found["outcome"], int(found["epoch"]), ""
    outcome, _, reason = text.partition(": ")
    return (outcome, None, reason) if outcome in records.OUTCOMES else (None, None, "")


def _value(text: Any) -> Any:
    try:
        return json.loads(str(text))
    except ValueError:
        return text
