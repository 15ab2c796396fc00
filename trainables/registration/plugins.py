"""Plug-ins: objects that users add by the entry point of an installed package, or by a reference `module:name`."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from trainables.errors import InputError


@cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, such as `assay.methods`, by name, without loading them."""
    return {point.name: point for point in entry_points(group=group)}


def load_installed(group: str, name: str) -> Any:
    """Return the object that an entry point refers to.

    Raises:
        InputError: If it cannot be imported.
    """
    point = installed(group)[name]
    return load_reference(point.value, f"entry point `{name}` of {group}")


def load_reference(reference: str, what: str) -> Any:
    """Return the object that `module:name` refers to.

    Args:
        reference: `package.module:name`; the module must be importable.
        what: the kind of object, for messages ("method").

    Raises:
        InputError: If it is not a reference, the module cannot be imported, or it has no such name.

    Examples:
        >>> load_reference("math:sqrt", "function")(9)
        3.0
    """
    module_name, _, path = reference.partition(":")
    if not module_name or not path:
        raise InputError(f"{what}: `{reference}` is not a reference; write it as `package.module:name`")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{what}: `{module_name}` cannot be imported ({type(error).__name__}: {error}); install it where Assay "
            "runs, or put its folder on PYTHONPATH"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise InputError(f"{what}: `{module_name}` has no `{path}`")
        found = getattr(found, part)
    return found
