"""The Markdown files name only what exists: links, paths, modules, classes and their members."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("search", "trainables", "spaces", "reports")
TOP = {*PACKAGES, "tests", ".ci", ".github"}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(path for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("*.md"))])
FOREIGN = {"MlflowClient", "assay", "keras", "lax", "mlflow", "model", "tf"}
"""First parts of dotted names that are not code of Assay; tags and entry points begin with `assay`."""
VARIABLES = {"backend", "self", "study", "wrapper"}
SETTINGS = {"adamw", "confirm", "resources", "search", "tracking", "vgg16"}
"""First parts of keys, such as `resources.gpus`, that are settings of a study."""
SCHEMA = (
    "search.study.sections",
    "search.study.resources",
    "trainables.config",
    "trainables.models.base",
    "trainables.optimizers.base",
)
"""Modules whose classes have the settings of a study as fields."""
EXAMPLES = {"pandas.py", "train.py"}
FILES = {"csv", "db", "j2", "json", "lock", "md", "parquet", "toml", "txt", "yaml"}
"""Endings of names that are files, not attributes."""


@cache
def modules() -> dict[str, Path]:
    """Return the path of every module by its dotted name."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    named = {path: path.relative_to(ROOT).with_suffix("").parts for path in paths}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in named.items()}


@cache
def classes() -> dict[str, list[Path]]:
    """Return the modules that define a class, by its name."""
    found: dict[str, list[Path]] = {}
    for path in modules().values():
        for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE):
            found.setdefault(name, []).append(path)
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def defined(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements define or import."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (name.asname or name.name for name in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
        elif isinstance(node, ast.If | ast.Try):
            yield from defined(node.body)


@cache
def members(path: Path, name: str) -> frozenset[str]:
    """Return the attributes of a class in a module, with those of its base classes in Assay."""
    found: set[str] = set()
    for node in tree(path).body:
        if not isinstance(node, ast.ClassDef) or node.name != name:
            continue
        found |= set(defined(node.body))
        found |= {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and _of_self(each)}
        for base in re.findall(r"\w+", " ".join(ast.unparse(base) for base in node.bases)):
            found |= {member for owner in classes().get(base, []) for member in members(owner, base)}
    return frozenset(found)


def _of_self(node: ast.Attribute) -> bool:
    return isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"


def in_class(parts: list[str]) -> bool:
    """Return whether `Class` or `Class.member` exists."""
    owners = classes().get(parts[0], [])
    return bool(owners) and (len(parts) == 1 or any(parts[1] in members(path, parts[0]) for path in owners))


def in_module(path: Path, rest: list[str]) -> bool:
    """Return whether a module has a name, or one of its classes a member, such as the setting `mixup.alpha`."""
    if not rest or (len(rest) == 1 and rest[0] in defined(tree(path).body)):
        return True
    own = [node.name for node in tree(path).body if isinstance(node, ast.ClassDef)]
    if len(rest) == 1:
        return any(rest[0] in members(path, name) for name in own)
    return rest[0] in own and rest[1] in members(path, rest[0])


def exists(name: str) -> bool:
    """Return whether a dotted name is a module, an attribute of one, a member of a class, or not a name of Assay.

    Modules may be given by the end of their name, such as `pooling.pool`.
    """
    parts = name.split(".")
    if parts[0] in FOREIGN | VARIABLES or parts[0].isupper() or parts[-1] in FILES or in_class(parts):
        return True
    for length in range(len(parts), 0, -1):
        start = ".".join(parts[:length])
        found = [path for module, path in modules().items() if f".{module}".endswith(f".{start}")]
        if any(in_module(path, parts[length:]) for path in found):
            return True
    settings = [modules()[module] for module in SCHEMA]
    return parts[0] in SETTINGS and any(in_module(path, parts[1:]) for path in settings)


def path_exists(document: Path, name: str) -> bool:
    """Return whether a path, relative to the repository or to a folder around the document, exists or is not ours."""
    first = name.split("/", maxsplit=1)[0]
    if any(part.split(".")[0].isupper() for part in name.split("/")):
        return True  # a placeholder
    if "/" not in name:
        return name in EXAMPLES or any(next((ROOT / top).rglob(name), None) for top in (*PACKAGES, "tests"))
    around = [folder for folder in document.parents if folder.is_relative_to(ROOT) and folder != ROOT]
    bases = [folder for folder in around if (folder / first).exists()] + ([ROOT] if first in TOP else [])
    return not bases or any(next(base.glob(f"{name.rstrip('/')}{end}"), None) for base in bases for end in ("", ".py"))


def quoted(document: Path) -> list[str]:
    """Return the code spans of a document; code blocks are excluded."""
    text = re.sub(r"^ *```.*?^ *```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [" ".join(each.split()) for each in re.findall(r"`([^`]+)`", text)]


def test_paths_in_documents_exist() -> None:
    missing = [
        f"{document.relative_to(ROOT)}: {name}"
        for document in DOCUMENTS
        for name in quoted(document)
        if re.fullmatch(r"\.?\w[\w./*-]*", name) and ("/" in name or name.endswith(".py"))
        if not path_exists(document, name)
    ]
    assert missing == []


def test_names_of_code_in_documents_exist() -> None:
    missing = [
        f"{document.relative_to(ROOT)}: {name}"
        for document in DOCUMENTS
        for name in quoted(document)
        if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(\(.*\))?", name) and not name.endswith(".py")
        if not exists(name.split("(")[0])
    ]
    assert missing == []


@pytest.mark.parametrize(
    "name", ["Synchronizer._gone", "Gone.member", "pooling.gone", "gone.pool", "search.plan.gone", "resources.gone"]
)
def test_a_name_that_is_gone_is_noticed(name: str) -> None:
    assert not exists(name)


def test_modules_in_tables_exist() -> None:
    missing = [
        f"{document.relative_to(ROOT)}: {name}"
        for document in DOCUMENTS
        for table in re.findall(r"^\| module \| .*\n(?:\|.*\n)+", document.read_text(), re.MULTILINE)
        for row in table.splitlines()[2:]
        for name in re.findall(r"`([^`]+)`", re.sub(r"\(.*?\)", "", row.split("|")[1]))
        if not any((folder / f"{name}{end}").exists() for folder in (document.parent, ROOT) for end in ("", ".py"))
    ]
    assert missing == []


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_in_documents_lead_somewhere() -> None:
    missing = []
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
            target, _, anchor = link.partition("#")
            path = document.parent / target if target else document
            if not target.startswith("http") and not (path.exists() and (not anchor or anchor in anchors(path))):
                missing.append(f"{document.relative_to(ROOT)}: {link}")
    assert missing == []
