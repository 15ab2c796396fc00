"""Plan builder: turns a study file into conditions, cells, arms and contrasts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from pydantic import ValidationError

from search.plan.cells import all_cells, compared_pairs, find_cell, products
from search.plan.first_falls import first_falls
from search.plan.model import DEFAULT_MODEL, Arm, Cell, Condition, Plan
from search.plan.off_phases import OffPhases, off_phases
from search.plan.rungs import rung_epochs, short_schedule, why_unstopped
from search.plan.validation import check_plan
from search.study.data_levels import data_of_levels
from search.study.error_messages import explain, prefixed_errors
from search.study.factors import DATA, IMAGE_SIZE, Level, levels_text, split_model_factor
from search.study.schema import Study
from search.study.sections import MethodEntry
from spaces.design import extreme_values
from spaces.distributions import AUTO, Space, distribution, method_space, nuisance_space
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS, Cycle, Method
from trainables.methods.base import off_from
from trainables.models import MODELS
from trainables.optimizers import OPTIMIZERS
from trainables.records import FLOAT32
from trainables.registration.fields import Choice
from trainables.schedules import selection_epochs

FIXED_LENGTH = ("epochs", "steps", "schedule", "milestones_of")
"""Factors that determine the rungs of a condition; they are the same in all its runs, so they cannot be searched."""
MAX_ARMS = 10_000
MAX_GRID = 20_000
"""Largest number of conditions before `exclude`, of cells, and of combinations of a method's searched lists."""
COST_RATIO = 1.05
"""Cost ratio from which two arms count as differing in cost."""


def make_plan(study: Study) -> Plan:
    """Return the plan of a study.

    With `precision: auto` it is that in float32, until `search.plan.precision` has decided.

    Raises:
        InputError: an arm cannot run, or cannot differ from its reference; the message names the file.

    >>> from search.study.loading import load_study
    >>> plan = make_plan(load_study("quickstart"))
    >>> len(plan.conditions), len(plan.arms), len(plan.contrasts)
    (2, 10, 10)
    >>> plan.contrasts[0]
    ('train_fraction=0.2', 'mixup', 'baseline')
    """
    with prefixed_errors(study.source):
        plan = _plan(study.with_precision(FLOAT32) if study.measures_precision else study)
        check_plan(plan)
    return plan


def _plan(study: Study) -> Plan:
    _check_size(study)
    _check_names(study)
    cells = all_cells(study)
    grid = _grid(study)
    if len(cells) * len(grid) > MAX_ARMS:
        raise InputError(
            f"{len(cells)} methods or cells under {len(grid)} conditions are {len(cells) * len(grid):,} arms, but at "
            f"most {MAX_ARMS:,} are allowed; remove levels from `conditions` or `compare`"
        )
    for factor in FIXED_LENGTH:
        if factor in study.searched:
            raise InputError(f"nuisance.{factor}: `{factor}` cannot be searched; set it in `recipe` or `conditions`")
    conditions = tuple(_condition(study, values, cells) for values in grid)
    reference = find_cell(study.reference, cells, study, "reference")
    pairs = compared_pairs(study, cells, reference)
    arms: list[Arm] = []
    contrasts: list[tuple[str, str, str]] = []
    for condition in conditions:
        searched = [_arm(study, condition, cell, reference) for cell in cells]
        matched = _at_equal_compute(study, searched, pairs)
        arms += [*searched, *(arm for arm, _ in matched)]
        contrasts += [(condition.name, one.name, other.name) for one, other in pairs]
        contrasts += [(condition.name, *names) for _, names in matched]
    return Plan(study, conditions, tuple(arms), tuple(contrasts), _nuisance(study))


def _check_size(study: Study) -> None:
    """Refuse a study whose conditions, cells or runs are too many, before any of them is built."""
    grid = math.prod(map(len, study.conditions.values()))
    cells = len(study.methods) * math.prod(map(len, study.compare.values()))
    for count, what, place in ((grid, "conditions", "conditions"), (cells, "methods or cells", "compare")):
        if count > MAX_GRID:
            raise InputError(
                f"{place}: {count:,} {what} before `exclude`, but at most {MAX_GRID:,} are allowed; remove levels"
            )
    for entry in study.methods:
        marks = METHODS.get(entry.name).searched(entry.settings).values()
        corners = math.prod(len(mark.options) if isinstance(mark, Choice) else 2 for mark in marks)
        if corners > MAX_GRID:
            raise InputError(
                f"methods: {entry.label}: the lists have {corners:,} combinations, but at most {MAX_GRID:,} are "
                "allowed; shorten them, or search a range {low: ..., high: ...}"
            )


