"""Run list: every run, with a link to MLflow if known."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from reports.page.context import Context
from reports.page.layout import Section
from trainables.records import SELECTION, number_of

MOST_RUNS = 2000
"""Longer lists are left to runs.csv."""


@dataclass(frozen=True)
class RunView:
    """One row of the list; metrics are fractions or nats, None if not available."""

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
    """Return the list of runs; None if there are none."""
    runs = context.study.runs
    if runs.empty:
        return None
    found = tuple(_view(context, row) for _, row in runs.iterrows()) if len(runs) <= MOST_RUNS else ()
    return Section("runs", "All runs", template="runs", content=found, lead=(f"{number_of(len(runs), 'run')}",))


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
