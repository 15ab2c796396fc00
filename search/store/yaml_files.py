"""YAML files: safe reading, dumping and overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InputError


class _Loader(yaml.SafeLoader):
    """Safe YAML loader that reads 1e-3 as a number and refuses duplicate keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping, refusing duplicate keys."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                line = node.value[place][0].start_mark.line + 1
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key `{key}` in line {line}")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+0123456789.")
)


def parse_value(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: If it is not valid YAML.
    """
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def parse_mapping(text: str, source: str) -> dict[str, Any]:
    """Return the mapping in a YAML text.

    Args:
        text: the YAML.
        source: its name, for messages.

    Raises:
        InputError: If the text is not valid YAML or not a mapping.
    """
    try:
        document = parse_value(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{source} is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{source} must be a mapping such as `data: {{source: digits}}`, but is {document!r:.80}")
    return document


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        InputError: If it cannot be read or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return parse_mapping(text, str(path))


def apply_override(document: dict[str, Any], override: str) -> None:
    """Set one value of a document.

    Args:
        document: the document, which is modified.
        override: `a.b=value`, with the value in YAML.

    Raises:
        InputError: If it has another form, or a parent of the key is not a mapping.

    Examples:
        >>> document = {"confirm": {"seeds": 10}}
        >>> apply_override(document, "confirm.seeds=20")
        >>> document
        {'confirm': {'seeds': 20}}
    """
    key, equals, value = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise InputError(f"--set must have the form a.b=value, but got `{override}`")
    place = document
    for part in parts[:-1]:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InputError(f"--set {override}: `{part}` is not a mapping, so `{parts[-1]}` cannot be set in it")
    try:
        place[parts[-1]] = parse_value(value)
    except yaml.YAMLError:
        raise InputError(f"--set {override}: the value is not valid YAML") from None


def texts(value: Any) -> list[str]:
    """Return every text in a value of mappings and lists.

    >>> texts({"source": "shapes:load", "options": {"sizes": [8, "large"]}})
    ['shapes:load', 'large']
    """
    if isinstance(value, Mapping):
        return [text for part in value.values() for text in texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in texts(part)]
    return [value] if isinstance(value, str) else []


def dump(document: dict[str, Any]) -> str:
    """Return a mapping as YAML, keeping its order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
