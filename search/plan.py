"""What a study will do: conditions, arms, contrasts and counts, and what is refused before any run starts."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import ValidationError

from search.messages import explain
from search.stopping import rung_epochs
from search.study import MethodEntry, Study
from spaces.distributions import Space, distribution, method_space, nuisance_space
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.fields import Choice
from trainables.methods import METHODS, Method
from trainables.methods.base import off_from
from trainables.randomness import derive_seed
from trainables.schedules import fractions, selection_epochs

FIXED_LENGTH = ("epochs", "steps", "schedule", "milestones", "milestones_of")
"""What the rungs of a condition follow from, so that it is the same in all its runs."""
DEFAULT_MODEL: str = RunConfig.model_fields["model"].default.name


@dataclass(frozen=True)
class Condition:
    """One set of circumstances.

    Args:
        name: unique in the study.
        values: the factors that make it.
        epochs: training length.
        selection_epochs: how many last epochs a run is judged on.
        rungs: epochs at which runs may be stopped.
    """

    name: str
    values: dict[str, Any]
    epochs: int
    selection_epochs: int
    rungs: tuple[int, ...]


@dataclass(frozen=True)
class Arm:
    """One method under one condition, with what is searched of the method."""

    name: str
    entry: MethodEntry
    condition: Condition
    space: Space
    cost: float
    reference: bool

    @property
    def method(self) -> str:
        """The method's name in this study."""
        return self.entry.label


@dataclass(frozen=True)
class Plan:
    """All that a study will do."""

    study: Study
    conditions: tuple[Condition, ...]
    arms: tuple[Arm, ...]
    contrasts: tuple[tuple[str, str, str], ...]
    nuisance: Space

    @property
    def trials(self) -> int:
        """Search trials of each arm."""
        return 0 if self.study.search.sampler == "none" else self.study.search.trials_per_arm

    @property
    def points(self) -> int:
        """Pooled points at which each arm is confirmed, at most."""
        return 1 if not self.nuisance or self.trials == 0 else min(self.study.confirm.points, self.trials)

    def in_condition(self, condition: str) -> list[Arm]:
        """Return the arms of a condition, the reference first."""
        arms = [arm for arm in self.arms if arm.condition.name == condition]
        return sorted(arms, key=lambda arm: not arm.reference)

    def run_config(self, arm: Arm, values: dict[str, Any], seed: int, split_seed: int) -> RunConfig:
        """Return the configuration of one run of an arm.

        Args:
            arm: the arm.
            values: nuisance and method values by plain name.
            seed, split_seed: as in `RunConfig`.

        Raises:
            pydantic.ValidationError: a value is not allowed.
        """
        return RunConfig.from_plain(
            {
                "data": self.study.data.model_dump(mode="json"),
                "epochs": arm.condition.epochs,
                **self.study.recipe,
                **arm.condition.values,
                **values,
                "method": {**arm.entry.fixed(), "name": arm.entry.name},
                "seed": seed,
                "split_seed": split_seed,
            }
        )

    def search_seeds(self, k: int) -> tuple[int, int]:
        """Return (seed, split_seed) of trial k, the same in every arm."""
        return derive_seed(self.study.seed, "search", k), derive_seed(self.study.seed, "search split")

    def confirm_seeds(self, s: int) -> tuple[int, int]:
        """Return (seed, split_seed) of confirmation seed s, the same in every arm and point."""
        return derive_seed(self.study.seed, "confirm", s), derive_seed(self.study.seed, "confirm split", s)

    def document(self) -> dict[str, Any]:
        """Return the plan as the journal keeps it (see `records.PLAN`)."""
        study = self.study
        return {
            "name": study.name,
            "metric": study.metric,
            "smallest_effect": study.smallest_effect / 100,
            "alpha": study.alpha,
            "seeds": study.confirm.seeds,
            "points": self.points,
            "trials_per_arm": self.trials,
            "conditions": [
                {
                    "name": condition.name,
                    "values": condition.values,
                    "epochs": condition.epochs,
                    "selection_epochs": condition.selection_epochs,
                    "rungs": list(condition.rungs),
                }
                for condition in self.conditions
            ],
            "arms": [
                {
                    "name": arm.name,
                    "method": arm.method,
                    "condition": arm.condition.name,
                    "cost": arm.cost,
                    "reference": arm.reference,
                    "parameters": arm.entry.plain(),
                }
                for arm in self.arms
            ],
            "contrasts": [
                {"condition": condition, "method": method, "reference": reference}
                for condition, method, reference in self.contrasts
            ],
        }


