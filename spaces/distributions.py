"""Optuna distributions, derived from what methods and optimizers declare or from what a study file says."""

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

Space = dict[str, BaseDistribution]
AUTO = "auto"


def distribution(mark: Range | Choice) -> BaseDistribution:
    """Return the Optuna distribution of a declaration."""
    if isinstance(mark, Choice):
        return CategoricalDistribution(mark.options)
    if mark.integer:
        return IntDistribution(int(mark.low), int(mark.high), log=mark.log)
    return FloatDistribution(mark.low, mark.high, log=mark.log)


def described(space: Space) -> dict[str, Any]:
    """Return a space as JSON: `{low, high, log, integer}`, or the list of choices (see `records.PLAN`)."""
    return {name: _described(dist) for name, dist in space.items()}


def _described(dist: BaseDistribution) -> Any:
    if isinstance(dist, CategoricalDistribution):
        return list(dist.choices)
    if isinstance(dist, FloatDistribution | IntDistribution):
        return {"low": dist.low, "high": dist.high, "log": dist.log, "integer": isinstance(dist, IntDistribution)}
    raise TypeError(f"cannot search {type(dist).__name__}")


def method_space(method: str, settings: Mapping[str, Any]) -> Space:
    """Return what is searched of a method, as `mixup.alpha`: its declared fields but those set to one value.

    Args:
        method: the method's registered name.
        settings: fields that the study sets; a `Range` or `Choice` among them replaces the declared one.
    """
    kind = METHODS.get(method)
    return {kind.plain(name): distribution(mark) for name, mark in kind.searched(settings).items()}


def nuisance_space(marks: Mapping[str, Any], optimizers: Sequence[str], models: Sequence[str] = ()) -> Space:
    """Return the fixed superset of nuisance dimensions, alike in every arm.

    `auto` takes the declared range. Where a study has several optimizers, their fields become one dimension for each
    (`sgd.learning_rate`, `adamw.learning_rate`), of which a run uses its own; so do the fields of several models that
    not all of them have, or not with the same range (`vgg16.dropout`).

    Args:
        marks: by plain name, a declaration or `auto`.
        optimizers: the names of all optimizers that a run may use.
        models: the names of all models that a run may use.

    Raises:
        InputError: `auto` for a field that declares no range.
    """
    space: Space = {}
    of_runs = declared(RunConfig)
    for name, mark in marks.items():
        if isinstance(mark, Range | Choice):
            space[name] = distribution(mark)
            continue
        if mark != AUTO:
            raise InputError(
                f"nuisance.{name}: got {mark!r}; give `{AUTO}`, a list of values, or "
                "{low: ..., high: ..., log: true}. A single value belongs in `recipe`."
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
                f"nuisance.{name}: `{AUTO}` needs a declared range, and there is none for {kinds}. "
                "Give one: {low: ..., high: ..., log: true}, or a list of values."
            )
    return space


def _augmentation_dimension(name: str) -> Space:
    """Return the dimension that an augmentation's setting declares: `affine_flip.rotation`."""
    kind, _, field = name.partition(".")
    mark = declared(AUGMENTATIONS.get(kind)).get(field) if kind in AUGMENTATIONS else None
    return {name: distribution(mark)} if mark else {}


def _model_dimensions(name: str, models: Sequence[str]) -> Space:
    """Return the dimensions that a field declares, under its own name where all models agree."""
    marks = {model: declared(MODELS.get(model)).get(name) for model in models}
    found = {model: mark for model, mark in marks.items() if mark}
    if found and len(found) == len(models) and len(set(found.values())) == 1:
        return {name: distribution(found[models[0]])}
    return {f"{model}.{name}": distribution(mark) for model, mark in found.items()}
