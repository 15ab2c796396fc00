"""A registry: a name means one thing, and an unknown name lists the choices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from trainables.errors import InputError

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps the names of one kind of thing to the things.

    Args:
        kind: what is registered, in the singular, for messages ("method").
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
        """Return what is registered under `name`.

        Raises:
            InputError: nothing is; the message lists the choices and the nearest one.
        """
        if name in self._entries:
            return self._entries[name]
        raise InputError(unknown(self.kind, name, list(self)))

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __contains__(self, name: object) -> bool:
        return name in self._entries


def unknown(kind: str, name: str, choices: list[str]) -> str:
    """Return the message for a name that is none of the choices."""
    near = get_close_matches(str(name), choices, n=1)
    hint = f" Did you mean `{near[0]}`?" if near else ""
    return f"unknown {kind} `{name}`.{hint} Choose from: {', '.join(choices)}."
