"""Unpaired verdicts: runs of different arms have no seed in common, so means are compared by Welch's test."""

from __future__ import annotations

import numpy as np

from reports.data.frames import StudyData
from reports.inference.verdicts import Effect, Verdict
from reports.statistics.estimators import Estimate, own_best, unpaired
from reports.statistics.group_sequential import Decision, decide
from reports.statistics.significance import seeds_needed
from trainables.records import CONFIRM, SELECTION, ContrastRecord

NOTE = "The runs are not paired by seed, so Welch's t-test compares the means; pairs usually need fewer runs."


def judge_unpaired(study: StudyData) -> list[Verdict]:
    """Judge all contrasts of an observed study without pairing, with Holm's correction as in a paired study.

    Each arm is evaluated at its own best setting.

    Returns:
        One verdict per contrast, in the order of the plan. What exists only for pairs is None.
    """
    plan = study.plan
    sides = [tuple(_values(study, contrast.condition, arm) for arm in contrast.arms) for contrast in plan.contrasts]
    estimates: list[Estimate | None] = [unpaired(method, reference) for method, reference in sides]
    [decisions] = decide([estimates], [plan.alpha], plan.alpha, plan.smallest_effect)
    return [
        _verdict(study, contrast, decision, method, reference)
        for contrast, decision, (method, reference) in zip(plan.contrasts, decisions, sides, strict=True)
    ]


def _values(study: StudyData, condition: str, method: str) -> np.ndarray:
    """Return the judged metric of an arm at its best setting, float (S,), signed so that higher is better."""
    plan, runs = study.plan, study.runs_of(CONFIRM, condition, method)
    means = plan.as_maximized(runs.groupby("index")[SELECTION].mean())
    best = means.index[own_best(means.to_numpy()[None, :, None])[0, 0]]
    values = runs.loc[runs["index"] == best, plan.unit.metric].to_numpy(dtype=float)
    return plan.unit.as_maximized(values)


def _verdict(
    study: StudyData, contrast: ContrastRecord, decision: Decision, method: np.ndarray, reference: np.ndarray
) -> Verdict:
    plan, fewest = study.plan, min(len(method), len(reference))
    estimate = unpaired(method, reference)
    spread = float(np.hypot(method.std(ddof=1), reference.std(ddof=1))) if fewest > 1 else None
    notes = [NOTE] if fewest > 1 else [f"One run of {contrast.method if len(method) == 1 else contrast.reference}."]
    needed = None
    if not decision.decided and spread is not None:
        needed = seeds_needed(spread, fewest, plan.smallest_effect, plan.alpha / len(plan.contrasts))
    return Verdict(
        condition=contrast.condition,
        method=contrast.method,
        reference=contrast.reference,
        metric=plan.unit.metric,
        unit=plan.unit,
        verdict=decision.verdict,
        on_this_test_set=decision.decided,
        family=contrast.family,
        seeds=fewest,
        planned_seeds=max(len(method), len(reference)),
        value=plan.unit.as_maximized(float(method.mean())),
        reference_value=plan.unit.as_maximized(float(reference.mean())),
        tuned=Effect(estimate.mean, spread, estimate.interval, decision.p, decision.p_adjusted, None),
        equivalence_p=decision.equivalence_p,
        equivalence_p_adjusted=decision.equivalence_p_adjusted,
        seeds_needed=needed,
        notes=tuple(notes),
    )
