"""Run list: every run, with a link to MLflow if known."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from reports.page.context import Context
from reports.page.layout import Section
from reports.page.tables import Column, Number, TableCell, page_table
from trainables.records import SELECTION, PlanRecord, number_of

MOST_RUNS = 2000
"""Longer lists are left to runs.csv."""


def build(context: Context) -> Section | None:
    """Return the list of runs, or only their number if there are many; None if there are none."""
    runs = context.study.runs
    if runs.empty:
        return None
    columns = _columns(context.plan, context.study.links)
    table = page_table(columns, runs.to_dict("records"), {}) if len(runs) <= MOST_RUNS else None
    return Section("runs", "All runs", template="runs", content=table, lead=(number_of(len(runs), "run"),))


def _columns(plan: PlanRecord, links: Mapping[str, str]) -> tuple[Column[Any], ...]:
    """Return the displayed columns of `StudyData.runs`; runs.csv contains all of them."""
    metric = plan.unit.metric
    return (
        Column("run", "run", lambda row: TableCell(row["run"], link=links.get(row["run"], ""))),
        Column("condition", "condition", itemgetter("condition")),
        Column("method", "method", itemgetter("method")),
        Column("phase", "phase", itemgetter("phase")),
        Number("k", "k", itemgetter("index")),
        Number("seed", "seed", itemgetter("seed_index")),
        Column("outcome", "outcome", itemgetter("outcome")),
        Number("epoch", "epochs", itemgetter("epoch")),
        Number(SELECTION, plan.metric.replace("_", " "), itemgetter(SELECTION), "{:.4f}".format),
        Number(metric, plan.unit.figure, itemgetter(metric), "{:.4f}".format),
        Column("reason", "reason", itemgetter("reason")),
    )
