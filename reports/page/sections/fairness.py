"""Can it be trusted? How runs ended, and the audit of early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd
from scipy.stats import binomtest

from reports.data.overview import ArmSummary, Audit, audit
from reports.descriptive.fairness import SeedSpread, seed_spread, unequal
from reports.page.context import Context
from reports.page.faq import AUDIT_FROM
from reports.page.layout import Section
from trainables.records import ConditionRecord


@dataclass(frozen=True)
class ArmView:
    """How an arm's runs ended, and the audit of its early stopping."""

    summary: ArmSummary
    audit: Audit
    colour: str
    plain_epochs: str
    spread: SeedSpread | None


@dataclass(frozen=True)
class Fairness:
    """Whether the arms of a condition were given the same: what was not, in sentences."""

    condition: ConditionRecord
    unequal: tuple[str, ...]


@dataclass(frozen=True)
class Trust:
    """What trust rests on.

    Args:
        arms: one an arm.
        fairness: one a condition.
        audit: what the audit of early stopping says.
    """

    arms: tuple[ArmView, ...]
    fairness: tuple[Fairness, ...]
    audit: str


def build(context: Context) -> Section:
    """Return one line an arm."""
    arms = tuple(
        ArmView(
            summary=summary,
            audit=audit(context.study, summary.arm),
            colour=context.colours[summary.arm.method],
            plain_epochs=f"{summary.plain_epochs:,.0f}",
            spread=seed_spread(context.study, summary.arm),
        )
        for summary in context.summaries
    )
    fairness = tuple(Fairness(one, tuple(unequal(context.study, one))) for one in context.plan.conditions)
    content = Trust(arms, fairness, _audited([arm.audit for arm in arms]))
    return Section("trust", "Can it be trusted?", partial="fairness", content=content, data={"arms": _frame(arms)})


def _audited(audits: Sequence[Audit]) -> str:
    """Return what the audit of early stopping says; its error rate needs `AUDIT_FROM` would-be stops."""
    audited, stops = sum(one.audited for one in audits), sum(one.would_stop for one in audits)
    if not audited:
        return "Early stopping was not audited: no run was exempt from it."
    start = f"{audited} runs went to the end regardless; the rules would have stopped {stops} of them."
    if stops < AUDIT_FROM:
        return f"{start} How often that would have been wrong is not estimable below {AUDIT_FROM} such stops."
    wrong = sum(one.mistakes for one in audits)
    low, high = (100 * end for end in binomtest(wrong, stops).proportion_ci(0.95, method="exact"))
    share = f"{100 * wrong / stops:.0f} % ({low:.0f} to {high:.0f})"
    return (
        f"{start} {wrong} of these ended in the better half of their arm: {share} of the stops would have been wrong."
    )


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
