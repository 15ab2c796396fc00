"""The git commit of the folder that somebody works in."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

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
