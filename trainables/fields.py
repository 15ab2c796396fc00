"""How a method, model or optimizer declares which of its fields may be searched, and over what.

A declaration stands in the field's annotation, beside the limits that validation holds:

    alpha: Annotated[float, Field(ge=0.05, le=32), Range(0.05, 2.0, log=True)] = 0.2

`spaces` turns declarations into Optuna distributions; nothing here imports Optuna.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A validated value that cannot change; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
