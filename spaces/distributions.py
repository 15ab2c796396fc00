"""Optuna distributions of declared fields and of ranges in study files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trainables.augmentation import AUGMENTATIONS
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.models import MODELS
from trainables.optimizers import OPTIMIZERS
from trainables.registration.fields import Choice, Range, declared
from trainables.schedules import schedule_text

Space = dict[str, BaseDistribution]
AUTO = "auto"


def distribution(mark: Range | Choice) -> BaseDistribution:
    """Return the Optuna distribution of a range or choice; schedules become text (see `schedule_text`).

    Examples:
        >>> distribution(Range(0.001, 1.0, log=True))
        FloatDistribution(high=1.0, log=True, low=0.001, step=None)
    """
    if isinstance(mark, Choice):
        return CategoricalDistribution([_single(option) for option in mark.options])
    if mark.integer:
        return IntDistribution(int(mark.low), int(mark.high), log=mark.log)
    return FloatDistribution(mark.low, mark.high, log=mark.log)


def _single(option: Any) -> Any:
    return schedule_text(option) if isinstance(option, tuple) else option


def space_document(space: Space) -> dict[str, Any]:
    """Return a space as JSON: `{low, high, log, integer}` or a list of choices for each dimension."""
    return {name: _dimension_document(dist) for name, dist in space.items()}


def _dimension_document(dist: BaseDistribution) -> Any:
    if isinstance(dist, CategoricalDistribution):
        return list(dist.choices)
    if isinstance(dist, FloatDistribution | IntDistribution):
        return {"low": dist.low, "high": dist.high, "log": dist.log, "integer": isinstance(dist, IntDistribution)}
    raise TypeError(f"cannot search {type(dist).__name__}")


def method_space(method: str, settings: Mapping[str, Any]) -> Space:
    """Return the search space of a method: its declared fields except those with a single value.

    Args:
        method: registered name of the method.
        settings: fields set by the study; a `Range` or `Choice` replaces the declared one.

    Examples:
        >>> list(method_space("mixup", {}))
        ['mixup.alpha']
        >>> method_space("mixup", {"alpha": 0.2})
        {}
    """
    kind = METHODS.get(method)
    return {kind.plain(name): distribution(mark) for name, mark in kind.searched(settings).items()}


def nuisance_space(marks: Mapping[str, Any], optimizers: Sequence[str], models: Sequence[str] = ()) -> Space:
    """Return the superset of nuisance dimensions, which all arms share.

    `auto` selects the declared range. With several optimizers each gets its own dimension (`sgd.learning_rate`,
    `adamw.learning_rate`), and a run uses that of its optimizer. The same applies to fields that not all models have,
    or not with the same range (`vgg16.dropout`).

    Args:
        marks: a range, a choice or `auto`, by plain name.
        optimizers: names of all optimizers that a run may use.
        models: names of all models that a run may use.

    Raises:
        InputError: a field with `auto` declares no range.

    Examples:
        >>> list(nuisance_space({"learning_rate": "auto"}, ["sgd", "adamw"]))
        ['sgd.learning_rate', 'adamw.learning_rate']
    """
    space: Space = {}
    of_runs = declared(RunConfig)
    for name, mark in marks.items():
        if isinstance(mark, Range | Choice):
            space[name] = distribution(mark)
            continue
        if mark != AUTO:
            raise InputError(
                f"nuisance.{name}: must be `{AUTO}`, a list of values, or "
                f"{{low: ..., high: ..., log: true}}, but got {mark!r}. Set a single value in `recipe`."
            )
        prefixes = [f"{kind}." for kind in optimizers] if len(optimizers) > 1 else [""]
        for kind, prefix in zip(optimizers, prefixes, strict=True):
            ranges = declared(OPTIMIZERS.get(kind))
            if name in ranges:
                space[f"{prefix}{name}"] = distribution(ranges[name])
        space.update(_model_dimensions(name, models))
        if name in of_runs:
            space[name] = distribution(of_runs[name])
        space.update(_augmentation_dimension(name))
        if not any(name in (key, key.split(".")[-1]) for key in space):
            kinds = ", ".join([*optimizers, *models])
            raise InputError(
                f"nuisance.{name}: `{AUTO}` needs a declared range, but {kinds} declares none. "
                "Give {low: ..., high: ..., log: true} or a list of values."
            )
    return space


def _augmentation_dimension(name: str) -> Space:
    """Return the dimension of a setting of an augmentation, such as `affine_flip.rotation`."""
    kind, _, field = name.partition(".")
    mark = declared(AUGMENTATIONS.get(kind)).get(field) if kind in AUGMENTATIONS else None
    return {name: distribution(mark)} if mark else {}


def _model_dimensions(name: str, models: Sequence[str]) -> Space:
    """Return the dimensions of a field of models: a single one if all models declare the same range."""
    marks = {model: declared(MODELS.get(model)).get(name) for model in models}
    found = {model: mark for model, mark in marks.items() if mark}
    if found and len(found) == len(models) and len(set(found.values())) == 1:
        return {name: distribution(found[models[0]])}
    return {f"{model}.{name}": distribution(mark) for model, mark in found.items()}
