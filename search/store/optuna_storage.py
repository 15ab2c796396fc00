"""Optuna's view of a study: one Optuna study for each arm in one SQLite file, derived from the journal.

`optuna-dashboard sqlite:///optuna.db` opens it. It is written when a study ends, not while it runs: Optuna's own
storage takes tens of milliseconds for each call, and nothing is decided from it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import optuna


def write_optuna_file(studies: Iterable[optuna.Study], path: Path) -> None:
    """Write Optuna studies to a new SQLite file, whole or not at all; an older file is replaced.

    Args:
        studies: one for each arm.
        path: the file.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{unfinished}")
    try:
        for study in studies:
            copy = optuna.create_study(study_name=study.study_name, storage=storage, direction=study.direction)
            copy.add_trials(study.get_trials(deepcopy=False))
    finally:
        storage.engine.dispose()
    unfinished.replace(path)
