"""From a study file to its plan."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from pydantic import ValidationError

from search.plan.model import REFERENCE_MODEL, Arm, Cell, Condition, Plan, cell_name
from search.plan.off_phases import off_phases
from search.plan.rungs import rung_epochs
from search.plan.validation import check_plan
from search.study.error_messages import explain
from search.study.factors import Level, of_one_model, shown
from search.study.schema import METHOD, MethodEntry, Study
from spaces.design import ends
from spaces.distributions import Space, distribution, method_space, nuisance_space
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS, Method
from trainables.methods.base import off_from
from trainables.registration.fields import Choice
from trainables.registration.registry import unknown
from trainables.schedules import fractions, selection_epochs

FIXED_LENGTH = ("epochs", "steps", "schedule", "milestones", "milestones_of")
"""What the rungs of a condition follow from, so that it is the same in all its runs."""
MOST_ARMS = 10_000
COSTLIER = 1.05
"""An arm this many times as costly as another is the costlier one."""


def make_plan(study: Study) -> Plan:
    """Return what a study will do.

    Raises:
        InputError: an arm cannot be run, or cannot differ from its reference.
    """
    cells = _cells(study)
    grid = _grid(study)
    if len(cells) * len(grid) > MOST_ARMS:
        raise InputError(
            f"{len(cells)} methods or cells under {len(grid)} conditions are {len(cells) * len(grid):,} arms, and at "
            f"most {MOST_ARMS:,} are allowed; take levels out of `conditions` or `compare`"
        )
    for factor in FIXED_LENGTH:
        if factor in study.searched:
            raise InputError(f"nuisance.{factor}: `{factor}` cannot be searched; set it in `recipe` or `conditions`")
    conditions = tuple(_condition(study, values, cells) for values in grid)
    reference = _cell(study.reference, cells, study, "reference")
    pairs = _pairs(study, cells, reference)
    arms: list[Arm] = []
    contrasts: list[tuple[str, str, str]] = []
    for condition in conditions:
        own = [_arm(study, condition, cell, reference) for cell in cells]
        matched = _at_equal_compute(study, own, pairs)
        arms += [*own, *(arm for arm, _ in matched)]
        contrasts += [(condition.name, one.name, other.name) for one, other in pairs]
        contrasts += [(condition.name, *names) for _, names in matched]
    plan = Plan(study, conditions, tuple(arms), tuple(contrasts), _nuisance(study))
    check_plan(plan)
    return plan


def _nuisance(study: Study) -> Space:
    """Return the shared dimensions; one that only runs with some model use stands under that model's name."""
    kinds = _used(study, "optimizer", "sgd"), _used(study, "model", REFERENCE_MODEL)
    space: Space = {}
    for name, mark in study.searched.items():
        found = of_one_model(name)
        if found and found[0] not in kinds[1]:
            raise InputError(f"nuisance.{name}: no run uses the model `{found[0]}`; it is one of {kinds[1]}")
        declared = nuisance_space({found[1] if found else name: mark}, *kinds)
        space.update({f"{found[0]}.{key}" if found else key: dist for key, dist in declared.items()})
    return space


# Cells and contrasts


def _cells(study: Study) -> list[Cell]:
    """Return what is compared, the methods varying slowest."""
    several = len(study.methods) > 1
    return [
        Cell(cell_name(entry, levels, several), entry, levels)
        for entry in study.methods
        for levels in _products(study.compare)
    ]


def _products(grid: Mapping[str, list[Level]]) -> list[dict[str, Level]]:
    return [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*grid.values())]


def _cell(asked: str | Mapping[str, Any], cells: list[Cell], study: Study, place: str) -> Cell:
    """Return the cell that is meant by its name, by its method, or by some of its levels; the first levels else.

    Raises:
        InputError: there is none.
    """
    found = next((cell for cell in cells if cell.name == asked), None)
    if found:
        return found
    wanted = dict(asked) if isinstance(asked, Mapping) else {METHOD: asked}
    labels = [entry.label for entry in study.methods]
    first = {METHOD: "baseline" if "baseline" in labels else labels[0]}
    first |= {factor: options[0].name for factor, options in study.compare.items()}
    for factor, value in wanted.items():
        if factor not in first:
            raise InputError(f"{place}: " + unknown("compared factor", factor, list(first)))
        choices = labels if factor == METHOD else [level.name for level in study.compare[factor]]
        if value not in choices:
            kind = "method of this study" if factor == METHOD else f"level of {factor}"
            raise InputError(f"{place}: " + unknown(kind, str(value), [str(choice) for choice in choices]))
    wanted = {**first, **wanted}
    return next(
        cell
        for cell in cells
        if wanted == {METHOD: cell.entry.label, **{factor: level.name for factor, level in cell.levels.items()}}
    )


def _pairs(study: Study, cells: list[Cell], reference: Cell) -> list[tuple[Cell, Cell]]:
    """Return what is compared: every cell with the reference, and what the study adds; diagnostics make no claims."""
    silent = {cell.name for cell in cells if not METHODS.get(cell.entry.name).claims}
    asked = [
        (_cell(one, cells, study, "contrasts"), _cell(two, cells, study, "contrasts")) for one, two in study.contrasts
    ]
    for cell in [reference, *(cell for pair in asked for cell in pair)]:
        if cell.name in silent:
            raise InputError(
                f"`{cell.name}` is a diagnostic and makes no claims, so it can neither be the reference nor stand in "
                "`contrasts`; it runs beside the others and is shown with them"
            )
    _check_asked(asked, reference)
    pairs = [(cell, reference) for cell in cells if cell.name not in {reference.name, *silent}]
    if not pairs:
        what = f"{', '.join(sorted(silent))} makes no claims; " if silent else ""
        raise InputError(f"nothing is compared: {what}add a method beside the reference, or a factor to `compare`")
    return pairs + asked


