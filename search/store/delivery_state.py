"""Delivery state: what the delivery process last wrote to `delivery.json` in the study's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from trainables import records
from trainables.records.atomic import write_atomically
from trainables.records.base import CompactRecord


@dataclass(frozen=True)
class DeliveryState:
    """What MLflow does not have yet.

    Args:
        complete: whether MLflow has everything that the journal contains, including the report.
        runs: number of runs with undelivered data.
        epochs: number of undelivered epochs.
        error: the last error, or empty.
    """

    complete: bool
    runs: int
    epochs: int
    error: str = ""

    def __str__(self) -> str:
        if self.complete:
            return "MLflow has everything"
        missing = (
            f"{self.epochs} epochs of {self.runs} runs" if self.runs else "the final status or the files of the study"
        )
        return f"MLflow is missing {missing}" + (f": {self.error}" if self.error else "")


class DeliveryRecord(CompactRecord):
    """Content of `delivery.json`, which can be read without MLflow.

    Args:
        complete, runs, epochs, error: as in `DeliveryState`.
        uri: the tracking store without credentials, or None for the store in the folder.
        pid: process id of the delivery process; None if there was none.
        experiment: MLflow's id of the experiment; empty before the first connection, and in folders of older versions.
        run_ids: MLflow's ids of the delivered runs, by run name.
    """

    omitted_if_empty: ClassVar = ("uri",)
    complete: bool = False
    runs: int = 0
    epochs: int = Field(default=0, validation_alias="points", serialization_alias="points")
    error: str = ""
    uri: str | None = None
    pid: int | None = None
    experiment: str = ""
    run_ids: dict[str, str] = {}

    @property
    def state(self) -> DeliveryState:
        """What MLflow does not have yet."""
        return DeliveryState(self.complete, self.runs, self.epochs, self.error)


def read_delivery(folder: Path) -> DeliveryRecord:
    """Return what the delivery process of a study last wrote; an empty record if that cannot be read."""
    try:
        return DeliveryRecord.model_validate_json((folder / records.DELIVERY_FILE).read_bytes())
    except (OSError, ValueError):
        return DeliveryRecord()


def write_delivery(folder: Path, record: DeliveryRecord) -> None:
    """Write `delivery.json` into the study's folder."""
    write_atomically(folder / records.DELIVERY_FILE, json.dumps(record.dump()))
