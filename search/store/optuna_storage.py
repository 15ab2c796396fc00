"""Optuna storage: one Optuna study per arm in one SQLite file, derived from the journal.

`optuna-dashboard sqlite:///optuna.db` opens it. It is written when a study ends, not while it runs: a call to Optuna's
storage takes tens of milliseconds, and no decision depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import optuna

from trainables.records.atomic import atomic_file


def write_optuna_file(studies: Iterable[optuna.Study], path: Path) -> None:
    """Write Optuna studies to a new SQLite file, atomically; an existing file is replaced.

    Args:
        studies: one per arm.
        path: the file.
    """
    with atomic_file(path) as unfinished:
        storage = optuna.storages.RDBStorage(f"sqlite:///{unfinished}")
        try:
            for study in studies:
                copy = optuna.create_study(study_name=study.study_name, storage=storage, direction=study.direction)
                copy.add_trials(study.get_trials(deepcopy=False))
        finally:
            storage.engine.dispose()
