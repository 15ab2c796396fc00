"""Imports: declarations load nothing heavy, and only one file imports TensorFlow."""

import ast
import subprocess
import sys
from pathlib import Path

import trainables

PACKAGE = Path(trainables.__file__).parent
HEAVY = {"tensorflow", "keras", "ray", "mlflow", "optuna", "sklearn", "pandas"}
DECLARATIONS = (
    "trainables.config, trainables.methods, trainables.models, trainables.augmentation, trainables.data, "
    "trainables.optimizers, trainables.schedules, trainables.records, trainables.engine.protocol, trainables.errors"
)


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_declarations_load_nothing_heavy() -> None:
    code = f"import sys, {DECLARATIONS}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(loaded.split()) == set()


def test_one_file_imports_tensorflow() -> None:
    files = [path.name for path in PACKAGE.rglob("*.py") if "tensorflow" in imported(path)]
    assert files == ["tensorflow.py"]


def test_declarations_need_neither_search_nor_reports() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert imported(path) & {"search", "reports", "spaces"} == set(), path
