"""Source text of a module: its definitions, and the names and attributes that they use."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import symtable
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

Import = ast.Import | ast.ImportFrom
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUTURE = "from __future__ import annotations\n"


@lru_cache(maxsize=1024)
def parsed(text: str) -> ast.Module:
    """Return the syntax tree of a text; nobody changes it."""
    return ast.parse(text)


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
    for statement in parsed(source).body:
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
    symbols = [symbol for table in _scopes(text) for symbol in table.get_symbols()]
    return {each.get_name() for each in symbols if each.is_global() and each.is_referenced()} - bound_names(
        parsed(text)
    )


def _scopes(text: str) -> list[symtable.SymbolTable]:
    """Return the symbols of the text and of every scope inside it; annotations do not count."""
    scopes = [symtable.symtable(FUTURE + text, "source", "exec")]
    for scope in scopes:
        scopes += scope.get_children()
    return scopes


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with other names for some of its global names.

    Raises:
        ValueError: one of the names is also a local name, or stands in a formatted string where it has no position.
    """
    if not names:
        return text
    local = {each.get_name() for scope in _scopes(text)[1:] for each in scope.get_symbols() if each.is_local()}
    lines = [line.encode() for line in text.split("\n")]
    nodes = [node for node in ast.walk(parsed(text)) if isinstance(node, ast.Name) and node.id in names]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line, end = lines[node.lineno - 1], node.col_offset + len(node.id.encode())
        if line[node.col_offset : end] != node.id.encode() or node.id in local:
            raise ValueError(f"uses `{node.id}`, a name that another part of the script also has; rename it")
        lines[node.lineno - 1] = line[: node.col_offset] + names[node.id].encode() + line[end:]
    made = b"\n".join(lines).decode()
    for name, new in names.items():
        made = re.sub(rf"^((?:async )?def|class) {name}\b", rf"\1 {new}", made, flags=re.MULTILINE)
    return made


def annotation_names(text: str) -> set[str]:
    """Return the names in the annotations of a text."""
    nodes = list(ast.walk(parsed(text)))
    notes = [getattr(node, name, None) for node in nodes for name in ("annotation", "returns")]
    return {each.id for note in notes if note for each in ast.walk(note) if isinstance(each, ast.Name)}


def attributes(text: str, bases: set[str]) -> Iterator[tuple[str, str | None]]:
    """Yield each use of one of the names `bases`: the name, and the attribute that is taken of it, or None."""
    nodes = list(ast.walk(parsed(text)))
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
    for node in ast.walk(parsed(text)):
        if isinstance(node, Import):
            modules = [getattr(node, "module", None) or alias.name for alias in node.names]
            if getattr(node, "level", 0) or any(module.partition(".")[0] in packages for module in modules):
                imports |= dict.fromkeys(bound_names(node), node)
                lines[node.lineno - 1 : node.end_lineno] = [""] * ((node.end_lineno or 0) - node.lineno + 1)
    text = "\n".join(lines)
    while imports and "\n\n\n    " in text:
        text = text.replace("\n\n\n    ", "\n\n    ")
    return text, imports
