"""Factors and levels: what a study compares, what it varies between conditions, and what it searches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from spaces.distributions import AUTO
from trainables.config import RunConfig, model_fields
from trainables.models import MODELS
from trainables.records import is_number
from trainables.registration.fields import Choice, Frozen, Range, holds_integers
from trainables.registration.registry import unknown
from trainables.schedules import milestone_number

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Scalar = bool | int | float | str
MAX_LEVELS = 1000
"""Largest number of levels of a factor, and of values in a list that is searched."""
LARGEST = 1e12
"""Largest absolute end of a search range; `1 / LARGEST` is the smallest end on a logarithmic scale."""
RESERVED = {"data", "method", "seed", "split_seed"}
NAME = "as"
DATA, IMAGE_SIZE = "data", "image_size"
"""Factors of `conditions` only (see `search.study.data_levels`)."""
Parse = Callable[[str, Any], "Level"]


class Level(Frozen):
    """A level of a factor.

    Args:
        name: displayed name: the value itself, or the name that `as` gives to several values.
        values: the recipe factors that it sets, by plain name.
    """

    name: Scalar
    values: dict[str, Any]


def parse_levels(
    place: str, grid: Any, also: Collection[str] = (), parsers: Mapping[str, Parse] = MappingProxyType({})
) -> Any:
    """Return the levels of every factor in a study file.

    A level is a value of the factor, such as `0.1`, or several named values: `{as: long, epochs: 200, warm_up: 0.05}`.

    Args:
        place: the section, for messages: `conditions` or `compare`.
        grid: lists of levels by factor, as in the file; anything else is returned for the study's own validation.
        also: factors that are allowed in addition to those of a recipe.
        parsers: by factor, what returns a level from its place and notation, for factors with their own notation.

    Examples:
        >>> parse_levels("conditions", {"train_fraction": [0.1, 0.5]})["train_fraction"][0].values
        {'train_fraction': 0.1}
    """
    if not isinstance(grid, Mapping):
        return grid
    return {
        str(factor): _levels(
            f"{place}.{factor}", written, parsers.get(str(factor)) or partial(_level, factor=str(factor), also=also)
        )
        for factor, written in grid.items()
    }


def _levels(place: str, written: Any, parse: Parse) -> list[Level]:
    if not isinstance(written, list):
        raise ValueError(f"{place}: must be a list of levels, but got {written!r}")
    if not written:
        raise ValueError(f"{place}: the list of levels is empty")
    if len(written) > MAX_LEVELS:
        raise ValueError(f"{place}: {len(written):,} levels, but at most {MAX_LEVELS:,} are allowed")
    levels = [parse(place, item) for item in written]
    names = [level.name for level in levels]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise ValueError(f"{place}: {duplicate!r} is listed twice; remove one")
    return levels


def _level(place: str, written: Any, factor: str, also: Collection[str]) -> Level:
    if isinstance(written, Level):
        return written
    if isinstance(written, Mapping):
        values = dict(written)
        name = values.pop(NAME, None)
        if not isinstance(name, str) or not name.strip() or len(name) > 60:
            raise ValueError(
                f"{place}: a level with several values needs a name of at most 60 characters, "
                f"{{{NAME}: NAME, {', '.join(map(str, values)) or 'FACTOR: VALUE'}}}, but got {dict(written)}"
            )
        if not values:
            raise ValueError(f"{place}: the level `{name}` sets nothing")
        for key in values:
            check_factor(str(key), also)
        return Level(name=name, values=values)
    if not isinstance(written, bool | int | float | str):
        raise ValueError(
            f"{place}: a level must be a single value or several named values, {{{NAME}: NAME, FACTOR: VALUE}}, "
            f"but got {written!r}"
        )
    check_factor(factor, also)
    return Level(name=written, values={factor: written})


def dump_level(factor: str, level: Level) -> Any:
    """Return a level in the notation of a study file."""
    if factor == DATA:
        return {NAME: level.name, **level.values[DATA]}
    plain = level.values == {factor: level.name}
    return level.name if plain else {NAME: level.name, **level.values}


def factors_of(grid: Mapping[str, Iterable[Level]]) -> set[str]:
    """Return the recipe factors set by any level of a grid."""
    return {factor for options in grid.values() for level in options for factor in level.values}


def levels_text(values: Mapping[str, Any]) -> str:
    """Return levels as text.

    Examples:
        >>> levels_text({"stem": "cifar", "optimizer": "sgd"})
        'stem=cifar, optimizer=sgd'
    """
    return ", ".join(f"{factor}={value}" for factor, value in values.items())


def recipe_factors() -> list[str]:
    """Return the plain names that `recipe`, `conditions`, `compare` and `nuisance` may use."""
    from trainables.optimizers import OPTIMIZERS

    own = (set(RunConfig.model_fields) | model_fields()) - RESERVED
    return sorted(own | {field for name in OPTIMIZERS for field in OPTIMIZERS.get(name).model_fields} - {"name"})


def check_factor(factor: str, also: Collection[str] = ()) -> None:
    """Check that a name is a recipe factor.

    Args:
        factor: the name.
        also: names that are allowed in addition.

    Raises:
        ValueError: it is not; the message lists the recipe factors.
    """
    if factor in also:
        return
    if factor in (DATA, IMAGE_SIZE):
        where = f"`{DATA}`, with its key `size`" if factor == IMAGE_SIZE else f"the key `{DATA}` of the study file"
        raise ValueError(
            f"`{factor}` can only be a separate condition, `conditions: {{{factor}: [...]}}`; for all runs set it in "
            f"{where}"
        )
    known = [*recipe_factors(), *also]
    if factor in RESERVED or (factor not in known and "." not in factor):
        raise ValueError(unknown("recipe factor", factor, known))


def split_model_factor(name: str) -> tuple[str, str] | None:
    """Return (model, factor) of a factor for one model only, or None.

    The model's own fields, such as `vgg11.dropout`, do not count: the model handles those itself.

    Examples:
        >>> split_model_factor("resnet20.learning_rate")
        ('resnet20', 'learning_rate')
    """
    model, _, factor = name.partition(".")
    own = model in MODELS and factor and factor not in MODELS.get(model).model_fields
    return (model, factor) if own and factor in recipe_factors() else None


def is_integer(factor: str) -> bool:
    """Return whether a recipe factor holds integers.

    Examples:
        >>> is_integer("batch_size"), is_integer("sgd.learning_rate")
        (True, False)
    """
    from trainables.augmentation import AUGMENTATIONS
    from trainables.optimizers import OPTIMIZERS

    owner, _, name = factor.rpartition(".")
    registries: tuple[Any, ...] = (AUGMENTATIONS, OPTIMIZERS, MODELS)
    kinds = [registry.get(owner) for registry in registries if owner in registry]
    kinds += [RunConfig, *(registry.get(each) for registry in (OPTIMIZERS, MODELS) for each in registry)]
    fields = [kind.model_fields[name] for kind in kinds if name in kind.model_fields]
    return bool(fields) and holds_integers(fields[0])


def parse_range(value: Any, key: str, integer: bool = False) -> Any:
    """Return a `Range` for {low, high}, a `Choice` for a list, and any other value unchanged.

    Args:
        value: the value in a study file.
        key: its key, for messages.
        integer: whether the field holds integers; a range is then a range of integers.

    Raises:
        ValueError: the range or list is invalid.

    Examples:
        >>> parse_range({"low": 0.001, "high": 1.0, "log": True}, "learning_rate").log
        True
    """
    if isinstance(value, list):
        return _choice(value, key)
    return _range(value, key, integer) if isinstance(value, Mapping) else value


def parse_method_field(value: Any, key: str, field: FieldInfo) -> Any:
    """Return how a study searches a field of a method, or its value; `auto` asks for the declared range.

    Args:
        value: the value in a study file.
        key: qualified name of the field, for messages.
        field: the field.

    Raises:
        ValueError: the range or list is invalid, or none is declared.
    """
    if value != AUTO:
        return parse_range(value, key, holds_integers(field))
    mark = next((each for each in field.metadata if isinstance(each, Range | Choice)), None)
    if mark is None:
        raise ValueError(
            f"{key}: `{AUTO}` needs a declared range, but it has none; give {{low: ..., high: ...}} or a list"
        )
    return replace(mark, on_request=False)


def _range(value: Mapping[str, Any], key: str, integer: bool) -> Range:
    numbers = [value.get("low"), value.get("high")]
    if not all(map(is_number, numbers)):
        raise ValueError(f"{key}: low and high must be numbers, but got {dict(value)}")
    if not all(isinstance(value.get(name, False), bool) for name in ("log", "integer")):
        raise ValueError(f"{key}: log and integer must be true or false, but got {dict(value)}")
    if not all(isinstance(number, int | float) and -LARGEST <= number <= LARGEST for number in numbers):
        raise ValueError(f"{key}: low and high must lie within -{LARGEST:g} and {LARGEST:g}, but got {dict(value)}")
    extra = set(value) - {"low", "high", "log", "integer"}
    if extra or not {"low", "high"} <= set(value):
        raise ValueError(f"{key}: a search range must be {{low: ..., high: ..., log: true}}, but got {dict(value)}")
    made = Range(**{**value, "integer": integer or value.get("integer", False)})
    if made.integer and any(number != int(number) for number in (made.low, made.high)):
        raise ValueError(f"{key}: low and high must be whole numbers, but got {dict(value)}")
    if made.log and made.low < 1 / LARGEST:
        raise ValueError(f"{key}: low must be > 0 and at least {1 / LARGEST:g} if log is true, but got {dict(value)}")
    if not made.low < made.high or (made.log and made.low <= 0):
        raise ValueError(f"{key}: low must be < high, and > 0 if log is true, but got {dict(value)}")
    return made


def _choice(value: list[Any], key: str) -> Choice:
    if not value:
        raise ValueError(f"{key}: the list of values is empty")
    if len(value) > MAX_LEVELS:
        raise ValueError(f"{key}: {len(value):,} values, but at most {MAX_LEVELS:,} are allowed")
    if not all(isinstance(item, bool | int | float | str) for item in value):
        raise ValueError(f"{key}: a list must contain single values, but got {value}")
    if len({*map(repr, value)}) < len(value):
        raise ValueError(f"{key}: the list contains a value twice: {value}")
    return Choice(tuple(value))


def parse_schedules(value: Any, key: str) -> Any:
    """Return a `Choice` of schedules for a list of lists of milestones.

    Args:
        value: the value in a study file.
        key: its key, for messages.

    Raises:
        ValueError: it is anything else.

    Examples:
        >>> parse_schedules([[0.5, 0.75], [0.3, 0.6, 0.9]], "milestones").options
        ((0.5, 0.75), (0.3, 0.6, 0.9))
    """
    if isinstance(value, Choice):
        return value
    lists = isinstance(value, list) and all(isinstance(item, list | tuple) for item in value)
    numbers = [number for item in value for number in item] if lists else []
    if not lists or not value or not all(map(is_number, numbers)):
        raise ValueError(
            f"{key}: must be a list of schedules such as [[0.5, 0.75], [0.3, 0.6, 0.9]], or `{AUTO}`, but got "
            f"{value!r:.200}; set a single schedule in `recipe`, and search one milestone with `milestone_1: "
            "{low: 0.3, high: 0.7}`"
        )
    if len(value) > MAX_LEVELS or len(numbers) > MAX_LEVELS:
        raise ValueError(f"{key}: more than {MAX_LEVELS:,} schedules or milestones; shorten the list")
    schedules = tuple(tuple(item) for item in value)
    if len(set(schedules)) < len(schedules):
        raise ValueError(f"{key}: the list contains a schedule twice: {value}")
    return Choice(schedules)


def check_milestones(nuisance: Mapping[str, Any], elsewhere: Iterable[str]) -> None:
    """Refuse single milestones that could get into each other's way.

    Args:
        nuisance: ranges, choices and values by plain name.
        elsewhere: recipe factors that conditions or compared levels set.

    Raises:
        ValueError: whole schedules are set as well, or the ranges of two milestones overlap.
    """
    numbered = sorted((number, name) for name in nuisance if (number := milestone_number(name)))
    if numbered and ("milestones" in nuisance or "milestones" in elsewhere):
        raise ValueError(
            f"nuisance.{numbered[0][1]}: whole schedules are set in `milestones` as well; remove one of the two"
        )
    bounds = {name: _bounds(nuisance[name], name) for _, name in numbered}
    for one, other in itertools.pairwise(bounds):
        if bounds[one][1] >= bounds[other][0]:
            raise ValueError(
                f"nuisance.{other}: its smallest value must be greater than the largest of `{one}`, since "
                f"milestones increase, but they are {bounds[other][0]!r} and {bounds[one][1]!r}"
            )


def _bounds(value: Any, name: str) -> tuple[float, float]:
    """Return the smallest and largest value of a range, choice or number."""
    if isinstance(value, Range):
        return value.low, value.high
    numbers = value.options if isinstance(value, Choice) else (value,)
    if not all(map(is_number, numbers)):
        raise ValueError(
            f"nuisance.{name}: must be a number, a list of numbers or {{low: ..., high: ...}}, but got {value!r}"
        )
    return min(numbers), max(numbers)


def latest_milestone(value: Any) -> float:
    """Return the largest value of a milestone that is a range, a choice or a number."""
    return _bounds(value, "milestone_1")[1]


def dump_range(value: Any) -> Any:
    """Return a `Range` or `Choice` in the notation of a study file, and any other value unchanged."""
    if isinstance(value, Choice):
        return [list(option) if isinstance(option, tuple) else option for option in value.options]
    if isinstance(value, Range):
        return {"low": value.low, "high": value.high, "log": value.log, "integer": value.integer}
    return value
