"""Setup section: settings, versions, machine and data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reports.data.overview import PointSummary, pooled_points
from reports.page.context import Context
from reports.page.layout import Section
from trainables.records import ConditionRecord


@dataclass(frozen=True)
class ConditionSetup:
    """Setup of one condition.

    Args:
        condition: the condition.
        pool: pooled settings, None if not chosen yet.
        factors: names of the pooled hyperparameters, in order of first appearance.
    """

    condition: ConditionRecord
    pool: tuple[PointSummary, ...] | None
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Setup:
    """Setup of the study.

    Args:
        conditions: one per condition.
        facts: versions, machine and data as (name, value).
    """

    conditions: tuple[ConditionSetup, ...]
    facts: tuple[tuple[str, str], ...]


def build(context: Context) -> Section:
    """Return settings and facts."""
    conditions = []
    for condition in context.plan.conditions:
        pool = pooled_points(context.study, condition.name)
        factors = dict.fromkeys(name for point in pool or () for name in point.values)
        conditions.append(ConditionSetup(condition, pool, tuple(factors)))
    hidden = {"data": {"test_labels"}, "data_sets": {"__all__": {"test_labels"}}}
    shown = _flat(context.study.facts.model_dump(mode="json", exclude=hidden, exclude_none=True))
    content = Setup(tuple(conditions), tuple(shown))
    return Section("setup", "Experimental setup", template="setup", content=content)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested facts as pairs of dotted names and values."""
    pairs = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            pairs.append((f"{prefix}{key}", ", ".join(str(entry) for entry in value)))
        else:
            pairs.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)))
    return pairs
