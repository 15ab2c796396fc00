"""Optuna storage: one Optuna study per arm in one SQLite file, derived from the journal.

`optuna-dashboard sqlite:///optuna.db` opens it, also while the study runs. No decision depends on it: a call to
Optuna's storage takes ten milliseconds and more, so the controller keeps its Optuna studies in memory, and their ended
trials are copied to the file from the thread of the progress display.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.store.sqlite_uri import sqlite_uri
from trainables.records.atomic import PRIVATE

TRIAL = "trial"
"""Attribute of an Optuna trial: its index in the arm."""
_COUNT = "trials"
"""Attribute of an Optuna study in the file: the number of its trials, without which all of them would be loaded."""
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class OptunaFile:
    """The file of a study, to which ended trials are added. It may fail: the error is kept, and nothing is raised.

    Args:
        path: the file; one that exists is continued, or rewritten if it cannot be.
    """

    def __init__(self, path: Path) -> None:
        self.error = ""
        self._path = path
        self._lock = threading.Lock()
        self._storage: optuna.storages.RDBStorage | None = None
        self._written: dict[str, set[int]] = {}

    def update(self, studies: Iterable[optuna.Study]) -> None:
        """Add the trials that have ended since the last time.

        Args:
            studies: one per arm.
        """
        with self._lock:
            if self.error:
                return
            try:
                for study in studies:
                    self._add(study)
            except Exception as error:  # SQLAlchemy, Optuna, a full disk
                self.error = f"{type(error).__name__}: {error}".strip().splitlines()[0]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._storage is not None:
                self._storage.engine.dispose()
            self._storage = None

    def _add(self, study: optuna.Study) -> None:
        known = self._written.get(study.study_name)
        ended = study.get_trials(deepcopy=False, states=_ENDED)
        if known is not None and len(known) == len(ended):
            return
        storage = self._open()
        copy = optuna.create_study(
            study_name=study.study_name, storage=storage, direction=study.direction, load_if_exists=True
        )
        if known is None and copy.user_attrs.get(_COUNT) == len(ended):
            known = {_index(trial) for trial in ended}
        if known is None:
            copy.set_user_attr(_COUNT, 0)
            known = {_index(trial) for trial in copy.get_trials(deepcopy=False)}
        for trial in ended:
            if _index(trial) not in known:
                copy.add_trial(trial)
                known.add(_index(trial))
        if copy.user_attrs[_COUNT] != len(known):
            copy.set_user_attr(_COUNT, len(known))
        self._written[study.study_name] = known

    def _open(self) -> optuna.storages.RDBStorage:
        if self._storage is None:
            for unfinished in self._path.parent.glob(f".{self._path.name}.*"):  # of an older version that was killed
                unfinished.unlink(missing_ok=True)
            try:
                self._storage = _storage(self._path)
                if not all(_COUNT in study.user_attrs for study in self._storage.get_all_studies()):
                    raise ValueError("trials are not numbered")
            except Exception:  # damaged, or of a version that did not number its trials: derived data, rewritten
                self._path.unlink(missing_ok=True)
                self._storage = _storage(self._path)
        return self._storage


def _storage(path: Path) -> optuna.storages.RDBStorage:
    with suppress(OSError):
        path.touch(PRIVATE)
    return optuna.storages.RDBStorage(sqlite_uri(path))


def _index(trial: FrozenTrial) -> int:
    return trial.user_attrs[TRIAL]
