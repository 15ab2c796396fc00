"""First drops of the learning rate, after which rungs lie."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search.study.factors import latest_milestone
from search.study.schema import Study
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.schedules import fractions, milestone_number


def first_falls(study: Study, settings: Mapping[str, Any], condition: str) -> list[float | None]:
    """Return the first drop of the learning rate of every schedule that a run may have, as a fraction of the length.

    It is None for a searched schedule without falls.
    """
    searched = {name: mark for name, mark in study.searched.items() if _is_milestone(name)}
    schedule = settings.get("schedule", RunConfig.model_fields["schedule"].default)
    if searched and schedule != "milestones":
        raise InputError(
            f"nuisance.{next(iter(searched))}: the schedule of {condition} is {schedule!r}, which has no milestones; "
            "set `schedule: milestones`"
        )
    single = study.nuisance.get("milestone_1")
    whole = [mark.options for name, mark in searched.items() if name.rpartition(".")[2] == "milestones"]
    written = [{**settings, "milestones": schedule} for options in whole for schedule in options]
    found: list[float | None] = [next(iter(_milestones(each)), None) for each in written]
    if "milestones" not in searched:
        own = settings if single is None else {**settings, "milestones": [latest_milestone(single)]}
        found += _milestones(own)[:1]
    return found


def _is_milestone(name: str) -> bool:
    factor = name.rpartition(".")[2]
    return factor == "milestones" or milestone_number(factor) is not None


def _milestones(settings: Mapping[str, Any]) -> list[float]:
    """Return where the learning rate drops, as fractions of the length; invalid values are refused later."""
    names = ("schedule", "milestones", "milestones_of")
    schedule, milestones, of = (settings.get(name, RunConfig.model_fields[name].default) for name in names)
    if schedule != "milestones" or not isinstance(milestones, list | tuple) or not isinstance(of, int | float):
        return []
    return [at for at in fractions(milestones, of) if 0 < at < 1] if of > 0 else []
