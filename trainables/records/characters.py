"""Characters that no name may contain and no message shows: one set for study files, class names and messages."""

from __future__ import annotations

import re

CONTROL = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff]"
)
"""Characters that control a terminal, end a line or change the direction of text, byte order marks, and surrogates."""


def visible(text: str) -> str:
    r"""Return a text with its control characters as escapes, including line breaks and tabs.

    >>> visible("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