def make_plan(study: Study) -> Plan:
    """Return what a study will do.

    Raises:
        InputError: an arm cannot be run, or cannot differ from its reference.
    """
    nuisance = nuisance_space(study.nuisance, _used(study, "optimizer", "sgd"), _used(study, "model", DEFAULT_MODEL))
    conditions = tuple(_condition(study, values) for values in _grid(study))
    arms = tuple(_arm(study, condition, entry) for condition in conditions for entry in study.methods)
    pairs = _pairs(study)
    contrasts = tuple((condition.name, *pair) for condition in conditions for pair in pairs)
    plan = Plan(study, conditions, arms, contrasts, nuisance)
    _check_arms(plan)
    return plan


def _pairs(study: Study) -> list[tuple[str, str]]:
    """Return what is compared: every method with the reference, and what the study adds; diagnostics make no claims."""
    silent = {entry.label for entry in study.methods if not METHODS.get(entry.name).claims}
    for label in [study.reference, *(label for pair in study.contrasts for label in pair)]:
        if label in silent:
            raise InputError(
                f"`{label}` is a diagnostic and makes no claims, so it can neither be the reference nor stand in "
                "`contrasts`; it runs beside the others and is shown with them"
            )
    pairs = [(entry.label, study.reference) for entry in study.methods if entry.label not in {study.reference, *silent}]
    pairs += [pair for pair in study.contrasts if pair not in pairs]
    if not pairs:
        raise InputError(
            f"nothing is compared: {', '.join(sorted(silent))} makes no claims; add a method beside the reference"
        )
    return pairs


def _used(study: Study, factor: str, default: str) -> list[str]:
    """Return the names of all optimizers, or models, that some run of the study may use."""
    searched = study.nuisance.get(factor)
    if isinstance(searched, Choice):
        return [str(name) for name in searched.options]
    chosen: list[Any] = list(study.conditions.get(factor, [study.recipe.get(factor, default)]))
    return [str(item.get("name", default)) if isinstance(item, Mapping) else str(item) for item in chosen]


def _grid(study: Study) -> list[dict[str, Any]]:
    """Return the values of every condition, in the order of the study file."""
    cells = [
        dict(zip(study.conditions, values, strict=True)) for values in itertools.product(*study.conditions.values())
    ]
    kept = [
        cell
        for cell in cells
        if not any(all(cell[factor] == value for factor, value in pair.items()) for pair in study.exclude)
    ]
    if not kept:
        raise InputError("exclude leaves no condition; take out an entry")
    return kept


def _condition(study: Study, values: dict[str, Any]) -> Condition:
    settings = {**study.recipe, **values}
    epochs = settings.get("epochs", RunConfig.model_fields["epochs"].default)
    if not isinstance(epochs, int) or epochs < 4:
        raise InputError(f"epochs must be a whole number of at least 4, but got {epochs!r}")
    for factor in FIXED_LENGTH:
        if factor in study.nuisance:
            raise InputError(f"nuisance.{factor}: `{factor}` cannot be searched; set it in `recipe` or `conditions`")
    kinds = [kind for entry in study.methods for kind in _methods(entry)]
    cycles = [cycle for kind in kinds if (cycle := kind.cycle(epochs))]
    rungs = rung_epochs(epochs, _milestones(settings), study.search.reduction_factor, cycles)
    return Condition(
        name=", ".join(f"{key}={value}" for key, value in values.items()) or "all",
        values=values,
        epochs=epochs,
        selection_epochs=selection_epochs(epochs),
        rungs=tuple(rungs) if study.search.early_stopping else (),
    )


def _milestones(settings: Mapping[str, Any]) -> list[float]:
    """Return where the learning rate falls, as fractions of the length; what is wrong is said later."""
    names = ("schedule", "milestones", "milestones_of")
    schedule, milestones, of = (settings.get(name, RunConfig.model_fields[name].default) for name in names)
    if schedule != "milestones" or not isinstance(milestones, list | tuple) or not isinstance(of, int | float):
        return []
    return [at for at in fractions(milestones, of) if 0 < at < 1] if of > 0 else []


def _arm(study: Study, condition: Condition, entry: MethodEntry) -> Arm:
    return Arm(
        name=f"{condition.name}: {entry.label}",
        entry=entry,
        condition=condition,
        space=_own_space(study, condition, entry),
        cost=_cost(study, condition, entry),
        reference=entry.label == study.reference,
    )


def _own_space(study: Study, condition: Condition, entry: MethodEntry) -> Space:
    """Return what is searched of a method, without what recipe or condition set."""
    given = {**study.recipe, **condition.values}
    return {name: dist for name, dist in method_space(entry.name, entry.settings).items() if name not in given}


