"""Settings of a study file that have no effect beside others, so that `plan` and `run` can say so."""

from __future__ import annotations

from collections.abc import Iterator

from search.plan.model import Plan

OF_TRIALS = {"trials_per_arm", "fidelity", "early_stopping", "reduction_factor", "audit", "replicates"}
OF_STOPPING = {"early_stopping", "reduction_factor", "audit"}


def unused_settings(plan: Plan) -> Iterator[str]:
    """Yield what is written in the study file of a plan and has no effect, in sentences.

    >>> from search.plan.builder import make_plan
    >>> from search.study.loading import load_study
    >>> changes = ("search.fidelity=schedule", "confirm.points=8", "methods=[baseline, mixup]", "contrasts=[]")
    >>> print(*unused_settings(make_plan(load_study("quickstart", changes))), sep="\\n")
    `search.audit` has no effect: with `fidelity: schedule` no trial is stopped early.
    `confirm.points` is 8, but a search of 4 trials has 4 points at most.
    """
    search, written = plan.study.search, plan.study.search.model_fields_set
    if not plan.trials:
        unused, why = written & OF_TRIALS, "with `sampler: none` there are no trials"
    elif search.fidelity == "schedule":
        unused, why = written & OF_STOPPING, "with `fidelity: schedule` no trial is stopped early"
    elif not search.early_stopping:
        unused, why = written & OF_STOPPING - {"early_stopping"}, "with `early_stopping: false` no trial is stopped"
    else:
        unused, why = set(), ""
    if unused:
        names = ", ".join(f"`search.{name}`" for name in sorted(unused))
        yield f"{names} {'has' if len(unused) == 1 else 'have'} no effect: {why}."
    points = plan.study.confirm.points
    if points <= plan.points or "points" not in plan.study.confirm.model_fields_set:
        return
    if plan.trials and plan.nuisance:
        yield (f"`confirm.points` is {points}, but a search of {plan.trials} trials has {plan.points} points at most.")
    else:
        yield f"`confirm.points` is {points}, but nothing is searched that the arms share, so there is one point."
