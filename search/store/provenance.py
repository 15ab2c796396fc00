"""Provenance: the git commit, package versions, machine and data that a study is run with."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.records import DataFacts, Facts, pack_labels

if TYPE_CHECKING:
    from trainables.data import Dataset

PACKAGES = ("assay", "ray", "tensorflow", "keras", "optuna", "numpy", "pandas", "mlflow", "scipy")

_SECONDS = 10.0
_NO_PROGRAMS = (("core.fsmonitor", "false"), ("core.hooksPath", os.devnull))
"""Git configuration that stops a repository from running its own programs."""
_NO_FILTER = (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
_NO_TRANSPORT = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "", "GIT_TERMINAL_PROMPT": "0"}
"""Variables that stop git from fetching objects that a partial clone lacks, by a command of its configuration."""


def _as_environment(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the variables that set git's configuration; unlike `git -c` they take names that contain `=`.

    Settings that the user has made by such variables stay.
    """
    numbered = list(enumerate(settings, int(os.environ.get("GIT_CONFIG_COUNT") or 0)))
    keys = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in numbered}
    values = {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in numbered}
    return {"GIT_CONFIG_COUNT": str(numbered[-1][0] + 1), **keys, **values}


def _without_filters(names: str) -> list[tuple[str, str]]:
    """Return settings without filters, given all names of git's configuration, each ended by NUL."""
    found = {name.rpartition(".")[0] for name in names.split("\0") if name.startswith("filter.")}
    return [(f"{driver}.{key}", value) for driver in sorted(found) for key, value in _NO_FILTER]


def working_commit(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a working folder, and whether its tracked files differ from it.

    No program that the repository configures runs: no hook, file system monitor, filter or transport. Submodules,
    which have a configuration of their own, are not looked into. A file whose content a filter changes (as Git LFS
    does) counts as changed once its time stamp differs from the index.

    Args:
        folder: any folder.

    Returns:
        `{commit, changed}`, or None if the folder is not in a repository, has no commit yet, or git is missing or
        refuses to read it.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # otherwise the import fails where git is not installed
    from git import GitError, Repo

    try:
        with Repo(folder, search_parent_directories=True) as repo:
            repo.git.set_persistent_git_options(no_optional_locks=True)
            repo.git.update_environment(**_NO_TRANSPORT, **_as_environment(_NO_PROGRAMS))
            names = repo.git.config(list=True, name_only=True, null=True, kill_after_timeout=_SECONDS)
            repo.git.update_environment(**_as_environment([*_NO_PROGRAMS, *_without_filters(names)]))
            commit = repo.git.rev_parse("HEAD", verify=True, kill_after_timeout=_SECONDS)
            changed = not repo.bare and repo.git.status(
                porcelain=True, untracked_files="no", ignore_submodules="all", kill_after_timeout=_SECONDS
            )
    except (GitError, OSError, ValueError):
        return None
    return {"commit": commit, "changed": bool(changed)}


def facts_of(data: Mapping[str, Dataset], replayed: Path | None = None) -> Facts:
    """Return the versions, machine, git commit and data of a study, or the table that it replays.

    Args:
        data: the data sets by label; a single one has no label. Empty in a replay.
        replayed: path of the table.
    """
    found = {label: _data_facts(each) for label, each in data.items()}
    return Facts(
        versions={"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        machine={"system": platform.system(), "processor": platform.machine(), "cpus": os.cpu_count()},
        git=working_commit(Path.cwd()),
        data=found.pop("", None),
        data_sets=found,
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
