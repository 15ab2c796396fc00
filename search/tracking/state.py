"""Delivery state: what the delivery process last wrote to `delivery.json` in the study's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables import records
from trainables.records.atomic import write_atomically

_RUN_IDS = "run_ids"
_EXPERIMENT = "experiment"
_EPOCHS = "points"
"""Key of `DeliveryState.epochs` in the file."""


@dataclass(frozen=True)
class DeliveryState:
    """What MLflow does not have yet.

    Args:
        complete: whether MLflow has everything that the journal holds, including the report.
        runs: number of runs with undelivered data.
        epochs: number of undelivered epochs.
        error: the last error, or empty.
    """

    complete: bool
    runs: int
    epochs: int
    error: str = ""

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> DeliveryState:
        """Return the state that `write_state` has written, from the content of `delivery.json`."""
        return cls(document["complete"], document["runs"], document[_EPOCHS], document["error"])

    def document(self) -> dict[str, Any]:
        """Return the state as it is written to `delivery.json`."""
        return {"complete": self.complete, "runs": self.runs, _EPOCHS: self.epochs, "error": self.error}

    def __str__(self) -> str:
        if self.complete:
            return "MLflow has everything"
        missing = (
            f"{self.epochs} epochs of {self.runs} runs" if self.runs else "the final status or the files of the study"
        )
        return f"MLflow is missing {missing}" + (f": {self.error}" if self.error else "")


def read_state(folder: Path) -> dict[str, Any]:
    """Return what the delivery process of a study last wrote, or an empty mapping."""
    try:
        return json.loads((folder / records.DELIVERY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def write_state(
    folder: Path, state: DeliveryState, pid: int, uri: str | None, run_ids: Mapping[str, str], experiment: str = ""
) -> None:
    """Write `delivery.json`.

    Args:
        folder: the study's folder.
        state: what is undelivered.
        pid: process id of the delivery process.
        uri: the tracking store without credentials, or None for the store in the folder.
        run_ids: MLflow's run ids by run name.
        experiment: MLflow's id of the experiment, or empty before the first connection.
    """
    store = {} if uri is None else {"uri": uri}
    document = {**state.document(), **store, "pid": pid, _EXPERIMENT: experiment, _RUN_IDS: dict(run_ids)}
    write_atomically(folder / records.DELIVERY_FILE, json.dumps(document))


def delivered_runs(folder: Path) -> dict[str, str]:
    """Return MLflow's ids of a study's delivered runs by run name.

    They are read from `delivery.json`, which needs no MLflow.
    """
    return read_state(folder).get(_RUN_IDS, {})


def delivered_experiment(folder: Path) -> str:
    """Return MLflow's id of a study's experiment; empty if it is unknown, as in folders of older versions."""
    return str(read_state(folder).get(_EXPERIMENT, ""))
