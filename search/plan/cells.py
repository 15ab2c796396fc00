"""Cells and contrasts: what a study compares, and with what."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from search.plan.model import Cell, cell_name
from search.study.factors import Level
from search.study.schema import METHOD, Study
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.registration.registry import lacks, unknown


def all_cells(study: Study) -> list[Cell]:
    """Return the cells of the comparison; the method varies slowest."""
    several = len(study.methods) > 1
    return [
        Cell(cell_name(entry, levels, several), entry, levels)
        for entry in study.methods
        for levels in products(study.compare)
    ]


def products(grid: Mapping[str, list[Level]]) -> list[dict[str, Level]]:
    """Return all combinations of levels; the first factor varies slowest."""
    return [dict(zip(grid, chosen, strict=True)) for chosen in itertools.product(*grid.values())]


def find_cell(selector: str | Mapping[str, Any], cells: list[Cell], study: Study, place: str) -> Cell:
    """Return the cell with a name, a method or some levels; factors that are not given have their first level.

    Args:
        selector: name of a cell, label of a method, or levels by factor.
        cells: all cells of the study.
        study: the study.
        place: key of the study file that contains the selector, for messages.

    Raises:
        InputError: there is no such cell.
    """
    found = next((cell for cell in cells if cell.name == selector), None)
    if found:
        return found
    wanted = dict(selector) if isinstance(selector, Mapping) else {METHOD: selector}
    labels = [entry.label for entry in study.methods]
    defaults = {METHOD: "baseline" if "baseline" in labels else labels[0]}
    defaults |= {factor: options[0].name for factor, options in study.compare.items()}
    for factor, value in wanted.items():
        if factor not in defaults:
            raise InputError(f"{place}: " + unknown("compared factor", factor, list(defaults)))
        choices = labels if factor == METHOD else [level.name for level in study.compare[factor]]
        if value not in choices:
            owner, kind = ("this study", METHOD) if factor == METHOD else (f"`{factor}`", "level")
            unwritten = (place, value) == ("reference", "baseline")
            remedy = " Add `- baseline` to `methods`, or name another `reference`." if unwritten else ""
            raise InputError(
                f"{place}: " + lacks(owner, kind, str(value), [str(choice) for choice in choices]) + remedy
            )
    wanted = {**defaults, **wanted}
    return next(
        cell
        for cell in cells
        if wanted == {METHOD: cell.entry.label, **{factor: level.name for factor, level in cell.levels.items()}}
    )


def compared_pairs(study: Study, cells: list[Cell], reference: Cell) -> list[tuple[Cell, Cell]]:
    """Return the compared pairs: every cell with the reference, then the study's own; diagnostics make no claims."""
    diagnostics = {cell.name for cell in cells if not METHODS.get(cell.entry.name).claims}
    declared = [
        (find_cell(one, cells, study, "contrasts"), find_cell(two, cells, study, "contrasts"))
        for one, two in study.contrasts
    ]
    for cell in [reference, *(cell for pair in declared for cell in pair)]:
        if cell.name in diagnostics:
            raise InputError(
                f"`{cell.name}` is a diagnostic and makes no claims, so it can be neither the reference nor part of "
                "`contrasts`; it runs with the other methods and is reported with them"
            )
    _check_declared(declared, reference)
    pairs = [(cell, reference) for cell in cells if cell.name not in {reference.name, *diagnostics}]
    if not pairs:
        what = f"{', '.join(sorted(diagnostics))} makes no claims; " if diagnostics else ""
        raise InputError(
            f"nothing is compared: {what}add a method in addition to the reference, or a factor to `compare`"
        )
    return pairs + declared


def _check_declared(declared: list[tuple[Cell, Cell]], reference: Cell) -> None:
    """Refuse a contrast of a cell with itself, and one that the family already contains."""
    seen: list[set[str]] = []
    for one, other in declared:
        text = f"contrasts: [{one.name}, {other.name}]"
        if one.name == other.name:
            raise InputError(f"{text} compares a method with itself; remove it")
        if reference.name in (one.name, other.name):
            raise InputError(
                f"{text} is already part of the study, which compares every method with `{reference.name}`; remove it"
            )
        if {one.name, other.name} in seen:
            raise InputError(f"{text} is listed twice; remove one of them")
        seen.append({one.name, other.name})
