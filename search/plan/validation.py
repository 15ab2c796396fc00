"""Plan validation: refuses arms that cannot run, cannot differ, or would not be compared fairly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from search.plan.model import Arm, Plan, file_name
from search.study.error_messages import explain
from search.study.factors import factors_of, split_model_factor
from search.study.schema import Study
from search.study.sections import MethodEntry
from spaces.design import corners, sobol_points
from spaces.distributions import Space
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS, Copies
from trainables.schedules import milestone_number

INTERIOR = 4
"""Number of points within a search space at which configurations are validated, in addition to its corners."""
NESTED = {"model", "augmentation", "optimizer"}
"""Settings that have settings themselves and may be written as a mapping."""


def check_plan(plan: Plan) -> None:
    """Refuse a plan with an arm that cannot run, cannot differ, or is treated differently from the others.

    Raises:
        InputError: there is such an arm; the message names it.
    """
    _check_methods(plan.study)
    _check_names(plan)
    for condition in plan.conditions:
        configs: dict[str, RunConfig] = {}
        for arm in plan.in_condition(condition.name):
            for values in _probes({**plan.nuisance, **arm.space}):
                _check_run(plan, arm, values)
            configs[arm.name] = plan.run_config(arm, corners(plan.nuisance)[0], *plan.confirm_seeds(0))
        _check_fair(plan, plan.in_condition(condition.name), configs)


def _probes(space: Space) -> list[dict[str, Any]]:
    """Return the points of a search space at which configurations are validated: its corners and some in between."""
    return [*corners(space), *(sobol_points(space, INTERIOR, seed=0) if space else [])]


def _check_names(plan: Plan) -> None:
    """Refuse a plan in which two arms of a condition, or two conditions, would give their runs the same name."""
    seen: dict[str, str] = {}
    for arm in plan.arms:
        name = file_name(arm.condition.name, arm.method)
        if name in seen:
            raise InputError(f"the runs of {arm.name} and of {seen[name]} would have the same names; rename one")
        seen[name] = arm.name


def _check_methods(study: Study) -> None:
    """Refuse duplicate methods, and contrasts of two uses of copies if their numbers of copies may differ."""
    seen: dict[str, str] = {}
    for entry in study.methods:
        content = repr((entry.name, entry.twin, sorted(entry.settings.items(), key=str)))
        if content in seen:
            raise InputError(f"methods: `{entry.label}` and `{seen[content]}` are the same; remove one")
        seen[content] = entry.label
    entries = {entry.label: entry for entry in study.methods}
    for one, other in study.contrasts:
        if not (isinstance(one, str) and isinstance(other, str) and {one, other} <= set(entries)):
            continue
        first, second = (_copies(entries[label]) for label in (one, other))
        if first is None or second is None or first.kind is second.kind:
            continue
        if first.m is None or first.m != second.m:
            raise InputError(
                f"contrasts: [{one}, {other}] needs the same number of copies in both; set `m` to one value in both, "
                f"such as {{name: {entries[one].name}, {first.key}: 4}}"
            )


class _CopyCount(NamedTuple):
    """The number of copies of a method: its class, and the key and value of `m` (None if it is searched)."""

    kind: type[Copies]
    key: str
    m: int | None


def _copies(entry: MethodEntry) -> _CopyCount | None:
    """Return the number of copies of a method of the study, or None if it makes none."""
    method = METHODS.get(entry.name)
    kind = method.copying()
    if kind is None:
        return None
    key = next(field for field in method.fields() if method.plain(field) == kind.plain("m"))
    return _CopyCount(kind, key, entry.fixed().get(key))


def _check_run(plan: Plan, arm: Arm, values: dict[str, Any]) -> None:
    try:
        config = plan.run_config(arm, values, seed=0, split_seed=0)
        trial = plan.trial_config(arm, values, trial_index=0) if arm.searched else config
    except ValidationError as error:
        raise InputError(explain(error, RunConfig, arm.name, written=plan.study.key_of)) from None
    except InputError as error:
        raise InputError(f"{arm.name}: {error}") from None
    _check_used(plan, arm, values, config)
    if config.full_data:
        raise InputError(
            "`full_data` leaves no validation data, so a study cannot select anything; it is for `assay train "
            "--full-data`"
        )
    try:
        check_config(config)
    except InputError as error:
        raise InputError(f"{arm.name}: {error}") from None
    try:
        trial.check_method()
    except InputError as error:
        raise InputError(
            f"{arm.name}: in a trial of {trial.epochs} epochs (`search.fidelity: schedule`), {error}. Use "
            "`fidelity: full`."
        ) from None


def check_config(config: RunConfig) -> None:
    """Refuse a run that is invalid on its data, or whose method cannot differ from plain training.

    Raises:
        InputError: the augmentation mirrors images whose class depends on orientation, or the method has no effect.
    """
    if config.augmentation.mirrors and not config.data.mirror_keeps_class:
        raise InputError(
            f"augmentation `{config.augmentation.name}` mirrors images, but a mirror image changes the class in this "
            "data. Use `augmentation: crop` or `none` (the default is `crop_flip`), or set its `flip` to 0."
        )
    config.check_method()


def _check_used(plan: Plan, arm: Arm, values: dict[str, Any], config: RunConfig) -> None:
    """Refuse a value that the run would silently ignore."""
    used = config.parameters()
    study = plan.study
    fixed = {key: value for key, value in study.nuisance.items() if key not in study.searched}
    places = {
        "recipe": study.recipe,
        "conditions": arm.condition.settings,
        "compare": arm.cell.settings,
        "nuisance": {**fixed, **values},
    }
    for place, settings in places.items():
        for name, value in settings.items():
            if (
                "." in name
                or name in NESTED
                or name == "milestones"
                or milestone_number(name)
                or isinstance(value, Mapping | list | tuple)
            ):
                continue
            if name not in used:
                raise InputError(
                    f"{place}.{name}: {arm.name} has no such setting with model `{used['model']}` and optimizer "
                    f"`{used['optimizer']}`"
                )
            longer = name in {"epochs", "steps"} and not arm.searched
            if used[name] != value and not longer and not _has_own_value(settings, name, used["model"]):
                others = [key for key in _keys_of(places, name) if key != f"{place}.{name}"]
                also = f": it is also set by {', '.join(others)}; remove one of them" if others else ""
                raise InputError(f"{place}.{name} is {value!r}, but {arm.name} would run with {used[name]!r}{also}")


def _keys_of(places: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    """Return the keys that set a value, also within a mapping, such as `recipe.optimizer.learning_rate`."""
    found = []
    for place, settings in places.items():
        mappings = {key: value for key, value in settings.items() if isinstance(value, Mapping)}
        found += [f"{place}.{name}"] * (name in settings)
        found += [f"{place}.{key}.{name}" for key, value in mappings.items() if name in value]
    return found


def _has_own_value(settings: Mapping[str, Any], name: str, model: str) -> bool:
    """Return whether a factor has a value for one model only, such as `resnet8.batch_size`."""
    return any(split_model_factor(key) == (model, name) for key in settings)


def _check_fair(plan: Plan, arms: list[Arm], configs: Mapping[str, RunConfig]) -> None:
    """Refuse arms of a condition that differ in more than what is compared, or that do not differ at all."""
    seen: dict[str, str] = {}
    first = configs[arms[0].name].parameters()
    compared = {"method", *factors_of(plan.study.compare)}
    for arm in arms:
        found = configs[arm.name].parameters()
        for name in sorted(set(first) & set(found)):
            free = name in compared or "." in name or (name in {"epochs", "steps"} and not arm.searched)
            free = free or (name == "seed" and arm.cell.entry.twin)
            if not free and found[name] != first[name] and not _depends_on(compared, name):
                raise InputError(
                    f"{arm.name} would run with {name}={found[name]!r}, but {arms[0].name} with {first[name]!r}; "
                    "arms may differ only in what is compared"
                )
        if arm.space or not arm.searched or not METHODS.get(arm.cell.entry.name).claims:
            continue
        content = repr(sorted(found.items(), key=lambda item: item[0]))
        if content in seen:
            raise InputError(f"{arm.name} and {seen[content]} are identical; remove one of the levels from `compare`")
        seen[content] = arm.name


def _depends_on(compared: set[str], name: str) -> bool:
    """Return whether a setting may differ because the model or the optimizer is compared, to which it belongs."""
    from trainables.config import model_fields
    from trainables.optimizers import OPTIMIZERS

    of_optimizers = {field for kind in OPTIMIZERS for field in OPTIMIZERS.get(kind).model_fields}
    return ("model" in compared and name in model_fields()) or ("optimizer" in compared and name in of_optimizers)
