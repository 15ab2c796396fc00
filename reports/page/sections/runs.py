"""Every run, with its way to MLflow where that is known."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reports.page.context import Context
from reports.page.layout import Section
from trainables.records import SELECTION

MOST_RUNS = 2000
"""With more runs the list stays in runs.csv."""


@dataclass(frozen=True)
class RunView:
    """One run as the list shows it; figures in percent or the metric's own unit, empty where there is none."""

    run: str
    condition: str
    method: str
    phase: str
    k: int
    seed: int
    outcome: str
    epochs: int
    selection: float | None
    test: float | None
    reason: str
    link: str


def build(context: Context) -> Section | None:
    """Return the list of runs."""
    runs = context.study.runs
    if runs.empty:
        return None
    found = tuple(_view(context, row) for _, row in runs.iterrows()) if len(runs) <= MOST_RUNS else ()
    return Section("runs", "Which runs?", partial="runs", content=found, lead=(f"{len(runs):,} runs",))


def _view(context: Context, row: pd.Series) -> RunView:
    return RunView(
        run=row["run"],
        condition=row["condition"],
        method=row["method"],
        phase=row["phase"],
        k=int(row["index"]),
        seed=int(row["seed_index"]),
        outcome=row["outcome"],
        epochs=int(row["epoch"]),
        selection=_known(row[SELECTION]),
        test=_known(row[context.plan.unit.metric]),
        reason=row["reason"],
        link=context.study.links.get(row["run"], ""),
    )


def _known(value: float) -> float | None:
    return None if pd.isna(value) else float(value)
