"""Between Ray's trials and the conductor's runs: runs become jobs, results become records."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.conductor import Conducts
from search.study import Resources
from trainables import records
from trainables.job import EPOCHS, FINAL, Final, Job

if TYPE_CHECKING:
    from search.journal import Run


@dataclass(frozen=True)
class Place:
    """Where runs are done.

    Args:
        folder: the study's folder, reachable from every node.
        resources: what one run takes.
        address: a cluster's address, or None for this machine.
        curves: a table to replay instead of training, or None.
        debug: let Ray's and TensorFlow's own messages through.
    """

    folder: Path
    resources: Resources
    address: str | None = None
    curves: Path | None = None
    debug: bool = False


class Bridge:
    """Translates between Ray's trials and the conductor's runs."""

    def __init__(self, conductor: Conducts, place: Place) -> None:
        self._conductor = conductor
        self._place = place

    def next_job(self) -> dict[str, Any] | None:
        """Return the next run as a worker needs it, None where there is none now."""
        run = self._conductor.next_run()
        return self._job(run).payload() if run else None

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return self._conductor.done

    def result(self, name: str, result: dict[str, Any]) -> bool:
        """Take in what a worker sent; return whether its run must stop."""
        stop = self._conductor.reported(name, result[EPOCHS]) if result.get(EPOCHS) else False
        if FINAL in result:
            self._conductor.ended(name, result[FINAL])
            self._forget_checkpoints(name)
        elif stop:
            self._conductor.ended(name, Final())
            self._forget_checkpoints(name)
        return stop

    def lost(self, name: str, reason: str) -> None:
        """Take in that a worker died for good."""
        self._conductor.ended(name, Final(records.FAILED, reason))
        self._forget_checkpoints(name)

    def _job(self, run: Run) -> Job:
        folder, resources = self._place.folder, self._place.resources
        return Job(
            run=run.name,
            phase=run.phase,
            condition=run.condition,
            method=run.method,
            k=run.k,
            seed=run.seed,
            config=run.config,
            stops=self._conductor.rungs(run),
            test=run.phase != records.SEARCH,
            checkpoints=str(folder / records.CHECKPOINTS / run.name),
            log=str(folder / records.LOGS / f"{run.name}.log"),
            checkpoint_seconds=resources.checkpoint_seconds,
            epoch_seconds=60 * resources.epoch_minutes,
            curves=str(self._place.curves or ""),
            model=self._model(run),
        )

    def _model(self, run: Run) -> str:
        return str(self._place.folder / "models" / f"{run.name}.keras") if run.phase == records.TRAIN else ""

    def _forget_checkpoints(self, name: str) -> None:
        shutil.rmtree(self._place.folder / records.CHECKPOINTS / name, ignore_errors=True)
