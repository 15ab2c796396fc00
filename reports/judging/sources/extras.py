"""Optional libraries of single sources."""

from __future__ import annotations

import importlib
from types import ModuleType

from trainables.errors import InputError


def needs(module: str, what: str) -> ModuleType:
    """Import a library that only one source needs.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"to read {what}, `{error.name}` must be installed: pip install 'assay[judge]'") from None
