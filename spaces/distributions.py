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

from trainables.errors import InputError
from trainables.fields import Choice, Range, declared
from trainables.methods import METHODS
from trainables.optimizers import OPTIMIZERS

Space = dict[str, BaseDistribution]
AUTO = "auto"


def distribution(mark: Range | Choice) -> BaseDistribution:
    """Return the Optuna distribution of a declaration."""
    if isinstance(mark, Choice):
        return CategoricalDistribution(mark.options)
    if mark.integer:
        return IntDistribution(int(mark.low), int(mark.high), log=mark.log)
    return FloatDistribution(mark.low, mark.high, log=mark.log)


def method_space(method: str, settings: Mapping[str, Any]) -> Space:
    """Return what is searched of a method, as `mixup.alpha`: its declared fields but those set to one value.

    Args:
        method: the method's registered name.
        settings: fields that the study sets; a `Range` or `Choice` among them replaces the declared one.
    """
    marks = declared(METHODS.get(method))
    marks.update({name: value for name, value in settings.items() if isinstance(value, Range | Choice)})
    return {
        f"{method}.{name}": distribution(mark)
        for name, mark in marks.items()
        if isinstance(settings.get(name, mark), Range | Choice)
    }


def nuisance_space(marks: Mapping[str, Any], optimizers: Sequence[str]) -> Space:
    """Return the fixed superset of nuisance dimensions, alike in every arm.

    `auto` takes the declared range. Where a study has several optimizers, their fields become one dimension for each
    (`sgd.learning_rate`, `adamw.learning_rate`), of which a run uses its own.

    Args:
        marks: by plain name, a declaration or `auto`.
        optimizers: the names of all optimizers that a run may use.

    Raises:
        InputError: `auto` for a field that declares no range.
    """
    space: Space = {}
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
        if not any(key.split(".")[-1] == name for key in space):
            raise InputError(
                f"nuisance.{name}: `{AUTO}` needs a declared range, and there is none for {', '.join(optimizers)}. "
                "Give one: {low: ..., high: ..., log: true}, or a list of values."
            )
    return space
