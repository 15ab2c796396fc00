"""Source code of objects and functions, copied with everything that they use, so that it runs without Assay.

`SourceCopier` reads the source of functions and of instances (methods, augmentations, optimizers, models, data
sources), and follows every global name to its definition, recursively. What it cannot follow is refused.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import math
import sys
import textwrap
from ast import ImportFrom
from collections.abc import Hashable, Mapping, Sequence
from importlib.util import resolve_name
from pathlib import PurePath
from typing import Any, NamedTuple

from search.export.source_text import (
    Import,
    attributes,
    bound_names,
    definitions,
    global_names,
    renamed,
    without_imports,
)

ASSAY = ("search", "trainables", "spaces", "reports")
INTERNAL = ("search", "spaces", "reports", "trainables.config", "trainables.registration")
"""Modules whose code works only inside Assay."""
BUILTINS = {*dir(builtins), "__name__", "__file__"}
INDENT = "    "
SCOPE = "class _:\n"
"""Makes the source of a method an independent text."""


class NotCopiableError(Exception):
    """Source code that cannot be copied. The message states the reason."""


class Key(NamedTuple):
    """A global name, by the module that binds it."""

    module: str
    name: str


class SourceCopier:
    """Copies source code, one definition at a time.

    Args:
        packages: top-level packages that are copied, in addition to Assay's own; others are imported.
        reserved: names that the program around the copies defines itself.
        replaced: source that stands in for a definition.
    """

    def __init__(
        self, packages: Sequence[str] = (), reserved: Sequence[str] = (), replaced: Mapping[Key, str] | None = None
    ) -> None:
        self.imports: dict[str, str] = {}
        """Import statements, by the name that they bind."""
        self._packages = {*ASSAY, *packages}
        self._replaced = replaced or {}
        self._names: dict[Hashable, str] = {}
        self._taken = set(reserved)
        self._copies: list[str] = []

    def take(self) -> str:
        """Return what was copied since the last call, each definition after those that it uses."""
        copies, self._copies = self._copies, []
        return "\n\n\n".join(copies)

    def copy(self, module: str, name: str, user: str = "the script") -> str:
        """Copy what a global name of a module means, and return its name in the copy.

        Args:
            module: the module.
            name: the name in it.
            user: what uses it, for messages.

        Raises:
            NotCopiableError: its source, or that of something that it uses, cannot be copied.
        """
        if not self._is_copied(module):
            return self.add_import(module, name, name)
        if module.startswith(INTERNAL):
            raise NotCopiableError(f"{user} uses `{name}` of `{module}`, which works only inside Assay")
        try:
            statement, text = definitions(module).get(name, (None, ""))
        except (OSError, TypeError):
            raise NotCopiableError(f"{user} uses `{name}`, and the source of `{module}` cannot be read") from None
        if statement is None:
            raise NotCopiableError(f"{user} uses `{name}`, which `{module}` does not define once, at its top level")
        if isinstance(statement, Import):
            return self._follow(statement, name, module, user)
        if self._claim(name, Key(module, name)):
            for other in bound_names(statement) - {name}:
                self._claim(other, Key(module, other))
            own = {each: self._names[Key(module, each)] for each in bound_names(statement)}
            try:
                copied = self._copied(module, self._replaced.get(Key(module, name), text), f"`{name}`", own)
            except NotCopiableError as error:
                raise NotCopiableError(f"{user} uses `{name}`, {error}") from None
            self._copies.append(copied)
        return self._names[Key(module, name)]

    def instance(self, thing: Any, members: Sequence[str], **values: Any) -> str:
        """Copy an object as a plain class with the attributes that are needed; return the expression that makes it.

        Fields, class variables and properties become class attributes with their values; methods are copied
        with all attributes that they use.

        Args:
            thing: the object.
            members: names of the attributes that are needed.
            values: attributes that get another value.

        Raises:
            NotCopiableError: an attribute, or something that it uses, cannot be copied.
        """
        kind, owner = type(thing), ("instance", id(thing))
        if not self._claim(kind.__name__, owner):
            return f"{self._names[owner]}()"
        settings = {key: self._value(value, f"`{key}`", members) for key, value in values.items()}
        code: dict[str, str] = {}
        waiting = list(members)
        while waiting:
            member = waiting.pop(0)
            where = f"`{kind.__name__}.{member}`"
            if member in settings or member in code:
                continue
            found = _attribute(thing, member, where)
            if isinstance(found, staticmethod | classmethod) or inspect.isroutine(found):
                code[member], used = self._method(kind, member, found, self._names[owner])
                waiting += used
            else:
                settings[member] = self._value(getattr(thing, member), where, members)
        document = inspect.cleandoc(kind.__doc__ or kind.__name__).replace("\\", "\\\\").replace('"""', "'''")
        head = f'"""{document}\n"""' if "\n" in document else f'"""{document}"""'
        body = [head, "\n".join(f"{key} = {value}" for key, value in settings.items())]
        parts = [*(textwrap.indent(part, INDENT) for part in body if part), *code.values()]
        self._copies.append(f"class {self._names[owner]}:\n" + "\n\n".join(parts))
        return f"{self._names[owner]}()"

    def _method(self, kind: type, member: str, found: Any, copy: str) -> tuple[str, list[str]]:
        """Return the code of a method as it stands in the class `copy`, and the attributes that it uses."""
        where = f"`{kind.__name__}.{member}`"
        function = inspect.unwrap(getattr(found, "__func__", found))
        name = getattr(function, "__name__", "")
        known = getattr(sys.modules.get(getattr(function, "__module__", "")), name, None)
        if isinstance(found, staticmethod) and known and inspect.unwrap(known) is function:
            return f"{INDENT}{member} = staticmethod({self.copy(function.__module__, name, where)})", []
        try:
            source = inspect.getsource(function)
        except (OSError, TypeError):
            source = ""
        if not source or name != member:
            raise NotCopiableError(f"the source of {where} cannot be read: it is {function!r}")
        free = function.__code__.co_freevars
        if free:
            why = "calls `super()`, and has no parent there" if "__class__" in free else f"uses `{free[0]}` around it"
            raise NotCopiableError(f"{where} {why}")
        text = SCOPE + textwrap.indent(textwrap.dedent(source), INDENT).rstrip()
        own = {each.__name__: copy for each in kind.__mro__ if function.__globals__.get(each.__name__) is each}
        itself = () if isinstance(found, staticmethod) else function.__code__.co_varnames[:1]
        used: list[str] = []
        for base, attribute in attributes(text, {*own, *itself}):
            if attribute is None or base not in {*itself, kind.__name__}:
                raise NotCopiableError(f"{where} uses `{base}` as a whole, so what it needs of it is not known")
            used.append(attribute)
        return self._copied(function.__module__, text, where, own).removeprefix(SCOPE), used

    def _copied(self, module: str, text: str, where: str, names: Mapping[str, str]) -> str:
        """Copy what a text of a module uses, and return the text as it stands in the copy.

        Args:
            module: the module.
            text: a definition in it.
            where: what it is, for messages.
            names: names in the copy of what has been copied.
        """
        text, imports = without_imports(text, self._packages)
        known = dict(names)
        for used in sorted(global_names(text) - {*known}):
            if used in imports:
                known[used] = self._follow(imports[used], used, module, where)
            elif used not in BUILTINS or used in definitions(module):
                known[used] = self.copy(module, used, where)
        try:
            return renamed(text, {name: new for name, new in known.items() if name != new})
        except ValueError as error:
            raise NotCopiableError(f"{where} {error}") from None

    def _follow(self, statement: Import, name: str, module: str, user: str) -> str:
        """Copy or import what an import statement of a module binds to a name; return its name in the copy."""
        alias = next(each for each in statement.names if name in {each.asname, each.name.partition(".")[0], each.name})
        source = ""
        if isinstance(statement, ImportFrom):
            package = importlib.import_module(module).__package__
            source = resolve_name("." * statement.level + (statement.module or ""), package)
        if not self._is_copied(source or alias.name):
            return self.add_import(source, alias.name, name)
        if not source or inspect.ismodule(getattr(importlib.import_module(source), alias.name, None)):
            raise NotCopiableError(f"{user} uses the module `{name}` as a whole; import what it needs of it by name")
        return self.copy(source, alias.name, user)

    def add_import(self, module: str, name: str, alias: str) -> str:
        """Import `name`, or `name` from a module, and return the alias under which it is known."""
        owner = module, name, alias
        if self._claim(alias, owner):
            free = self._names[owner]
            start = f"from {module} import {name}" if module else f"import {name}"
            plain = name == free or (not module and name.startswith(f"{free}."))
            self.imports[free] = start if plain else f"{start} as {free}"
        return self._names[owner]

    def _claim(self, name: str, owner: Hashable) -> bool:
        """Give an owner a name in the copy, with a number where it is taken; return whether the owner is new."""
        if owner in self._names:
            return False
        free, number = name, 2
        while free in self._taken:
            free, number = f"{name}_{number}", number + 1
        self._names[owner] = free
        self._taken.add(free)
        return True

    def _value(self, value: Any, where: str, members: Sequence[str]) -> str:
        """Return an expression for a value, in which texts and numbers are written by `repr`."""
        if value is None or type(value) in {bool, int, str} or (type(value) is float and math.isfinite(value)):
            return repr(value)
        if isinstance(value, PurePath):
            return f"{self.add_import('pathlib', 'Path', 'Path')}({str(value)!r})"
        if isinstance(value, dict):
            return f"{{{', '.join(f'{key!r}: {self._value(item, where, members)}' for key, item in value.items())}}}"
        if isinstance(value, list | tuple):
            parts = ", ".join(self._value(item, where, members) for item in value)
            if hasattr(value, "_fields"):
                return f"{self.copy(type(value).__module__, type(value).__name__, where)}({parts})"
            return f"[{parts}]" if isinstance(value, list) else f"({parts}{',' * (len(value) == 1)})"
        if hasattr(type(value), "model_fields"):
            return self.instance(value, members)
        raise NotCopiableError(f"{where} is {value!r:.80}, which cannot be written as code")

    def _is_copied(self, module: str) -> bool:
        return module.partition(".")[0] in self._packages


def _attribute(thing: Any, member: str, where: str) -> Any:
    """Return a field's value, or what the class defines under that name, unbound."""
    kind = type(thing)
    owner = next((each for each in kind.__mro__ if member in vars(each)), None)
    if owner is None or member in getattr(kind, "model_fields", {}):
        if not hasattr(thing, member):
            raise NotCopiableError(f"{where} is used, but does not exist")
        return getattr(thing, member)
    if owner.__module__.startswith("pydantic") or owner is object:
        raise NotCopiableError(f"{where} is part of `{owner.__name__}`, which the script does not have")
    return vars(owner)[member]
