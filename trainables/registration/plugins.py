"""Plug-ins: objects that users add by the entry point of an installed package, or by a reference `module:name`.

A reference in a file runs only if the user allows it (`allow_code`), and never reaches the standard library, Assay, or
an installed package that does not declare it as an entry point. Entry points need no permission: installing the package
gave it.
"""

from __future__ import annotations

import importlib
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainables.errors import InputError

ANY_CODE = "*"
"""Permission for every reference (see `allow_code`)."""
_OWN = {"assay", "search", "spaces", "reports", "trainables"}
_INSTALLED = {"site-packages", "dist-packages"}
_allowed: set[str] = set()


def allow_code(*references: str) -> None:
    """Allow references to run in this process from here on.

    Args:
        references: references `module:name`; `ANY_CODE` allows all.
    """
    _allowed.update(references)


def allowed_code() -> tuple[str, ...]:
    """Return the references that may run, in a form for `allow_code` in another process."""
    return tuple(sorted(_allowed))


@contextmanager
def code_allowed(allowed: bool = True) -> Iterator[None]:
    """Allow every reference for the duration of the block, if `allowed`."""
    before = set(_allowed)
    if allowed:
        _allowed.add(ANY_CODE)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


def check_allowed(reference: str, what: str) -> None:
    """Refuse a reference that the user did not allow. Nothing is imported.

    Args:
        reference: `package.module:name`.
        what: the kind of object, for messages ("method").

    Raises:
        InputError: the reference is not allowed.

    Examples:
        >>> check_allowed("shapes:load", "data source")
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: data source: `shapes:load` is code, which is not run by default; ...
        >>> with code_allowed():
        ...     check_allowed("shapes:load", "data source")
    """
    if not _allowed & {ANY_CODE, reference}:
        raise InputError(
            f"{what}: `{reference}` is code, which is not run by default; review it, then pass --allow-code (in "
            "Python, allow_code=True)"
        )


@cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, such as `assay.methods`, by name, without loading them."""
    return {point.name: point for point in entry_points(group=group)}


def load_installed(group: str, name: str) -> Any:
    """Return the object that an entry point refers to.

    Raises:
        InputError: it cannot be imported.
    """
    point = installed(group)[name]
    return _load(point.value, f"entry point `{name}` of {group}")


def load_reference(reference: str, what: str) -> Any:
    """Return the object that `module:name` refers to.

    Args:
        reference: `package.module:name`; the module must be importable.
        what: the kind of object, for messages ("method").

    Raises:
        InputError: it is not a reference, it is not allowed (see `check_allowed`), it belongs to the standard library,
            to Assay or to a package that does not declare it, or it cannot be imported.

    Examples:
        >>> with code_allowed():
        ...     load_reference("os:system", "data source")
        Traceback (most recent call last):
        ...
        trainables.errors.InputError: data source: `os:system` is refused: `os` is part of Python's standard ...
    """
    module_name, _, path = reference.partition(":")
    if module_name and path:
        check_reference(reference, what)
    found = _load(reference, what)
    inner: Any = found
    while isinstance(inner, partial):
        inner = inner.func
    _refuse_undeclared(reference, str(getattr(inner, "__module__", None) or module_name), what)
    return found


def check_reference(reference: str, what: str) -> None:
    """Refuse a reference as `load_reference` does; nothing is imported.

    A data source calls it before its folder is on the import path, whose files may claim to be an installed package.

    Raises:
        InputError: it is not allowed, or belongs to the standard library, Assay or a package that does not declare it.
    """
    check_allowed(reference, what)
    _declared()
    _refuse_undeclared(reference, reference.partition(":")[0], what)


def _refuse_undeclared(reference: str, module: str, what: str) -> None:
    """Refuse a module of the standard library, of Assay, or of a package that does not declare the reference.

    Raises:
        InputError: it is one of these; nothing is imported.
    """
    top = module.partition(".")[0]
    refused = f"{what}: `{reference}` is refused: `{top}` is part of"
    own = "which a study may not call; write your own function or class"
    if top in sys.stdlib_module_names or top in sys.builtin_module_names or top == "__main__":
        raise InputError(f"{refused} Python's standard library, {own}")
    if top in _OWN:
        raise InputError(f"{refused} Assay, {own}")
    if _is_installed(top) and reference not in _declared():
        raise InputError(
            f"{refused} an installed package that does not declare it; add `{reference}` to its entry points in "
            "assay.data, assay.methods or assay.models, or write your own function or class"
        )


@cache
def _declared() -> set[str]:
    """Return the references that installed packages declare as entry points for Assay."""
    points = entry_points()
    return {
        point.value.replace(" ", "")
        for group in points.groups
        if group.startswith("assay.")
        for point in points.select(group=group)
    }


def _is_installed(package: str) -> bool:
    """Return whether a top-level package lies where Python and installed packages do; it is not imported."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.has_location and spec.origin else ())]
    roots = [Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths = [Path(place).resolve() for place in places]
    return any(_INSTALLED & set(path.parts) or any(path.is_relative_to(root) for root in roots) for path in paths)


def _load(reference: str, what: str) -> Any:
    """Return the object that a reference means.

    Raises:
        InputError: it is not a reference, or it cannot be imported.
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
        if part.startswith("__") or not hasattr(found, part):
            raise InputError(f"{what}: `{module_name}` has no `{path}`")
        found = getattr(found, part)
    return found
