"""Source text of a module: its definitions, and the names and attributes that they use."""

from __future__ import annotations

import ast
import importlib
import inspect
import symtable
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

Import = ast.Import | ast.ImportFrom
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUTURE = "from __future__ import annotations\n"


def definitions(module: str) -> dict[str, tuple[ast.stmt, str]]:
    """Return the statement that binds each global name of a module, and its text.

    Names that are bound more than once, or inside a branch or a loop, are left out.

    Raises:
        OSError, TypeError: the source of the module cannot be read.
    """
    return _definitions(inspect.getsource(importlib.import_module(module)))


@lru_cache(maxsize=64)
def _definitions(source: str) -> dict[str, tuple[ast.stmt, str]]:
    lines = source.split("\n")
    found: dict[str, tuple[ast.stmt, str]] = {}
    count: Counter[str] = Counter()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            continue
        first = min(node.lineno for node in [statement, *getattr(statement, "decorator_list", [])])
        for name in bound_names(statement):
            count[name] += 1 if isinstance(statement, Named | Import | ast.Assign | ast.AnnAssign) else 2
            found[name] = statement, "\n".join(lines[first - 1 : statement.end_lineno])
    return {name: each for name, each in found.items() if count[name] == 1}


def bound_names(statement: ast.AST) -> set[str]:
    """Return the names that a statement binds in its own scope."""
    if isinstance(statement, Named):
        return {statement.name}
    if isinstance(statement, Import):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Name):
        return {statement.id} if isinstance(statement.ctx, ast.Store) else set()
    return {name for child in ast.iter_child_nodes(statement) for name in bound_names(child)}


def global_names(text: str) -> set[str]:
    """Return the names that a text uses outside of annotations and does not bind itself."""

    def used(table: symtable.SymbolTable) -> Iterator[str]:
        yield from (each.get_name() for each in table.get_symbols() if each.is_global() and each.is_referenced())
        for child in table.get_children():
            yield from used(child)

    return set(used(symtable.symtable(FUTURE + text, "source", "exec"))) - bound_names(ast.parse(text))


def annotation_names(text: str) -> set[str]:
    """Return the names in the annotations of a text."""
    nodes = list(ast.walk(ast.parse(text)))
    notes = [getattr(node, name, None) for node in nodes for name in ("annotation", "returns")]
    return {each.id for note in notes if note for each in ast.walk(note) if isinstance(each, ast.Name)}


def attributes(text: str, bases: set[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each use of one of the names `bases`: the name, and the attribute that is taken of it, or None."""
    nodes = list(ast.walk(ast.parse(text)))
    taken = {id(node.value): node.attr for node in nodes if isinstance(node, ast.Attribute)}
    notes = {id(part) for node in nodes for name in ("annotation", "returns") for part in _parts(node, name)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in bases and id(node) not in notes:
            yield node.id, taken.get(id(node))


def _parts(node: ast.AST, field: str) -> Iterator[ast.AST]:
    inner = getattr(node, field, None)
    return ast.walk(inner) if isinstance(inner, ast.AST) else iter(())


def without_imports(text: str, packages: set[str]) -> tuple[str, dict[str, Import]]:
    """Return a text without the imports of some packages inside its functions, and these imports by name."""
    lines, imports = text.split("\n"), {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Import):
            modules = [getattr(node, "module", None) or alias.name for alias in node.names]
            if getattr(node, "level", 0) or any(module.partition(".")[0] in packages for module in modules):
                imports |= dict.fromkeys(bound_names(node), node)
                lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or 0) - node.lineno + 1)
    text = "\n".join(lines)
    while imports and "\n\n\n    " in text:
        text = text.replace("\n\n\n    ", "\n\n    ")
    return text, imports
