"""Extras for GPUs: they resolve to the pinned versions on Linux, and only who asks for them gets them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINNED = (ROOT / "constraints.txt").read_text()
OFFLINE = ("error sending request", "failed to fetch", "dns error", "connection", "network")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not shutil.which("uv"), reason="uv is missing"),
]


def resolved(folder: Path, *command: str) -> dict[str, str]:
    """Return the versions by package that uv's answer names, for a copy of the project without a lock file."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run(["uv", *command], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and any(word in done.stderr.lower() for word in OFFLINE):
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", done.stdout, re.MULTILINE))


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize(
    ("extra", "needed", "absent"),
    [
        ("cuda", {"tensorflow", "nvidia-cudnn-cu12", "nvidia-cuda-nvcc-cu12"}, {"jax"}),
        ("jax-cuda", {"jax", "jax-cuda12-plugin", "nvidia-cudnn-cu12"}, set()),
    ],
)
def test_an_extra_for_gpus_resolves_on_linux_to_the_pinned_versions(
    tmp_path: Path, python: str, extra: str, needed: set[str], absent: set[str]
) -> None:
    options = ("--python-version", python, "--python-platform", "x86_64-manylinux_2_28", "--extra", extra)
    found = resolved(tmp_path, "pip", "compile", "-q", "--no-header", "--no-annotate", *options, "pyproject.toml")
    assert needed <= set(found)
    assert not absent & set(found)
    unpinned = [
        f"{name}=={at}" for name, at in found.items() if not re.search(rf"^{name}=={re.escape(at)}\b", PINNED, re.M)
    ]
    assert unpinned == []


def test_plain_uv_sync_installs_no_cuda_and_all_extras_do(tmp_path: Path) -> None:
    export = ("export", "-q", "--no-hashes", "--no-emit-project", "--no-header", "--no-annotate")
    plain, everything = (resolved(tmp_path, *export, *extras) for extras in ((), ("--all-extras",)))
    assert "tensorflow" in plain
    assert [name for name in plain if name.startswith(("nvidia", "jax"))] == []
    assert {"nvidia-cudnn-cu12", "jax-cuda12-plugin"} <= set(everything)
