"""The git commit of the folder that somebody works in."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.records import DataFacts, Facts, pack_labels

if TYPE_CHECKING:
    from trainables.data import Dataset

PACKAGES = ("assay", "ray", "tensorflow", "keras", "optuna", "numpy", "pandas", "mlflow", "scipy")

_SECONDS = 10.0


def working_commit(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a working folder, and whether its tracked files differ from it.

    Args:
        folder: any folder.

    Returns:
        `{commit, changed}`, or None if the folder is in no repository, has no commit yet, or git is not there.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return None
    return {"commit": commit, "changed": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def facts_of(data: Dataset | None, replayed: Path | None = None) -> Facts:
    """Return what runs are done with: versions, machine, git commit and data, or the table that is replayed."""
    return Facts(
        versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        machine={"system": platform.system(), "processor": platform.machine(), "cpus": os.cpu_count()},
        git=working_commit(Path.cwd()),
        data=data and _data_facts(data),
        replayed=str(replayed) if replayed else None,
    )


def _data_facts(data: Dataset) -> DataFacts:
    return DataFacts(
        fingerprint=data.fingerprint,
        class_names=tuple(data.class_names),
        image_shape=tuple(data.images.shape[1:]),
        images=len(data.images),
        test_images=len(data.test_images),
        brings=tuple(part for part in ("groups", "validation") if getattr(data, part) is not None),
        test_labels=pack_labels(data.test_labels),
    )
