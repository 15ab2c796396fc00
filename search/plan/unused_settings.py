"""Settings of a study file that have no effect in combination with others; `plan` and `run` warn of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search.plan.model import Arm, Plan
from search.study.factors import split_model_factor
from search.study.sections import FIRST_LOOK, Confirm, Search
from spaces.design import corners
from trainables.methods import METHODS
from trainables.records import number_of

OF_TRIALS = ("trials_per_arm", "fidelity", "early_stopping", "reduction_factor", "audit", "replicates")
OF_STOPPING = ("early_stopping", "reduction_factor", "audit")
ABOVE_ZERO = object()
ONLY_IF: Mapping[str, tuple[str, Any]] = {
    **dict.fromkeys(("milestones", "milestones_of", "decay_factor"), ("schedule", "milestones")),
    "fine_tune_off": ("fine_tune", ABOVE_ZERO),
}
"""Settings of runs that have an effect only if another has a value, as `Method.only_if` states for hyperparameters."""


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
    yield from _unused_in_runs(plan)


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


def _unused_in_runs(plan: Plan) -> Iterator[str]:
    """Yield the settings of runs, in sentences, of which no run has the value of another that they need."""
    rules: dict[str, tuple[str, Any]] = {}
    used: set[str] = set()
    for arm in plan.arms:
        kind, searched = METHODS.get(arm.cell.entry.name), {**plan.nuisance, **arm.space}
        written = {*plan.study.fixed, *arm.settings, *searched, *map(kind.plain, arm.cell.entry.settings)}
        written |= {split[1] for name in written if (split := split_model_factor(name))}
        own = {name: rule for name, rule in {**ONLY_IF, **kind.conditional()}.items() if name in written}
        rules |= own
        used |= {name for name, (other, value) in own.items() if other in searched or _has(plan, arm, other, value)}
    for name, (other, value) in rules.items():
        if name not in used:
            needed = f"`{other}` above 0" if value is ABOVE_ZERO else f"`{other}: {value}`"
            yield _no_effect([name], f"no run has {needed}")


def _has(plan: Plan, arm: Arm, name: str, value: Any) -> bool:
    """Return whether the runs of an arm have a value of a setting that is not searched."""
    point = corners({**plan.nuisance, **arm.space})[0]
    found = plan.run_config(arm, point, *plan.confirm_seeds(0)).parameters()[name]
    return found > 0 if value is ABOVE_ZERO else found == value
