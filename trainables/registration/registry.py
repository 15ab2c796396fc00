"""Registries: objects of one kind by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from trainables.errors import InputError

T = TypeVar("T")

REFERENCE = "module:function"
"""Registered name of the class that represents a user's own function, given by reference."""


class Registry(Generic[T]):
    """A mapping from names to the registered objects of one kind.

    Args:
        kind: the kind of object, in the singular, for messages ("method").

    Examples:
        >>> filters = Registry[type]("filter")
        >>> @filters.register("blur")
        ... class Blur:
        ...     pass
        >>> filters.get("blur")
        <class '...Blur'>
        >>> list(filters), "sharpen" in filters
        (['blur'], False)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers an object under `name`.

        Raises:
            ValueError: the name is taken.
        """

        def decorate(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} `{name}` is registered twice")
            self._entries[name] = entry
            return entry

        return decorate

    def get(self, name: str) -> T:
        """Return the object that is registered under `name`.

        Raises:
            InputError: there is none; the message lists the choices and suggests the most similar one.
        """
        if name in self._entries:
            return self._entries[name]
        raise InputError(unknown(self.kind, name, list(self)))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def unknown(kind: str, name: str, choices: list[str]) -> str:
    """Return an error message for a name that is not among the choices."""
    return f"unknown {kind} `{name}`.{_suggestion(name, choices)}"


def lacks(owner: str, kind: str, name: str, choices: list[str]) -> str:
    """Return an error message for a name that is not among the choices of one owner, such as a study.

    >>> lacks("this study", "method", "mixap", ["baseline", "mixup"])
    'this study has no method `mixap`. Did you mean `mixup`? Choose from: baseline, mixup.'
    """
    return f"{owner} has no {kind} `{name}`.{_suggestion(name, choices)}"


def _suggestion(name: str, choices: list[str]) -> str:
    near = get_close_matches(str(name), choices, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    named = [choice for choice in choices if choice != REFERENCE]
    own = [f"or your own `{REFERENCE}`"] if REFERENCE in choices else []
    return f"{hint} Choose from: {', '.join([*named, *own])}." if choices else hint
