"""Method registry: registered methods, installed plug-ins, `module:name`, and combinations `copies+mixing`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import create_model

from trainables.errors import InputError
from trainables.methods.base import Copies, Method, Mixing
from trainables.methods.combination import combination
from trainables.registration.plugins import check_allowed, installed, load_installed, load_reference
from trainables.registration.registry import Registry

GROUP = "assay.methods"
"""Entry point group for methods of other packages."""


class MethodRegistry(Registry[type[Method]]):
    """Registry of methods, which creates combinations such as `maxup+mixup` on demand.

    A plug-in is a subclass of `Method` with a field `name`, which gets the name that was looked up.

    >>> "maxup+cutmix" in METHODS
    True
    >>> METHODS.get("mixup")().alpha
    0.2
    """

    def __init__(self) -> None:
        super().__init__("method")
        self._made: dict[str, type[Method]] = {}

    def get(self, name: str) -> type[Method]:
        """Return the class of a method.

        Raises:
            InputError: there is no method of that name, or its parts do not combine.
        """
        if name in self._entries:
            return self._entries[name]
        for part in name.split("+"):
            if ":" in part and part not in installed(GROUP):
                check_allowed(part, self.kind)  # also if another study of this process was allowed to load it
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> type[Method]:
        if "+" in name:
            return self._combined(name)
        if name in installed(GROUP):
            return _plugin(name, load_installed(GROUP, name))
        if ":" in name:
            return _plugin(name, load_reference(name, self.kind))
        return super().get(name)

    def _combined(self, name: str) -> type[Method]:
        first, *rest = (self.get(part) for part in name.split("+"))
        if len(rest) != 1 or not issubclass(first, Copies) or not issubclass(rest[0], Mixing):
            raise InputError(
                f"`{name}` is not a combination of methods: a combination is one of {', '.join(self._kinds(Copies))}, "
                f"a plus sign, and one of {', '.join(self._kinds(Mixing))}"
            )
        return combination(name, first, rest[0])

    def _kinds(self, kind: type[Method]) -> list[str]:
        """Return the names of the registered methods of a kind, sorted; plug-ins are not loaded for it."""
        return [name for name in sorted(self._entries) if issubclass(self._entries[name], kind)]

    def __iter__(self) -> Iterator[str]:
        """Yield the names of single methods, then those of the combinations that contrasts may include."""
        yield from sorted({*self._entries, *installed(GROUP)})
        for copies in self._kinds(Copies):
            for mixing in self._kinds(Mixing):
                if self._entries[copies].claims:
                    yield f"{copies}+{mixing}"

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            self.get(name)
        except InputError:
            return False
        return True


def _plugin(name: str, found: object) -> type[Method]:
    """Return a subclass of a plug-in with the name that was looked up."""
    if not isinstance(found, type) or not issubclass(found, Method):
        raise InputError(
            f"method `{name}` is {found!r}, but a method is a class that inherits from trainables.methods.Method"
        )
    named: dict[str, Any] = {"name": (Literal[name], name)}
    kind = create_model(found.__name__, __base__=found, __module__=found.__module__, **named)
    kind.__doc__ = found.__doc__
    return kind


METHODS = MethodRegistry()
