"""Error messages for invalid study files: pydantic's errors with key, value, allowed values and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from search.store.tracking_uri import redact
from trainables.errors import InputError, validation_message
from trainables.registration.registry import unknown

NONE: Mapping[str, Any] = MappingProxyType({})
INTERNAL = re.compile(r"(constrained-|function-|tuple\[|list\[|literal\[|nullable\[)")
"""Parts of pydantic's paths that are not keys but name a member of a union of types."""
EXAMPLES = 3
"""Number of keys that a message names as examples."""
MOST = 10
"""Largest number of errors in a message."""
REPLACEMENTS = {
    r"a valid dictionary or instance of \w+": "a mapping",
    r"a valid path for <class '[\w.]+'>": "a path",
    r"a valid tuple": "a list",
}


@contextmanager
def prefixed_errors(prefix: str) -> Iterator[None]:
    """Put a prefix, such as a file or a data set, before each line of the message of an `InputError` in the block.

    An empty prefix adds nothing.

    Examples:
        >>> with prefixed_errors("cifar"):
        ...     raise InputError("there are no images")
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: cifar: there are no images
    """
    try:
        yield
    except InputError as error:
        lines = (f"{prefix}: {line}" for line in str(error).split("\n"))
        raise InputError("\n".join(lines) if prefix else str(error)) from None


def explain(
    error: ValidationError, model: type[BaseModel], source: str, kinds: Mapping[str, type[BaseModel] | None] = NONE
) -> str:
    """Return one line per error.

    Args:
        error: pydantic's error.
        model: the model that was validated.
        source: name of the file.
        kinds: by field, the model selected by its content, for fields that accept several models.
    """
    lines = dict.fromkeys(_line(detail, model, kinds) for detail in error.errors(include_url=False))
    shown = [f"{source}: {line}" for line in [*lines][:MOST]]
    return "\n".join([*shown, *([f"... and {len(lines) - MOST} more"] if len(lines) > MOST else [])])


def _line(detail: Any, model: type[BaseModel], kinds: Mapping[str, type[BaseModel] | None]) -> str:
    path = ".".join(str(part) for part in detail["loc"] if not INTERNAL.match(str(part)))
    message = validation_message(detail)
    for pattern, words in REPLACEMENTS.items():
        message = re.sub(pattern, words, message)
    if detail["type"] in ("model_type", "dict_type"):
        expected = _model_at(model, detail["loc"], kinds)
        known = [*expected.model_fields] if expected else []
        message += f" with keys such as {', '.join(known[:EXAMPLES])}" if len(known) >= EXAMPLES else ""
    if detail["type"] == "extra_forbidden":
        owner = _model_at(model, detail["loc"][:-1], kinds)
        known = list(owner.model_fields) if owner else []
        place = ".".join(str(part) for part in detail["loc"][:-1])
        return (f"{place}: " if place else "") + unknown("key", str(detail["loc"][-1]), known)
    if detail["type"] == "missing":
        return f"`{path}` is missing"
    if detail["type"] == "value_error":
        return f"{path}: {message}" if path and not message.startswith(path) else message
    return f"{path}: {message[:1].lower()}{message[1:]}, but got {redact(_short(detail.get('input')))}"


def _model_at(
    model: type[BaseModel], loc: Sequence[Any], kinds: Mapping[str, type[BaseModel] | None]
) -> type[BaseModel] | None:
    """Return the model that validates the value at a path, or None; `kinds` as in `explain`."""
    chosen = kinds.get(str(loc[0])) if loc else None
    if chosen:
        model, loc = chosen, loc[1:]
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None:
            return None
        allowed = [field.annotation, *get_args(field.annotation)]
        inner = [kind for kind in allowed if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return None
        model = inner[0]
    return model


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
