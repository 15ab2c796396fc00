"""References on the command line: `module:name` in the value of an option is permission to run it."""

from __future__ import annotations

from contextlib import suppress

import yaml

from search.store.yaml_files import parse_value, texts
from trainables.errors import InputError


def written_references(value: str) -> list[str]:
    """Return the references in the value of an option.

    Args:
        value: YAML; an invalid value has none, and is refused where it is used.

    Examples:
        >>> written_references("{source: shapes:load, options: {size: 8}}")
        ['shapes:load']
    """
    with suppress(yaml.YAMLError, InputError, RecursionError, ValueError):
        return [text for text in texts(parse_value(value)) if ":" in text]
    return []