def _check_names(study: Study) -> None:
    """Refuse models and optimizers that do not exist, with the key that names them."""
    registries = {"model": MODELS, "optimizer": OPTIMIZERS}
    for key, factor, value in study.settings():
        options = value.options if isinstance(value, Choice) else (value,)
        names = [item.get("name") if isinstance(item, Mapping) else item for item in options]
        for name in names if factor in registries else ():
            if isinstance(name, str) and name != AUTO:
                with prefixed_errors(key):
                    registries[factor].get(name)


def _nuisance(study: Study) -> Space:
    """Return the search dimensions that all arms share; `MODEL.NAME` is a dimension of the runs with one model only."""
    optimizers, models = _used(study, "optimizer", "sgd"), _used(study, "model", DEFAULT_MODEL)
    space: Space = {}
    for name, mark in study.searched.items():
        model, factor = split_model_factor(name) or (None, name)
        if model and model not in models:
            raise InputError(f"nuisance.{name}: no run uses the model `{model}`; the models are {models}")
        declared = nuisance_space({factor: mark}, optimizers, models)
        space.update({f"{model}.{key}" if model else key: dist for key, dist in declared.items()})
    return space


# Conditions


def _used(study: Study, factor: str, default: str) -> list[str]:
    """Return the names of all optimizers, or of all models, that a run of the study may use."""
    searched = study.searched.get(factor)
    if isinstance(searched, Choice):
        return [str(name) for name in searched.options]
    grids = [*study.conditions.values(), *study.compare.values()]
    chosen = [level.values.get(factor) for options in grids for level in options]
    found = [value for value in chosen if value is not None]
    partly = len(found) < len(chosen) and not any(all(factor in one.values for one in options) for options in grids)
    if not found or partly:
        found.append(study.fixed.get(factor, default))
    names = [str(item.get("name", default)) if isinstance(item, Mapping) else str(item) for item in found]
    return list(dict.fromkeys(names))


def _grid(study: Study) -> list[dict[str, Level]]:
    """Return the levels of each condition, in the order of the study file."""
    kept = [
        cell
        for cell in products(study.conditions)
        if not any(all(cell[factor].name == value for factor, value in pair.items()) for pair in study.exclude)
    ]
    if not kept:
        raise InputError("exclude leaves no condition; remove an entry")
    return kept


def _condition(study: Study, levels: Mapping[str, Level], cells: list[Cell]) -> Condition:
    values = {factor: level.name for factor, level in levels.items()}
    given = {key: value for level in levels.values() for key, value in level.values.items()}
    own = {key: value for key, value in given.items() if key not in (DATA, IMAGE_SIZE)}
    data, source = data_of_levels(study.data, levels)
    settings = {**study.fixed, **own}
    name = levels_text(values) or "all"
    epochs = settings.get("epochs", RunConfig.model_fields["epochs"].default)
    if not isinstance(epochs, int) or isinstance(epochs, bool) or not 4 <= epochs <= 100_000:
        place = "epochs" if "epochs" in own else "recipe.epochs"
        raise InputError(f"{place} must be a whole number from 4 to 100,000, but got {epochs!r:.60}")
    if study.search.match == "steps" and not isinstance(settings.get("steps"), int):
        raise InputError(
            f"search.match: `steps` needs a training length in optimizer steps, but {name} has none; set `steps` in "
            "`recipe` or `conditions` (`epochs` is then the number of evaluations of a run)"
        )
    cycles = [cycle for cell in cells for cycle in _cycles(cell.entry, epochs, f"{name}: {cell.name}")]
    falls = [fall for cell in cells for fall in first_falls(study, {**settings, **cell.settings}, name)]
    latest = max((fall for fall in falls if fall is not None), default=None)
    rungs = rung_epochs(epochs, latest, study.search.reduction_factor, cycles)
    unstopped = "" if rungs else why_unstopped(latest, cycles)
    if latest is not None and None in falls:
        rungs, unstopped = [], "the learning rate drops in some of the searched schedules, but not in others"
    shortened = study.search.fidelity == "schedule" and study.search.sampler != "none"
    stops = study.search.early_stopping and not shortened
    return Condition(
        name=name,
        values=values,
        settings=own,
        epochs=epochs,
        selection_epochs=selection_epochs(epochs),
        trial_epochs=short_schedule(epochs, name) if shortened else epochs,
        rungs=tuple(rungs) if stops else (),
        source=source,
        unstopped=unstopped if stops else "",
        data=data,
    )


# Arms


def _arm(study: Study, condition: Condition, cell: Cell, reference: Cell) -> Arm:
    given = {**study.fixed, **condition.settings, **cell.settings}
    space = method_space(cell.entry.name, cell.entry.settings)
    return Arm(
        name=f"{condition.name}: {cell.name}",
        cell=cell,
        condition=condition,
        space={name: dist for name, dist in space.items() if name not in given},
        cost=fmean(_costs(given, condition, cell.entry)),
        reference=cell.name == reference.name,
        epochs=condition.epochs,
        off=_off(cell.entry, given, condition.epochs),
    )