def _cost(study: Study, condition: Condition, entry: MethodEntry) -> float:
    """Return the nominal cost of a mean epoch of an arm, in plain epochs; a mean over what is searched, too."""
    fine_tune = {**study.recipe, **condition.values}.get("fine_tune", 0)
    off = off_from(fine_tune, condition.epochs) if isinstance(fine_tune, int | float) else condition.epochs
    return fmean(kind.mean_cost(condition.epochs, off) for kind in _methods(entry))


def _methods(entry: MethodEntry) -> list[Method]:
    """Return the method with every combination of the ends of what is searched of it."""
    kind = METHODS.get(entry.name)
    marks = kind.searched(entry.settings)
    ends = itertools.product(*(_ends(distribution(mark)) for mark in marks.values()))
    try:
        return [kind.model_validate({**entry.fixed(), **dict(zip(marks, values, strict=True))}) for values in ends]
    except ValidationError as error:
        raise InputError(explain(error, kind, f"methods: {entry.label}")) from None


def _check_arms(plan: Plan) -> None:
    """Refuse arms that cannot run, cannot differ from the reference, or are twice the same."""
    seen: dict[str, str] = {}
    for entry in plan.study.methods:
        content = repr((entry.name, sorted(entry.settings.items(), key=str)))
        if content in seen:
            raise InputError(f"methods: `{entry.label}` and `{seen[content]}` are the same; take one out")
        seen[content] = entry.label
    _check_control(plan.study)
    for arm in plan.arms:
        for values in _corners({**plan.nuisance, **arm.space}):
            _check_run(plan, arm, values)


def _check_control(study: Study) -> None:
    """Refuse MaxUp against its control where the two may have other numbers of copies."""
    entries = {entry.label: entry for entry in study.methods}
    for one, other in study.contrasts:
        copies = [entries[label].fixed().get("m") for label in (one, other)]
        kinds = {entries[label].name for label in (one, other)}
        if kinds == {"maxup", "maxup_mean"} and (copies[0] is None or copies[0] != copies[1]):
            raise InputError(
                f"contrasts: [{one}, {other}] needs the same copies in both; set `m` to one value in both, such as "
                "{name: maxup, m: 4}"
            )


def _corners(space: Space) -> list[dict[str, Any]]:
    """Return points that hold every dimension's smallest and largest value, or each of its choices."""
    ends = {name: _ends(dist) for name, dist in space.items()}
    longest = max((len(values) for values in ends.values()), default=1)
    return [{name: values[i % len(values)] for name, values in ends.items()} for i in range(longest)]


def _ends(dist: BaseDistribution) -> list[Any]:
    if isinstance(dist, CategoricalDistribution):
        return list(dist.choices)
    if isinstance(dist, FloatDistribution | IntDistribution):
        return [dist.low, dist.high]
    raise TypeError(f"cannot search {type(dist).__name__}")


def _check_run(plan: Plan, arm: Arm, values: dict[str, Any]) -> None:
    try:
        config = plan.run_config(arm, values, seed=0, split_seed=0)
    except ValidationError as error:
        raise InputError(explain(error, RunConfig, f"{arm.name}")) from None
    _check_used(plan, arm, values, config)
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
            "data. Use `crop` or `none`, or set its `flip` to 0."
        )
    config.check_method()


def _check_used(plan: Plan, arm: Arm, values: dict[str, Any], config: RunConfig) -> None:
    """Refuse a value that the run would silently not use."""
    used = config.parameters()
    asked = {**plan.study.recipe, **arm.condition.values, **values}
    for name, value in asked.items():
        place = next((part for part in ("conditions", "nuisance") if name in getattr(plan.study, part)), "recipe")
        if "." in name or isinstance(value, Mapping | list) or name in {"model", "augmentation", "optimizer"}:
            continue
        if name not in used:
            raise InputError(
                f"{place}.{name}: {arm.name} does not have it, with model `{used['model']}` and optimizer "
                f"`{used['optimizer']}`"
            )
        if used[name] != value:
            raise InputError(
                f"{place}.{name} is {value!r}, but {arm.name} would run with {used[name]!r}: "
                "it is set in another place too"
            )


def file_name(*parts: str) -> str:
    """Return a run's name: readable, unique, and fit for a file of any system."""
    text = "_".join(re.sub(r"[^A-Za-z0-9.=+-]+", "-", part).strip("-") for part in parts)
    if len(text) <= 120:
        return text
    return f"{text[:110]}-{zlib.crc32(text.encode()):08x}"
