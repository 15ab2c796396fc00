"""Settings of a study file that have no effect beside others, so that `plan` and `run` can say so."""

from __future__ import annotations

from collections.abc import Iterator

from search.plan.model import Plan
from search.study.sections import FIRST_LOOK, Confirm, Search
from trainables.records import number_of

OF_TRIALS = ("trials_per_arm", "fidelity", "early_stopping", "reduction_factor", "audit", "replicates")
OF_STOPPING = ("early_stopping", "reduction_factor", "audit")


def unused_settings(plan: Plan) -> Iterator[str]:
    """Yield what differs from its default in the study file of a plan and has no effect, in sentences.

    >>> from search.plan.builder import make_plan
    >>> from search.study.loading import load_study
    >>> changes = ("methods=[baseline, mixup]", "contrasts=[]", "search.fidelity=schedule", "search.audit=3")
    >>> print(*unused_settings(make_plan(load_study("quickstart", (*changes, "confirm.points=8")))), sep="\\n")
    `search.audit` has no effect: with `fidelity: schedule` no trial is stopped early.
    `confirm.points` is 8, but a search of 4 trials yields at most 4 points.
    """
    search, confirm = plan.study.search, plan.study.confirm
    candidates, why = _unused_in_search(plan)
    unused = [name for name in candidates if getattr(search, name) != Search.model_fields[name].default]
    if unused:
        yield _no_effect([f"search.{name}" for name in unused], why)
    if not plan.trials and "nuisance" in plan.study.model_fields_set and plan.nuisance:
        yield _no_effect([f"nuisance.{name}" for name in plan.nuisance], "with `sampler: none` nothing is searched")
    if plan.points < confirm.points != Confirm.model_fields["points"].default:
        searched = plan.trials and plan.nuisance
        found = f"a search of {number_of(plan.trials, 'trial')} yields at most {number_of(plan.points, 'point')}"
        none = "nothing is searched that the arms share, so there is one point"
        yield f"`confirm.points` is {confirm.points}, but {found if searched else none}."
    if confirm.is_open and plan.study.looks[0] < FIRST_LOOK:
        yield f"`confirm.looks` begins with {plan.study.looks[0]}, but open seeds decide nothing before {FIRST_LOOK}."


def _no_effect(settings: list[str], why: str) -> str:
    names = ", ".join(f"`{name}`" for name in settings)
    return f"{names} {'has' if len(settings) == 1 else 'have'} no effect: {why}."


def _unused_in_search(plan: Plan) -> tuple[tuple[str, ...], str]:
    """Return the settings of the search that have no effect, and why."""
    search = plan.study.search
    if not plan.trials:
        return OF_TRIALS, "with `sampler: none` there are no trials"
    if search.fidelity == "schedule":
        return OF_STOPPING, "with `fidelity: schedule` no trial is stopped early"
    if not search.early_stopping:
        return OF_STOPPING[1:], "with `early_stopping: false` no trial is stopped"
    return (), ""
