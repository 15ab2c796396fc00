"""Searchable fields: how a method, model or optimizer declares which fields a study may search, and over which values.

The declaration is part of the field's annotation, next to the limits that validation enforces:

    alpha: Annotated[float, Field(ge=0.05, le=32), Range(0.05, 2.0, log=True)] = 0.2

`spaces` converts declarations to Optuna distributions; this module does not depend on Optuna.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class Frozen(BaseModel):
    """Base class of settings: validated, immutable, and without unknown fields.

    Examples:
        >>> class Blur(Frozen):
        ...     radius: int = 1
        >>> Blur(radius=2)
        Blur(radius=2)
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _of_their_kind(cls, given: Any) -> Any:
        """Refuse values that pydantic would convert to numbers or booleans: `true` or "3" for 3, and 1 for `true`."""
        if not isinstance(given, Mapping):
            return given
        for name, kinds in _kinds_of_fields(cls).items():
            value = given.get(name)
            texts = {kind for kind in kinds if isinstance(kind, str)}  # values of a Literal
            number = bool({int, float} & kinds) and not {bool, str, Any} & kinds and not texts
            if number and isinstance(value, bool | str):
                raise ValueError(f"{name}: expected a number, but got {value!r}")
            if kinds - {type(None)} == {bool} and value is not None and not isinstance(value, bool):
                raise ValueError(f"{name}: expected true or false, but got {value!r}")
        return given


def holds_integers(field: FieldInfo) -> bool:
    """Return whether a field holds integers and no other numbers.

    Examples:
        >>> class Blur(Frozen):
        ...     radius: int | None = None
        ...     strength: float = 0.5
        >>> [holds_integers(field) for field in Blur.model_fields.values()]
        [True, False]
    """
    kinds = _kinds(field.annotation)
    return int in kinds and not {float, Any} & kinds


@functools.cache
def _kinds_of_fields(model: type[BaseModel]) -> dict[str, set[Any]]:
    """Return the plain types of each field of a model."""
    return {name: _kinds(field.annotation) for name, field in model.model_fields.items()}


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation consists of."""
    inner = get_args(annotation)
    return {annotation} if not inner else {kind for part in inner for kind in _kinds(part)}


@dataclass(frozen=True)
class Range:
    """An interval to search, both ends included.

    Args:
        low: smallest value.
        high: largest value.
        log: whether to sample uniformly on a logarithmic scale.
        integer: whether values are integers.
        on_request: whether a study has to ask for the search with `auto`; otherwise a method's field is searched
            unless it is set.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    on_request: bool = dataclasses.field(default=False, repr=False)


@dataclass(frozen=True)
class Choice:
    """A set of values to search, without an order.

    Args:
        options: the values.
        on_request: as for `Range`.
    """

    options: tuple[Any, ...]
    on_request: bool = dataclasses.field(default=False, repr=False)


def declared(model: type[BaseModel]) -> dict[str, Range | Choice]:
    """Return the searchable fields of a pydantic model, in the order of declaration.

    Examples:
        >>> from typing import Annotated
        >>> from pydantic import create_model
        >>> radius = Annotated[float, Range(0.5, 2.0)]
        >>> declared(create_model("Blur", radius=(radius, 1.0), border=(str, "black")))
        {'radius': Range(low=0.5, high=2.0, log=False, integer=False)}
    """
    return {
        name: mark
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Range | Choice)
    }
