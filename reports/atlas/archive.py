"""Archive of studies: any number of studies in one Parquet file, from which their reports can be written again.

A row is a run: what it was, its settings, its final metrics and its learning curves, rounded to four decimals. The
plans and facts of the studies are in the metadata of the file. Which single test images a run classified correctly is
left out, so verdicts from an archive are marked as holding on this test set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reports.data.frames import StudyData, study_from_frames
from trainables import records
from trainables.errors import InputError
from trainables.records import Facts, PlanRecord, decision_rows
from trainables.records.atomic import atomic_file

METADATA = b"assay.studies"
CURVES = (
    records.TRAIN_LOSS, records.TRAIN_ACCURACY, records.VALIDATION_LOSS, records.VALIDATION_ACCURACY,
    records.LEARNING_RATE, records.PLAIN_EPOCHS,
)  # fmt: skip
"""Metrics whose learning curves are kept."""
DECIMALS = 4
_KEYS = ("run", "phase", "condition", "arm", "method", "index", "seed_index", "audit", "outcome", "epoch", "reason")
_DICTIONARIES = ("parameters", "searched")
_NO_METRIC = {*_KEYS, *_DICTIONARIES, "started", "ended", "study"}


def write_archive(studies: Sequence[StudyData], file: Path) -> None:
    """Write studies to a Parquet file. Names of studies must be distinct.

    >>> write_archive([], Path("none.parquet"))
    Traceback (most recent call last):
    trainables.errors.InputError: there is no study to archive
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [study.plan.name for study in studies]
    if not names:
        raise InputError("there is no study to archive")
    if len(set(names)) < len(names):
        raise InputError(f"the studies must have distinct names, but are named {', '.join(sorted(names))}")
    frame = pd.concat([_rows(study) for study in studies], ignore_index=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    described = json.dumps({study.plan.name: _description(study) for study in studies})
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), METADATA: described.encode()})
    with atomic_file(file) as unfinished:
        pq.write_table(table, unfinished, compression="zstd", compression_level=19)


def read_archive(file: Path) -> dict[str, StudyData]:
    """Return the studies of an archive by name.

    Raises:
        InputError: it cannot be read, or is not an archive of studies.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{file} cannot be read as a Parquet file: {error}") from None
    metadata = table.schema.metadata or {}
    if METADATA not in metadata:
        raise InputError(f"{file} is not an archive of studies; `python -m reports.atlas collect` writes one")
    frame = table.to_pandas()
    return {
        name: _study(description, frame[frame["study"] == name])
        for name, description in json.loads(metadata[METADATA]).items()
    }


def _description(study: StudyData) -> dict[str, Any]:
    facts = study.facts.model_dump(mode="json")
    for data in (facts["data"], *facts.get("data_sets", {}).values()):
        if data:
            data["test_labels"] = None  # of no use without the predictions
    decisions = [row.document() for row in study.decisions]
    return {"plan": study.plan.dump(), "facts": facts, "decisions": decisions}


def _rows(study: StudyData) -> pd.DataFrame:
    """Return the rows of a study."""
    runs = study.runs.reset_index(drop=True)
    for column in _DICTIONARIES:
        values = [json.dumps(without_folders(value), sort_keys=True) for value in runs[column]]
        runs[column] = pd.Series(values, dtype=object)
    curves = {str(run): rows for run, rows in study.curves.groupby("run", observed=True)}
    for metric in CURVES:
        runs[f"{metric}_by_epoch"] = pd.Series([_curve(curves.get(run), metric) for run in runs["run"]], dtype=object)
    return runs.assign(study=study.plan.name)


def without_folders(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which paths of data are reduced to their last part, the same on every machine.

    >>> without_folders({"data": "npz", "data.path": "/home/me/fashion.npz", "epochs": 12})
    {'data': 'npz', 'data.path': 'fashion.npz', 'epochs': 12}
    """
    return {
        key: Path(value).name if key.startswith("data.") and isinstance(value, str) and "/" in value else value
        for key, value in parameters.items()
    }


def _curve(rows: pd.DataFrame | None, metric: str) -> np.ndarray:
    """Return a learning curve, float32 (epochs,)."""
    values = np.empty(0) if rows is None or metric not in rows else rows[metric].to_numpy()
    return values.round(DECIMALS).astype("float32")


def _study(description: Mapping[str, Any], rows: pd.DataFrame) -> StudyData:
    metrics = [
        name for name in map(str, rows) if name not in _NO_METRIC and name.removesuffix("_by_epoch") not in CURVES
    ]
    runs = rows[list(_KEYS)].reset_index(drop=True)
    for column in _DICTIONARIES:
        runs[column] = pd.Series([json.loads(text) for text in rows[column]], dtype=object)
    runs["metrics"] = pd.Series([row.dropna().to_dict() for _, row in rows[metrics].iterrows()], dtype=object)
    return study_from_frames(
        plan=PlanRecord.parse(description["plan"]),
        facts=Facts.parse(description["facts"]),
        runs=runs,
        histories=[_history(row) for _, row in rows.iterrows() if len(row[f"{CURVES[0]}_by_epoch"])],
        decisions=decision_rows(description["decisions"]),
        examples={},
        links={},
    )


def _history(row: pd.Series) -> pd.DataFrame:
    """Return the history of a run; its epochs are spread evenly between its start and its end."""
    curves = {metric: row[f"{metric}_by_epoch"] for metric in CURVES if f"{metric}_by_epoch" in row}
    epochs = len(curves[CURVES[0]])
    at = np.linspace(row["started"], row["ended"], epochs)
    return pd.DataFrame({"run": row["run"], "epoch": np.arange(1, epochs + 1), "at": at, **curves})
