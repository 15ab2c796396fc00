"""Error messages for invalid study files: pydantic's errors with key, value, allowed values and remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    error: ValidationError,
    model: type[BaseModel],
    source: str,
    kinds: Mapping[str, type[BaseModel] | None] = NONE,
    written: Callable[[str], str] | None = None,
) -> str:
    """Return one line per error.

    Args:
        error: pydantic's error.
        model: the model that was validated.
        source: name of the file, or what the errors are about.
        kinds: by field, the model selected by its content, for fields that accept several models.
        written: returns the key that the user wrote for a path of the model, such as `nuisance.learning_rate` for
            `optimizer.learning_rate`, or nothing. It takes the place of `source`.
    """
    lines = dict.fromkeys(_line(detail, model, source, kinds, written) for detail in error.errors(include_url=False))
    shown = [*lines][:MOST]
    return "\n".join([*shown, *([f"... and {len(lines) - MOST} more"] if len(lines) > MOST else [])])


def _line(
    detail: Any,
    model: type[BaseModel],
    source: str,
    kinds: Mapping[str, type[BaseModel] | None],
    written: Callable[[str], str] | None,
) -> str:
    """Return the line of one error, with the key that the user wrote, or else the source and the path in the model."""
    unknown_key = detail["type"] == "extra_forbidden"
    path = _path(detail["loc"][:-1] if unknown_key else detail["loc"])
    message = _message(detail, model, kinds)
    if detail["type"] == "value_error" and path and (inner := re.match(r"([a-z]\w*): ", message)):
        message = message[inner.end() :]
        path = path if inner[1] in path.split(".") else f"{path}.{inner[1]}"
    if key := written(path) if written else "":
        return f"{key}: {message}"
    if detail["type"] == "missing":
        return f"{source}: `{path}` is missing"
    named = not path or (detail["type"] == "value_error" and message.startswith(path))
    return f"{source}: {message}" if named else f"{source}: {path}: {message}"


def _path(loc: Sequence[Any]) -> str:
    """Return a path of pydantic with the keys of a study file."""
    path = ".".join(str(part) for part in loc if not INTERNAL.match(str(part)))
    return re.sub(r"^(methods\.\d+)\.label$", r"\1.as", path)


def _message(detail: Any, model: type[BaseModel], kinds: Mapping[str, type[BaseModel] | None]) -> str:
    """Return the words of an error, without its path."""
    message = validation_message(detail)
    for pattern, words in REPLACEMENTS.items():
        message = re.sub(pattern, words, message)
    if detail["type"] in ("model_type", "dict_type"):
        expected = _model_at(model, detail["loc"], kinds)
        known = [*expected.model_fields] if expected else []
        message += f" with keys such as {', '.join(known[:EXAMPLES])}" if len(known) >= EXAMPLES else ""
    if detail["type"] == "extra_forbidden":
        owner = _model_at(model, detail["loc"][:-1], kinds)
        return unknown("key", str(detail["loc"][-1]), list(owner.model_fields) if owner else [])
    if detail["type"] == "value_error":
        return message
    return f"{message[:1].lower()}{message[1:]}, but got {redact(_short(detail.get('input')))}"


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
