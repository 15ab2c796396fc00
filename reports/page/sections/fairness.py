"""Fairness section: whether all arms were treated alike, how their runs ended, and the audit of early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from reports.data.overview import ArmSummary, StoppingAudit, stopping_audit
from reports.descriptive.fairness import SeedSpread, seed_spread, unequal_treatment
from reports.page.context import Context
from reports.page.faq import AUDIT_FROM
from reports.page.layout import Section
from reports.statistics.estimators import exact_interval
from trainables.records import ConditionRecord, number_were


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
    content = FairnessContent(arms, fairness, _audited([arm.audit for arm in arms]))
    data = {"arms": _frame(arms)}
    return Section("trust", "Was the comparison fair?", template="fairness", content=content, data=data)


def _audited(audits: Sequence[StoppingAudit]) -> str:
    """Return the result of the early-stopping audit; its error rate needs `AUDIT_FROM` would-be stops."""
    audited, stops = sum(one.audited for one in audits), sum(one.would_stop for one in audits)
    if not audited:
        return "Early stopping was not audited: no run was exempt from it."
    runs = number_were(audited, "run")
    start = f"{runs} trained to the end regardless; the rules would have stopped {stops} of them."
    if stops < AUDIT_FROM:
        return f"{start} At least {AUDIT_FROM} such stops are needed to estimate how often they are wrong."
    wrong = sum(one.mistakes for one in audits)
    bounds = exact_interval(wrong, stops)
    share = f"{100 * wrong / stops:.0f} % ({100 * bounds.low:.0f} to {100 * bounds.high:.0f})"
    return f"{start} {wrong} of these finished in the better half of their arm: {share} of the stops would be wrong."


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
