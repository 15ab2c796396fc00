"""Keras settings: what Keras would refuse at its import is refused first, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainables.backends.keras_settings import check_keras_settings, settings_path
from trainables.errors import InputError

REFUSED: dict[str, Any] = {
    "a list": [1],
    "floatx": {"floatx": "int8"},
    "a list as floatx": {"floatx": ["float32"]},
    "epsilon": {"epsilon": 1},
    "image_data_format": {"image_data_format": "sideways"},
}
ACCEPTED: dict[str, str] = {
    "no JSON": "{oops",
    "not UTF-8": "\udcff",
    "other keys": '{"colour": 1}',
    "backend": '{"backend": "no-such"}',
    "usual": '{"floatx": "float16", "epsilon": 1e-7, "image_data_format": "channels_first"}',
}


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "keras.json"


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED)
def test_settings_that_keras_refuses_are_refused(settings: Path, content: Any) -> None:
    settings.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"Keras's settings .*keras\.json, or remove it"):
        check_keras_settings()


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_settings_that_keras_accepts_are_accepted(settings: Path, content: str) -> None:
    settings.write_text(content, errors="surrogateescape")
    check_keras_settings()


def test_settings_that_cannot_be_read_are_refused(settings: Path) -> None:
    settings.mkdir()
    with pytest.raises(InputError, match="cannot read its settings"):
        check_keras_settings()


@pytest.mark.parametrize("content", [*(json.dumps(value) for value in REFUSED.values()), *ACCEPTED.values()])
def test_keras_itself_agrees(settings: Path, content: str) -> None:
    """Run the part of Keras that reads the file, alone: importing all of Keras takes seconds."""
    settings.write_text(content, errors="surrogateescape")
    code = """
import importlib.util, pathlib, sys, types, unittest.mock
root = pathlib.Path(importlib.util.find_spec("keras").origin).parent / "src"
export = types.ModuleType("keras.src.api_export")
export.keras_export = lambda *names: lambda thing: thing
for name in ("keras", "keras.src", "keras.src.backend", "keras.src.backend.common"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["keras.src.api_export"] = export
sys.modules["keras.src.backend.common"].global_state = unittest.mock.MagicMock()
exec(compile((root / "backend" / "config.py").read_text(), "config.py", "exec"), {"__name__": "config"})
"""
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (content in ACCEPTED.values()), done.stderr


def test_an_unknown_backend_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(InputError, match="KERAS_BACKEND is 'torch'; Assay trains with tensorflow or jax"):
        check_keras_settings()


def test_the_place_is_that_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_path() == tmp_path / "keras.json"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings_path() == tmp_path / ".keras" / "keras.json"


def test_a_study_is_refused_before_anything_is_written(settings: Path, tmp_path: Path) -> None:
    settings.write_text('{"floatx": "int8"}')
    done = subprocess.run(
        [sys.executable, "-P", "-m", "search.cli", "run", "quickstart", "-o", str(tmp_path / "out")],
        env={**os.environ, "KERAS_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 2
    assert "floatx" in done.stderr
    assert not (tmp_path / "out").exists()