def _check_asked(asked: list[tuple[Cell, Cell]], reference: Cell) -> None:
    """Refuse a contrast that says nothing, or that is in the family already."""
    seen: list[set[str]] = []
    for one, other in asked:
        text = f"contrasts: [{one.name}, {other.name}]"
        if one.name == other.name:
            raise InputError(f"{text} compares it with itself; take it out")
        if reference.name in (one.name, other.name):
            raise InputError(f"{text} is judged anyway, each is held against `{reference.name}`")
        if {one.name, other.name} in seen:
            raise InputError(f"{text} stands there twice; take one out")
        seen.append({one.name, other.name})


# Conditions


def _used(study: Study, factor: str, default: str) -> list[str]:
    """Return the names of all optimizers, or models, that some run of the study may use."""
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
    """Return the levels of every condition, in the order of the study file."""
    kept = [
        cell
        for cell in _products(study.conditions)
        if not any(all(cell[factor].name == value for factor, value in pair.items()) for pair in study.exclude)
    ]
    if not kept:
        raise InputError("exclude leaves no condition; take out an entry")
    return kept


def _condition(study: Study, levels: Mapping[str, Level], cells: list[Cell]) -> Condition:
    values = {factor: level.name for factor, level in levels.items()}
    own = {key: value for level in levels.values() for key, value in level.values.items()}
    settings = {**study.fixed, **own}
    name = shown(values) or "all"
    epochs = settings.get("epochs", RunConfig.model_fields["epochs"].default)
    if not isinstance(epochs, int) or isinstance(epochs, bool) or not 4 <= epochs <= 1_000_000:
        raise InputError(f"epochs must be a whole number of at least 4, but got {epochs!r}")
    if study.search.match == "steps" and not isinstance(settings.get("steps"), int):
        raise InputError(
            f"search.match: `steps` needs a length in steps of the optimizer, and {name} has none; set `steps` in "
            "`recipe` or `conditions` (`epochs` then says how often a run is evaluated)"
        )
    kinds = [kind for cell in cells for kind in _methods(cell.entry)]
    cycles = [cycle for kind in kinds if (cycle := kind.cycle(epochs))]
    first = [found[0] for cell in cells if (found := _milestones({**settings, **cell.settings}))]
    rungs = rung_epochs(epochs, [max(first)] if first else [], study.search.reduction_factor, cycles)
    return Condition(
        name=name,
        values=values,
        settings=own,
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
        off=off_phases(_methods(cell.entry), given, condition.epochs),
    )


def _costs(given: Mapping[str, Any], condition: Condition, entry: MethodEntry) -> list[float]:
    """Return the nominal cost of a mean epoch, in plain epochs, at every end of what is searched of the method."""
    fine_tune = given.get("fine_tune", 0)
    off = off_from(fine_tune, condition.epochs) if isinstance(fine_tune, int | float) else condition.epochs
    return [kind.mean_cost(condition.epochs, off) for kind in _methods(entry)]


def _at_equal_compute(
    study: Study, arms: list[Arm], pairs: Iterable[tuple[Cell, Cell]]
) -> list[tuple[Arm, tuple[str, str]]]:
    """Return the cheaper arm of each pair at the costlier one's compute, with the contrast that it serves."""
    if study.search.match != "compute":
        return []
    by_cell = {arm.cell.name: arm for arm in arms}
    made: list[tuple[Arm, tuple[str, str]]] = []
    for one, other in pairs:
        costly, cheap = sorted((by_cell[one.name], by_cell[other.name]), key=lambda arm: -arm.cost)
        if costly.cost < COSTLIER * cheap.cost:
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
            off=off_phases(_methods(cheap.cell.entry), {**study.fixed, **cheap.settings}, epochs),
            compute_of=costly.cell.name,
            same_as=cheap.name,
        )
        names = (one.name, longer.method) if costly.cell is one else (longer.method, other.name)
        made.append((longer, names))
    return made


def _check_cost(study: Study, arm: Arm) -> None:
    """Refuse a method whose cost depends on what is searched: compute cannot be matched beforehand."""
    costs = _costs({**study.fixed, **arm.settings}, arm.condition, arm.cell.entry)
    if max(costs) > COSTLIER * min(costs):
        raise InputError(
            f"search.match: the compute of `{arm.cell.name}` depends on what is searched of it ({min(costs):.2g} to "
            f"{max(costs):.2g} plain epochs an epoch); set it to one value, such as {{name: maxup, m: 4}}"
        )


def _methods(entry: MethodEntry) -> list[Method]:
    """Return the method with every combination of the ends of what is searched of it."""
    kind = METHODS.get(entry.name)
    marks = kind.searched(entry.settings)
    corners = itertools.product(*(ends(distribution(mark)) for mark in marks.values()))
    try:
        return [kind.model_validate({**entry.fixed(), **dict(zip(marks, values, strict=True))}) for values in corners]
    except ValidationError as error:
        raise InputError(explain(error, kind, f"methods: {entry.label}")) from None
