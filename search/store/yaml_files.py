"""YAML files: safe reading, dumping and overrides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from trainables.errors import InputError
from trainables.records.characters import CONTROL

MAX_CHARACTERS = 2_000_000
"""Largest accepted YAML text."""
MAX_NODES = 200_000
"""Largest number of values in a YAML text, with aliases counted as often as they are used."""
MAX_DEPTH = 100
"""Deepest nesting of lists and mappings."""
MAX_DIGITS = 300
"""Longest accepted number."""
_WHITESPACE = str.maketrans("", "", "\t\n")  # the control characters that a text may contain
PLAIN = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """Safe YAML loader for the scalars of YAML 1.2: only `true` and `false` are booleans, and numbers are decimal.

    Words such as `on`, `off`, `yes` and `no` are text, `0100` is 100 and `1:30` is text; dates are text as well. `1e-3`
    is a number. It refuses duplicate keys, merge keys, tags, and texts whose aliases expand without bound.
    """

    yaml_implicit_resolvers = {}

    def get_single_data(self) -> Any:
        """Return the value of the document."""
        node = self.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return self.construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Construct a mapping, refusing duplicate keys, merge keys, and keys that are lists or mappings."""
        keys: set[Any] = set()
        for name, _ in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _refused("a key must be a single value", name)
            if name.value == "<<" and name.style is None:
                raise _refused("merge keys (`<<`) are not supported; write the keys out", name)
            key = self.construct_object(name, deep=True)
            if key in keys:
                raise _refused(f"duplicate key `{key}`", name)
            keys.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """Construct a decimal number; `.inf` and `.nan` as well."""
        text = node.value.lower()
        whole = node.tag == f"{PLAIN}int"
        try:
            if len(text) > MAX_DIGITS:
                raise ValueError
            return int(text) if whole else float(re.sub(r"\.(inf|nan)$", r"\1", text))
        except ValueError:
            raise _refused(f"`{text:.40}` is not a number of at most {MAX_DIGITS} digits", node) from None

    def construct_truth(self, node: yaml.ScalarNode) -> bool:
        """Construct true or false."""
        if node.value.lower() not in {"true", "false"}:
            raise _refused(f"`{node.value:.40}` is neither true nor false", node)
        return node.value.lower() == "true"

    def refuse_tag(self, node: yaml.Node) -> Any:
        """Refuse a value with a tag of another kind."""
        raise _refused(f"the tag `{str(node.tag).replace(PLAIN, '!!'):.60}` is not supported; leave it out", node)


def _refused(what: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, f"{what} in line {node.start_mark.line + 1}")


def _check_size(root: yaml.Node) -> None:
    """Refuse a document that is nested too deeply, contains itself, or has too many values once aliases are expanded.

    Takes time proportional to the text, not to the expanded document.
    """
    sizes: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()

    def measured(node: yaml.Node) -> tuple[int, int]:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in open_nodes:
            raise _refused("a value contains itself", node)
        open_nodes.add(id(node))
        parts = (
            [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
            if isinstance(node, yaml.CollectionNode)
            else []
        )
        inner = [measured(part) for part in parts]
        count = 1 + sum(count for count, _ in inner)
        depth = 1 + max((depth for _, depth in inner), default=0)
        if count > MAX_NODES:
            raise _refused(f"more than {MAX_NODES:,} values, with aliases written out", node)
        if depth > MAX_DEPTH:
            raise _refused(f"nested more than {MAX_DEPTH} levels deep", node)
        sizes[id(node)] = count, depth
        return count, depth

    measured(root)


for _tag, _pattern, _first in (
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    (
        "float",
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"{PLAIN}{_tag}", re.compile(_pattern), _first)
for _tag in ("int", "float"):
    _Loader.add_constructor(f"{PLAIN}{_tag}", _Loader.construct_number)
_Loader.add_constructor(f"{PLAIN}bool", _Loader.construct_truth)
for _tag in ("timestamp", "binary", "omap", "pairs", "set", "merge", "value"):
    _Loader.add_constructor(f"{PLAIN}{_tag}", _Loader.refuse_tag)
_Loader.add_constructor(None, _Loader.refuse_tag)


class _Dumper(yaml.SafeDumper):
    """Safe YAML dumper whose text has the same value in YAML 1.1 and 1.2: it quotes what either reads differently."""


for _first, _resolvers in _Loader.yaml_implicit_resolvers.items():
    for _tag, _regexp in _resolvers:
        if _tag == f"{PLAIN}float":
            _Dumper.add_implicit_resolver(_tag, _regexp, [_first])


def check_text(value: Any) -> None:
    """Check that no text in a document has control characters, which can forge or hide what is displayed.

    Line breaks and tabs are allowed.

    Raises:
        ValueError: one has a NUL, another control character, a surrogate, or a mark that changes the direction.

    Examples:
        >>> check_text({"name": "a\\x00b"})
        Traceback (most recent call last):
        ...
        ValueError: 'a\\x00b' contains the character U+0000, which is not allowed; remove it
    """
    if isinstance(value, dict):
        for key, item in value.items():
            check_text(key)
            check_text(item)
    elif isinstance(value, list | tuple):
        for item in value:
            check_text(item)
    elif isinstance(value, str) and (found := CONTROL.search(value.translate(_WHITESPACE))):
        raise ValueError(
            f"{value[:60]!a} contains the character U+{ord(found[0]):04X}, which is not allowed; remove it"
        )


def parse_value(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: it is not valid YAML.
    """
    if len(text) > MAX_CHARACTERS:
        raise yaml.YAMLError(f"it has {len(text):,} characters, and at most {MAX_CHARACTERS:,} are allowed")
    if (opened := max(map(len, re.findall(r"[\[{]+", re.sub(r"\s", "", text))), default=0)) > MAX_DEPTH:
        raise yaml.YAMLError(f"nested more than {MAX_DEPTH} levels deep ({opened} opening brackets)")
    loader = _Loader(text)
    try:
        value = loader.get_single_data()
        check_text(value)
        return value
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from None
    except RecursionError:
        raise yaml.YAMLError(f"nested more than {MAX_DEPTH} levels deep") from None
    finally:
        loader.dispose()


def parse_mapping(text: str, source: str) -> dict[str, Any]:
    """Return the mapping in a YAML text.

    Args:
        text: the YAML.
        source: its name, for messages.

    Raises:
        InputError: the text is not valid YAML or not a mapping.
    """
    try:
        document = parse_value(text)
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not valid YAML: {error}") from None
    if not isinstance(document, dict):
        raise InputError(f"{source} must be a mapping such as `data: {{source: digits}}`, but is {document!r:.80}")
    return document


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        InputError: it cannot be read or is not a mapping.
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
        InputError: it has another form, or a parent of the key is not a mapping.

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
    except yaml.YAMLError as error:
        raise InputError(f"--set {override:.200}: the value is not valid YAML: {error}") from None


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
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