def _off(entry: MethodEntry, given: Mapping[str, Any], epochs: int) -> OffPhases:
    """Return when the method is off in every run of an arm; it has no common blocks if their lengths are searched."""
    methods = _methods(entry)
    found = off_phases(methods, given, epochs)
    return found._replace(block_ends=()) if _moves_blocks(entry, methods, epochs) else found


def _cycles(entry: MethodEntry, epochs: int, place: str) -> list[Cycle]:
    """Return the on/off cycles that a method may have, at every corner of its search space.

    If blocks move continuously, a cycle that has no block in common with any stands for those in between.

    Raises:
        InputError: a cycle leaves no difference to the reference.
    """
    found: list[Cycle] = []
    methods = _methods(entry)
    for method in methods:
        if cycle := method.cycle(epochs):
            found.append(cycle)
            try:
                method.check(epochs, augmented=True)
            except InputError as error:
                raise InputError(f"{place}: {error}") from None
    if not _moves_blocks(entry, methods, epochs):
        return found
    start, end = min(cycle.start for cycle in found), max(cycle.end for cycle in found)
    return [*found, Cycle(start, end, epochs + 1, 0)]


def _moves_blocks(entry: MethodEntry, methods: list[Method], epochs: int) -> bool:
    """Return whether a searched range moves the off blocks of a method, apart from listed values of other fields."""
    marks = METHODS.get(entry.name).searched(entry.settings)
    blocks: dict[tuple[Any, ...], set[tuple[int, int]]] = {}
    for method in methods:
        if cycle := method.cycle(epochs):
            values = {**method.model_dump(), **method.parameters()}
            listed = tuple(values.get(name) for name, mark in marks.items() if isinstance(mark, Choice))
            blocks.setdefault(listed, set()).add((cycle.start, cycle.length))
    return any(len(each) > 1 for each in blocks.values())


def _costs(given: Mapping[str, Any], condition: Condition, entry: MethodEntry) -> list[float]:
    """Return the mean cost of an epoch, in plain epochs, at every corner of the method's search space."""
    fine_tune = given.get("fine_tune", 0)
    off = off_from(fine_tune, condition.epochs) if isinstance(fine_tune, int | float) else condition.epochs
    return [kind.mean_cost(condition.epochs, off) for kind in _methods(entry)]


def _at_equal_compute(
    study: Study, arms: list[Arm], pairs: Iterable[tuple[Cell, Cell]]
) -> list[tuple[Arm, tuple[str, str]]]:
    """Return the cheaper arm of each pair, trained longer to match compute, with the contrast that it belongs to."""
    if study.search.match != "compute":
        return []
    by_cell = {arm.cell.name: arm for arm in arms}
    made: list[tuple[Arm, tuple[str, str]]] = []
    for one, other in pairs:
        costly, cheap = sorted((by_cell[one.name], by_cell[other.name]), key=lambda arm: -arm.cost)
        if costly.cost < COST_RATIO * cheap.cost:
            continue
        for arm in (costly, cheap):
            _check_cost(study, arm)
        epochs = round(cheap.epochs * costly.cost / cheap.cost)
        longer = Arm(
            name=f"{cheap.name} at the compute of {costly.cell.name}",
            cell=cheap.cell,
            condition=cheap.condition,
            space=cheap.space,
            cost=cheap.cost,
            reference=False,
            epochs=epochs,
            off=_off(cheap.cell.entry, {**study.fixed, **cheap.settings}, epochs),
            compute_of=costly.cell.name,
            borrows=cheap.name,
        )
        names = (one.name, longer.method) if costly.cell is one else (longer.method, other.name)
        made.append((longer, names))
    return made


def _check_cost(study: Study, arm: Arm) -> None:
    """Refuse a method whose cost depends on searched hyperparameters: its compute cannot be matched in advance."""
    costs = _costs({**study.fixed, **arm.settings}, arm.condition, arm.cell.entry)
    if max(costs) > COST_RATIO * min(costs):
        raise InputError(
            f"search.match: the compute of `{arm.cell.name}` depends on its searched hyperparameters ({min(costs):.2g} "
            f"to {max(costs):.2g} plain epochs per epoch); fix them to one value, such as {{name: maxup, m: 4}}"
        )


def _methods(entry: MethodEntry) -> list[Method]:
    """Return the method at every corner of its search space."""
    kind = METHODS.get(entry.name)
    marks = kind.searched(entry.settings)
    corners = itertools.product(*(extreme_values(distribution(mark)) for mark in marks.values()))
    try:
        return [kind.model_validate({**entry.fixed(), **dict(zip(marks, values, strict=True))}) for values in corners]
    except ValidationError as error:
        raise InputError(explain(error, kind, f"methods: {entry.label}")) from None
