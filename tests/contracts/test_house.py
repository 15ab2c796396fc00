"""The house holds: arrows between packages, light imports, names of our own, pinned versions."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("search", "trainables", "spaces", "reports")
ALLOWED = {
    "search": {"search", "spaces", "trainables", "reports"},
    "spaces": {"spaces", "trainables"},
    "trainables": {"trainables"},
    "reports": {"reports", "trainables"},
}
HEAVY = {"ray", "tensorflow", "keras", "mlflow"}
ROOMS: dict[str, dict[str, set[str]]] = {
    "search": {
        "store": set(),
        "monitor": set(),
        "tracking": {"store"},
        "study": {"store"},
        "plan": {"monitor", "study"},
        "orchestration": {"plan", "store"},
        "ray_tune": {"monitor", "orchestration", "store", "study"},
        "export": {"store", "study"},
        "session": {"monitor", "orchestration", "ray_tune", "store", "study", "tracking"},
        "lifecycle": {"export", "monitor", "orchestration", "plan", "session", "store", "study"},
        "final_training": {"export", "monitor", "orchestration", "plan", "session", "store", "study"},
        "doctor": {"ray_tune", "store", "study", "tracking"},
        "api": {"lifecycle", "session", "study"},
        "cli": {
            "doctor", "export", "final_training", "lifecycle", "monitor", "plan", "session", "store", "study",
            "tracking",
        },
    },
    "reports": {
        "data": set(),
        "statistics": set(),
        "jinja": set(),
        "inference": {"data", "statistics"},
        "descriptive": {"data", "inference", "statistics"},
        "figures": {"descriptive", "inference", "statistics"},
        "page": {"data", "descriptive", "figures", "inference", "jinja", "statistics"},
        "card": {"figures", "inference", "jinja"},
        "atlas": {"data", "figures", "inference", "jinja", "page", "statistics"},
        "judging": {"data", "descriptive", "figures", "inference", "page", "statistics"},
    },
    "trainables": {
        "errors": set(),
        "randomness": set(),
        "schedules": set(),
        "records": {"errors"},
        "registration": {"errors"},
        "backends": {"errors"},
        "devices": {"backends"},
        "data": {"errors", "randomness", "records", "registration"},
        "augmentation": {"errors", "registration"},
        "methods": {"errors", "registration", "schedules"},
        "optimizers": {"registration"},
        "models": {"backends", "errors", "registration"},
        "config": {"augmentation", "data", "errors", "methods", "models", "optimizers", "registration", "schedules"},
        "engine": {
            "augmentation", "backends", "config", "data", "errors", "methods", "models", "optimizers", "randomness",
            "records", "schedules",
        },
        "keras": {"augmentation", "backends", "engine", "errors", "methods", "randomness"},
        "worker": {"backends", "config", "data", "engine", "errors", "records", "registration"},
        "contact_sheet": {"augmentation", "config", "data", "engine", "errors", "randomness", "records"},
    },
}  # fmt: skip
"""What each room, a sub-package or a module beside them, may import of its package."""


def imports(path: Path, package: str = "") -> set[str]:
    """Return every module that a file imports, anywhere in it; of `from package import room`, the room."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{package}.{name.name}" for name in node.names} if node.module == package else {node.module}
    return found


def room_of(module: str) -> str:
    """Return the sub-package, or the module of a package itself, that a dotted name lies in."""
    return module.split(".")[1]


def room_imports(package: str) -> dict[str, dict[str, list[str]]]:
    """Return by room which other rooms of the package it imports, with the files that do."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        room = found.setdefault(parts[1], {})
        for name in imports(path, package):
            if name.startswith(f"{package}.") and room_of(name) != parts[1]:
                room.setdefault(room_of(name), []).append(str(path.relative_to(ROOT)))
    return found


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_the_rooms_below_them(package: str) -> None:
    found = room_imports(package)
    found.pop("__init__", None)  # re-exports
    assert set(found) == set(ROOMS[package]), "a room is missing from the table, or gone"
    for room, imported in found.items():
        wrong = {other: files for other, files in imported.items() if other not in ROOMS[package][room]}
        assert not wrong, f"{package}.{room} imports {wrong}"


@pytest.mark.parametrize("package", ROOMS)
def test_the_table_of_rooms_has_no_circle(package: str) -> None:
    assert list(TopologicalSorter(ROOMS[package]).static_order())


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_at_most_five_modules_of_its_own(package: str) -> None:
    own = [path.name for path in (ROOT / package).glob("*.py") if path.name != "__init__.py"]
    assert len(own) <= 5, own


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_point_one_way(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        owners = {name.split(".")[0] for name in imports(path)} & set(PACKAGES)
        assert owners <= ALLOWED[package], f"{path} imports {owners - ALLOWED[package]}"


def test_reports_know_only_the_names_and_the_errors() -> None:
    for path in (ROOT / "reports").rglob("*.py"):
        known = {name for name in imports(path) if name.startswith("trainables")}
        assert {name for name in known if not name.startswith("trainables.records.")} <= {
            "trainables",
            "trainables.records",
            "trainables.errors",
        }, path


def test_tensorflow_is_imported_in_one_file() -> None:
    users = [
        path.relative_to(ROOT)
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(name.split(".")[0] == "tensorflow" for name in imports(path))
    ]
    assert users == [Path("trainables/backends/tensorflow.py")]


@pytest.mark.parametrize(
    "code",
    [
        "import search.cli, search.lifecycle, search.plan.model, search.export.selection\n"
        "import search.final_training.training, search.monitor.status, search.study.catalogue",
        "import reports.page.writer, reports.data.frames, reports.inference.verdicts",
        "import search.study.loading as s\nfrom search.plan.builder import make_plan\n"
        "make_plan(s.load_study('quickstart'))",
    ],
)
def test_planning_reporting_and_usage_errors_load_nothing_heavy(code: str) -> None:
    script = f"{code}\nimport sys\nprint(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_name_belongs_to_this_project_alone(package: str) -> None:
    spec = find_spec(package)
    assert spec
    assert Path(str(spec.origin)).is_relative_to(ROOT)
    others = [
        found.metadata["Name"]
        for found in distributions()
        if found.metadata["Name"] != "assay"
        and any(file.parts[0] in {package, f"{package}.py"} for file in found.files or [])
    ]
    assert others == []


def test_the_constraints_file_is_the_tested_set() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    pinned = project["tool"]["uv"]["constraint-dependencies"]
    written = [
        line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert written == pinned
    assert "spaces<0" in pinned


def test_the_top_level_holds_nothing_else() -> None:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    usual = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "constraints.txt", ".pre-commit-config.yaml", ".gitignore"}
    assert top - usual <= {"pyproject.toml", "README.md", "assay.py", "tests", ".ci", ".github", *PACKAGES}
