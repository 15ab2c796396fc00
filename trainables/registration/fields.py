"""How a method, model or optimizer declares which of its fields may be searched, and over what.

A declaration stands in the field's annotation, beside the limits that validation holds:

    alpha: Annotated[float, Field(ge=0.05, le=32), Range(0.05, 2.0, log=True)] = 0.2

`spaces` turns declarations into Optuna distributions; nothing here imports Optuna.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Frozen(BaseModel):
    """A validated value that cannot change; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _of_their_kind(cls, given: Any) -> Any:
        """Refuse what only looks like a number or a truth value: `true` or "3" for 3, 1 for `true`."""
        if not isinstance(given, Mapping):
            return given
        for name, field in cls.model_fields.items():
            value, kinds = given.get(name), _kinds(field.annotation)
            texts = {kind for kind in kinds if isinstance(kind, str)}  # of a Literal
            number = bool({int, float} & kinds) and not {bool, str, Any} & kinds and not texts
            if number and isinstance(value, bool | str):
                raise ValueError(f"{name}: a number is expected, but got {value!r}")
            if kinds - {type(None)} == {bool} and value is not None and not isinstance(value, bool):
                raise ValueError(f"{name}: true or false is expected, but got {value!r}")
        return given


def _kinds(annotation: Any) -> set[Any]:
    """Return the plain types that an annotation is made of."""
    inner = get_args(annotation)
    return {annotation} if not inner else {kind for part in inner for kind in _kinds(part)}


@dataclass(frozen=True)
class Range:
    """A searched interval, both ends included.

    Args:
        low: smallest value.
        high: largest value.
        log: draw uniformly on a logarithmic scale.
        integer: whole numbers only.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False


@dataclass(frozen=True)
class Choice:
    """A searched set of values without an order."""

    options: tuple[Any, ...]


def declared(model: type[BaseModel]) -> dict[str, Range | Choice]:
    """Return the searchable fields of a pydantic model, in the order of declaration."""
    return {
        name: mark
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, Range | Choice)
    }
