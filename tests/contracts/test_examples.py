"""Examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("search", "trainables", "spaces", "reports")


def modules_with_examples() -> list[str]:
    found = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if ">>> " in path.read_text()]
    parts = [path.relative_to(ROOT).with_suffix("").parts for path in found]
    return sorted(".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts)


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_print_what_they_say(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(
        importlib.import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    )
    assert result.attempted
    assert result.failed == 0
