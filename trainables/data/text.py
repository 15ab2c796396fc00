"""Names in messages: printable forms of file names, and short lists of them; names that classes may have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from trainables.errors import InputError
from trainables.records.characters import CONTROL

SHOWN = 10
"""Maximum number of names that a message lists."""
LONGEST = 200
"""Maximum length of a class name."""


def printable(name: str | Path) -> str:
    r"""Return a file name as text that every terminal and file can hold: what is not UTF-8 as `\xNN`.

    >>> printable("caf\udce9")
    'caf\\xe9'
    """
    return CONTROL.sub(lambda found: _escaped(found[0]), str(name))


def listed(names: Sequence[str | Path]) -> str:
    """Return the first names as a list.

    >>> listed([str(number) for number in range(12)])
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, and 2 more'
    """
    shown = ", ".join(printable(name) for name in names[:SHOWN])
    return shown + (f", and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def check_class_names(names: Iterable[str], where: str) -> None:
    r"""Refuse names of classes that cannot be written or told apart.

    Args:
        names: distinct names.
        where: where they come from, for messages.

    Raises:
        InputError: a name is empty or too long, is not UTF-8, has control characters, or stands there in two Unicode
            spellings.
    """
    spellings: dict[str, str] = {}
    for name in names:
        if not name.strip() or len(name) > LONGEST:
            raise InputError(
                f"{where}: the class name {printable(name[:LONGEST])!r} has {len(name)} characters; 1 to {LONGEST} are "
                "allowed, and not only spaces"
            )
        if any(0xD800 <= ord(each) <= 0xDFFF for each in name):
            raise InputError(f"{where}: the class name `{printable(name)}` is not UTF-8; rename it (see `convmv`)")
        if CONTROL.search(name):
            raise InputError(
                f"{where}: the class name `{printable(name)}` contains control characters; rename it without them"
            )
        other = spellings.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise InputError(
                f"{where}: the class name `{name}` occurs in two Unicode spellings, which look the same "
                f"({other!a} and {name!a}); give both the same name"
            )


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else ascii(character)[1:-1]
