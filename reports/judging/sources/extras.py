"""What several sources share: optional libraries, messages of errors, and addresses without credentials."""

from __future__ import annotations

import importlib
import re
from types import ModuleType

from trainables.errors import InputError

_USER = re.compile(r"\b(?P<scheme>(?!sqlite|file)[A-Za-z][\w+.-]*://)[^\s\"'<>]*@")
_SECRET = re.compile(
    r"(?P<before>[?&][^=&#\s]*(?:passw|pwd|secret|token|api_?key|access_?key|credential)[^=&#\s]*=)[^&#\s\"'<>]+", re.I
)


def needs(module: str, what: str) -> ModuleType:
    """Import a library that only one source needs.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"to read {what}, `{error.name}` is needed; install Assay with the extra `judge`") from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; its kind if it has none.

    >>> first_line(ValueError("no such table\\nSELECT 1")), first_line(KeyError())
    ('no such table', 'KeyError')
    """
    return next(iter(str(error).splitlines()), type(error).__name__)


def shown(text: str) -> str:
    """Return a text without users, passwords and tokens in addresses.

    >>> shown("https://me:secret@host/x")
    'https://host/x'
    >>> shown("postgresql://host/runs?user=me&password=secret")
    'postgresql://host/runs?user=me&password='
    """
    return _SECRET.sub(r"\g<before>", _USER.sub(r"\g<scheme>", text))
