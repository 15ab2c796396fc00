"""What is refused before any run starts: arms that cannot run, cannot differ, or would not be compared fairly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from search.plan.model import Arm, Plan
from search.study.error_messages import explain
from search.study.factors import factors_of, of_one_model
from search.study.schema import Study
from spaces.design import corners
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS

SHARED = (
    "the data and its fingerprint", "the split of each seed", "the order of the images", "length and evaluation",
    "search points and trials", "confirmation points and seeds", "choice on validation only, never on the test set",
    "the rule of early stopping and of checkpoints",
)  # fmt: skip
"""What is equal in all arms of a condition but for what is compared; `check_plan` holds every study to it."""

SECTIONS = {"model", "augmentation", "optimizer"}
"""Settings that have settings of their own, and may be written as a mapping."""


def check_plan(plan: Plan) -> None:
    """Refuse a plan with an arm that cannot run, cannot differ, or is not treated as the others are.

    Raises:
        InputError: there is one; the message names it.
    """
    _check_methods(plan.study)
    for condition in plan.conditions:
        configs: dict[str, RunConfig] = {}
        for arm in plan.in_condition(condition.name):
            for values in corners({**plan.nuisance, **arm.space}):
                _check_run(plan, arm, values)
            configs[arm.name] = plan.run_config(arm, _middle(plan), *plan.confirm_seeds(0))
        _check_fair(plan, plan.in_condition(condition.name), configs)


def _middle(plan: Plan) -> dict[str, Any]:
    return corners(plan.nuisance)[0]


def _check_methods(study: Study) -> None:
    """Refuse a method given twice, and MaxUp against its control where they may have other numbers of copies."""
    seen: dict[str, str] = {}
    for entry in study.methods:
        content = repr((entry.name, sorted(entry.settings.items(), key=str)))
        if content in seen:
            raise InputError(f"methods: `{entry.label}` and `{seen[content]}` are the same; take one out")
        seen[content] = entry.label
    entries = {entry.label: entry for entry in study.methods}
    for one, other in study.contrasts:
        if not (isinstance(one, str) and isinstance(other, str) and {one, other} <= set(entries)):
            continue
        copies = [entries[label].fixed().get("m") for label in (one, other)]
        kinds = {entries[label].name for label in (one, other)}
        if kinds == {"maxup", "maxup_mean"} and (copies[0] is None or copies[0] != copies[1]):
            raise InputError(
                f"contrasts: [{one}, {other}] needs the same copies in both; set `m` to one value in both, such as "
                "{name: maxup, m: 4}"
            )


def _check_run(plan: Plan, arm: Arm, values: dict[str, Any]) -> None:
    try:
        config = plan.run_config(arm, values, seed=0, split_seed=0)
    except ValidationError as error:
        raise InputError(explain(error, RunConfig, arm.name)) from None
    except InputError as error:
        raise InputError(f"{arm.name}: {error}") from None
    _check_used(plan, arm, values, config)
    if config.full_data:
        raise InputError(
            "`full_data` leaves nothing to validate on, so a study cannot choose; it is for `assay train --full-data`"
        )
    try:
        check_config(config)
    except InputError as error:
        raise InputError(f"{arm.name}: {error}") from None


def check_config(config: RunConfig) -> None:
    """Refuse a run that makes no sense on its data, or whose method cannot differ from plain training.

    Raises:
        InputError: it is one.
    """
    if config.augmentation.mirrors and not config.data.mirror_keeps_class:
        raise InputError(
            f"augmentation `{config.augmentation.name}` mirrors images, and a mirror image changes the class in this "
            "data. Use `augmentation: crop` or `none` (the default is `crop_flip`), or set its `flip` to 0."
        )
    config.check_method()


def _check_used(plan: Plan, arm: Arm, values: dict[str, Any], config: RunConfig) -> None:
    """Refuse a value that the run would silently not use."""
    used = config.parameters()
    study = plan.study
    places = {"recipe": study.fixed, "conditions": arm.condition.settings, "compare": arm.cell.settings}
    for place, asked in [*places.items(), ("nuisance", values)]:
        for name, value in asked.items():
            if (
                "." in name
                or isinstance(value, Mapping | list | tuple)
                or name in {"model", "augmentation", "optimizer"}
            ):
                continue
            if name not in used:
                raise InputError(
                    f"{place}.{name}: {arm.name} does not have it, with model `{used['model']}` and optimizer "
                    f"`{used['optimizer']}`"
                )
            longer = name in {"epochs", "steps"} and not arm.searched
            if used[name] != value and not longer and not _own(asked, name, used["model"]):
                raise InputError(
                    f"{place}.{name} is {value!r}, but {arm.name} would run with {used[name]!r}: "
                    "it is set in another place too"
                )


def _own(asked: Mapping[str, Any], name: str, model: str) -> bool:
    """Return whether a model has a value of its own for a factor."""
    return any(of_one_model(key) == (model, name) for key in asked)


def _check_fair(plan: Plan, arms: list[Arm], configs: Mapping[str, RunConfig]) -> None:
    """Refuse arms of a condition that differ in anything but what is compared, or that differ in nothing."""
    seen: dict[str, str] = {}
    first = configs[arms[0].name].parameters()
    compared = {"method", *factors_of(plan.study.compare)}
    for arm in arms:
        found = configs[arm.name].parameters()
        for name in sorted(set(first) & set(found)):
            free = name in compared or "." in name or (name in {"epochs", "steps"} and not arm.searched)
            if not free and found[name] != first[name] and not _follows(name, compared):
                raise InputError(
                    f"{arm.name} would run with {name}={found[name]!r}, and {arms[0].name} with {first[name]!r}; "
                    "arms may differ only in what is compared"
                )
        if not arm.searched or not METHODS.get(arm.cell.entry.name).claims:
            continue
        if arm.space:
            continue
        content = repr(sorted(found.items(), key=lambda item: item[0]))
        if content in seen:
            raise InputError(
                f"{arm.name} and {seen[content]} are the same run, so they cannot differ; take a level out of `compare`"
            )
        seen[content] = arm.name


def _follows(name: str, compared: set[str]) -> bool:
    """Return whether a setting may differ because of a compared one: another model has other settings of its own."""
    from trainables.config import model_fields
    from trainables.optimizers import OPTIMIZERS

    of_optimizers = {field for kind in OPTIMIZERS for field in OPTIMIZERS.get(kind).model_fields}
    return ("model" in compared and name in model_fields()) or ("optimizer" in compared and name in of_optimizers)
