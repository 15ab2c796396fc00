"""Programs of the tests that run with one backend, in a process of their own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed (extra `jax`)")


def output_of(*arguments: str, backend: str = "jax", flags: str = "", seconds: float | None = None) -> str:
    """Return what Python prints with some arguments; it must succeed.

    Args:
        arguments: arguments of the interpreter, such as `-m` and a module.
        backend: backend of Keras; JAX uses the CPU.
        flags: `XLA_FLAGS` of the process, if it needs some.
        seconds: how long it may take; by default as long as the test.
    """
    environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
    if flags:
        environment["XLA_FLAGS"] = flags
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
