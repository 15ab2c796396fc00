"""Factors and their levels: what a study compares, what it holds, and what it searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trainables.config import RunConfig, model_fields
from trainables.models import MODELS
from trainables.registration.fields import Choice, Frozen, Range
from trainables.registration.registry import unknown

Scalar = bool | int | float | str
RESERVED = {"data", "method", "seed", "split_seed"}
NAME = "as"


class Level(Frozen):
    """A level of a factor.

    Args:
        name: as it is shown: the value itself, or what `as` calls a bundle of values.
        values: the recipe factors that it sets, by plain name.
    """

    name: Scalar
    values: dict[str, Any]


def parse_levels(place: str, grid: Any) -> Any:
    """Return the levels of every factor that a study file lists.

    A level is a value of the factor, `0.1`, or several values under a name: `{as: long, epochs: 200, warm_up: 0.05}`.

    Args:
        place: where they stand, for messages: `conditions` or `compare`.
        grid: lists of levels by factor, as written; what is no mapping is left to the study's own check.
    """
    if not isinstance(grid, Mapping):
        return grid
    return {str(factor): _levels(f"{place}.{factor}", str(factor), written) for factor, written in grid.items()}


def _levels(place: str, factor: str, written: Any) -> list[Level]:
    if not isinstance(written, list):
        raise ValueError(f"{place}: a list of levels is expected, but got {written!r}")
    if not written:
        raise ValueError(f"{place}: the list of levels is empty")
    made = [_level(place, factor, one) for one in written]
    names = [level.name for level in made]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{place}: {twice!r} stands there twice; take one out")
    return made


def _level(place: str, factor: str, written: Any) -> Level:
    if isinstance(written, Level):
        return written
    if isinstance(written, Mapping):
        values = dict(written)
        name = values.pop(NAME, None)
        if not isinstance(name, str) or not name.strip() or len(name) > 60:
            raise ValueError(
                f"{place}: a level of several values needs a name of at most 60 characters, "
                f"{{{NAME}: NAME, {', '.join(map(str, values)) or 'FACTOR: VALUE'}}}, but got {dict(written)}"
            )
        if not values:
            raise ValueError(f"{place}: the level `{name}` sets nothing")
        for key in values:
            check_factor(str(key))
        return Level(name=name, values=values)
    if not isinstance(written, bool | int | float | str):
        raise ValueError(
            f"{place}: a level is a single value, or several under a name, {{{NAME}: NAME, FACTOR: VALUE}}; "
            f"but got {written!r}"
        )
    check_factor(factor)
    return Level(name=written, values={factor: written})


def written_level(factor: str, level: Level) -> Any:
    """Return a level as a study file writes it."""
    plain = level.values == {factor: level.name}
    return level.name if plain else {NAME: level.name, **level.values}


def factors_of(grid: Mapping[str, Iterable[Level]]) -> set[str]:
    """Return the recipe factors that some level of a grid sets."""
    return {factor for options in grid.values() for level in options for factor in level.values}


def shown(values: Mapping[str, Any]) -> str:
    """Return levels as text: `stem=cifar, optimizer=sgd`."""
    return ", ".join(f"{factor}={value}" for factor, value in values.items())


def recipe_factors() -> list[str]:
    """Return the plain names that recipes, conditions, compared factors and nuisance parameters may use."""
    from trainables.optimizers import OPTIMIZERS

    own = (set(RunConfig.model_fields) | model_fields()) - RESERVED
    return sorted(own | {field for name in OPTIMIZERS for field in OPTIMIZERS.get(name).model_fields} - {"name"})


def check_factor(factor: str) -> None:
    """Refuse a name that is no recipe factor.

    Raises:
        ValueError: it is none; the message lists them.
    """
    known = recipe_factors()
    if factor in RESERVED or (factor not in known and "." not in factor):
        raise ValueError(unknown("recipe factor", factor, known))


def of_one_model(name: str) -> tuple[str, str] | None:
    """Return (model, factor) of `resnet20.learning_rate`, a factor that only runs with that model use; else None.

    The model's own fields (`vgg11.dropout`) are not meant: the model takes those itself.
    """
    model, _, factor = name.partition(".")
    own = model in MODELS and factor and factor not in MODELS.get(model).model_fields
    return (model, factor) if own and factor in recipe_factors() else None


def searched(value: Any, key: str) -> Any:
    """Return a `Range` for {low, high}, a `Choice` for a list, and any other value as it is."""
    if isinstance(value, list):
        if not value:
            raise ValueError(f"{key}: the list of values is empty")
        if not all(isinstance(item, bool | int | float | str) for item in value):
            raise ValueError(f"{key}: a list holds single values, but got {value}")
        if len({*map(repr, value)}) < len(value):
            raise ValueError(f"{key}: a value stands twice in {value}")
        return Choice(tuple(value))
    if not isinstance(value, Mapping):
        return value
    numbers = [value.get("low"), value.get("high")]
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
        raise ValueError(f"{key}: low and high must be numbers, but got {dict(value)}")
    if not all(isinstance(value.get(name, False), bool) for name in ("log", "integer")):
        raise ValueError(f"{key}: log and integer must be true or false, but got {dict(value)}")
    extra = set(value) - {"low", "high", "log", "integer"}
    if extra or not {"low", "high"} <= set(value):
        raise ValueError(f"{key}: a searched range is {{low: ..., high: ..., log: true}}, but got {dict(value)}")
    made = Range(**value)
    if not made.low < made.high or (made.log and made.low <= 0):
        raise ValueError(f"{key}: needs low < high, and low > 0 where log is true, but got {dict(value)}")
    return made


def written(value: Any) -> Any:
    """Return a declaration as a study file writes it."""
    if isinstance(value, Choice):
        return list(value.options)
    if isinstance(value, Range):
        return {"low": value.low, "high": value.high, "log": value.log, "integer": value.integer}
    return value
