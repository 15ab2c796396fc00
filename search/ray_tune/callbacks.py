"""Ray Tune's searcher and scheduler, as thin as they can be: both ask the conductor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import ProgressReporter
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from trainables.worker.requests import FINAL

if TYPE_CHECKING:
    from search.ray_tune.dispatcher import Bridge


class JournalSearcher(Searcher):
    """Hands out runs until the study is done. Ray may pickle it, but nothing is restored from that."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(metric=None, mode=None)
        self._bridge = bridge
        self._runs: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next run's job, None to be asked again later, or FINISHED."""
        job = self._bridge.next_job()
        if job is None:
            return Searcher.FINISHED if self._bridge.done else None
        self._runs[trial_id] = job["run"]
        return job

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Hear that a worker died and is not revived; all other ends the scheduler hears first."""
        if error:
            self._bridge.lost(self._runs[trial_id])

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the truth."""


class NoReporter(ProgressReporter):
    """Says nothing: in a notebook Ray's own reporter would clear the cell."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Return that there is nothing to say."""
        return False


class JournalScheduler(FIFOScheduler):
    """Writes every result to the journal, and stops a run where the conductor says so."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Hear some epochs."""
        stop = self._bridge.result(trial.config["run"], result)
        return TrialScheduler.STOP if stop else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Hear the last epochs and the final figures."""
        if FINAL in result:
            self._bridge.result(trial.config["run"], result)
        else:
            self._bridge.lost(trial.config["run"])

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Hear that the worker died, whether it will be revived or not."""
        self._bridge.died(trial.config["run"], f"the worker process died: {_first_line(trial)}")


def _first_line(trial: Trial) -> str:
    """Return what Ray wrote about the last death: a line with its number, then the error."""
    path = Path(trial.error_file or "")
    text = path.read_text(errors="replace") if path.is_file() else ""
    lines = [line for line in text.rpartition("Failure # ")[2].splitlines()[1:] if line.strip()]
    return lines[0].strip()[:300] if lines else "no reason given"
