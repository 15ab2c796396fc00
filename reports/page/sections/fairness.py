"""Fairness section: whether all arms were treated alike, how their runs ended, and the audit of early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from reports.data.overview import ArmSummary, StoppingAudit, stopping_audit
from reports.descriptive.fairness import SeedSpread, audit_result, seed_spread, unequal_treatment
from reports.page.context import Context
from reports.page.layout import Section
from trainables.records import ConditionRecord


@dataclass(frozen=True)
class ArmView:
    """Run outcomes of an arm, and the audit of its early stopping."""

    summary: ArmSummary
    audit: StoppingAudit
    colour: str
    plain_epochs: str
    spread: SeedSpread | None


@dataclass(frozen=True)
class ConditionFairness:
    """Differences in the treatment of a condition's arms, in sentences; empty if there are none."""

    condition: ConditionRecord
    unequal: tuple[str, ...]


@dataclass(frozen=True)
class FairnessContent:
    """Content of the section.

    Args:
        arms: one per arm.
        fairness: one per condition.
        audit: result of the early-stopping audit, in words.
    """

    arms: tuple[ArmView, ...]
    fairness: tuple[ConditionFairness, ...]
    audit: str


def build(context: Context) -> Section:
    """Return the run outcomes of every arm, and the fairness of every condition."""
    arms = tuple(
        ArmView(
            summary=summary,
            audit=stopping_audit(context.study, summary.arm),
            colour=context.colours[summary.arm.method],
            plain_epochs=f"{summary.plain_epochs:,.0f}",
            spread=seed_spread(context.study, summary.arm),
        )
        for summary in context.summaries
    )
    fairness = tuple(
        ConditionFairness(one, tuple(unequal_treatment(context.study, one))) for one in context.plan.conditions
    )
    content = FairnessContent(arms, fairness, audit_result([arm.audit for arm in arms]))
    data = {"arms": _frame(arms)}
    return Section("trust", "Was the comparison fair?", template="fairness", content=content, data=data)


def _frame(arms: Sequence[ArmView]) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "condition": arm.summary.arm.condition, "method": arm.summary.arm.method,
            **{f"search_{name}": value for name, value in asdict(arm.summary.search).items()},
            **{f"confirm_{name}": value for name, value in asdict(arm.summary.confirm).items()},
            "audited": arm.audit.audited, "would_stop": arm.audit.would_stop, "mistakes": arm.audit.mistakes,
            "plain_epochs": arm.summary.plain_epochs, "seconds": arm.summary.seconds,
            "seed_deviation": arm.spread.deviation if arm.spread else None,
        }
        for arm in arms
    ])  # fmt: skip
