"""Provenance: the git commit, package versions, machine and data that a study is run with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.records import DataFacts, Facts, pack_labels

if TYPE_CHECKING:
    from trainables.data import Dataset

PACKAGES = ("assay", "ray", "tensorflow", "keras", "optuna", "numpy", "pandas", "mlflow", "scipy")

_SECONDS = 10.0
_NO_PROGRAMS = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}")
"""Git configuration that stops a repository from running its own programs."""


def working_commit(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a working folder, and whether its tracked files differ from it.

    Args:
        folder: any folder.

    Returns:
        `{commit, changed}`, or None if the folder is in no repository, has no commit yet, or git is missing or refuses
        to read it.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # otherwise the import fails where git is not installed
    from git import GitError, Repo

    try:
        with Repo(folder, search_parent_directories=True) as repo:
            repo.git.set_persistent_git_options(no_optional_locks=True, c=_NO_PROGRAMS)
            commit = repo.git.rev_parse("HEAD", verify=True, kill_after_timeout=_SECONDS)
            changed = not repo.bare and repo.git.status(
                porcelain=True, untracked_files="no", kill_after_timeout=_SECONDS
            )
    except (GitError, OSError, ValueError):
        return None
    return {"commit": commit, "changed": bool(changed)}


def facts_of(data: Dataset | None, replayed: Path | None = None) -> Facts:
    """Return the versions, machine, git commit and data of a study, or the table that it replays."""
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
