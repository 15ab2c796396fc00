"""What several sources share: optional libraries, and addresses without credentials."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from trainables.errors import InputError

_USER = re.compile(r"(?<=://)[^\s/@]+@")


def needs(module: str, what: str) -> ModuleType:
    """Import a library that only one source needs.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"to read {what}, `{error.name}` must be installed: pip install 'assay[judge]'") from None


def shown(text: str) -> str:
    """Return a text without user and password in addresses.

    >>> shown("https://me:secret@host/x")
    'https://host/x'
    """
    return _USER.sub("", text)
