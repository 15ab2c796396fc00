"""Ray Tune searcher, scheduler and reporter: thin adapters that delegate every decision to the run dispatcher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune import ProgressReporter
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.ray_tune.dispatcher import Reply
from search.ray_tune.newcomers import unfit_node
from trainables.worker.requests import FINAL, IDLE

if TYPE_CHECKING:
    from search.ray_tune.dispatcher import RunDispatcher


class JournalSearcher(Searcher):
    """Searcher that suggests the controller's runs. Ray may pickle it, but nothing is restored from that."""

    def __init__(self, dispatcher: RunDispatcher) -> None:
        super().__init__(metric=None, mode=None)
        self._dispatcher = dispatcher
        self._runs: dict[str, str] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Return the next run's request, None if no run can start now, or FINISHED."""
        request = self._dispatcher.next_request()
        if request is None:
            return Searcher.FINISHED if self._dispatcher.done else None
        self._runs[trial_id] = request["run"]
        return request

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Handle a worker that died and will not be restarted; the scheduler handles all other endings."""
        if error:
            self._dispatcher.run_lost(self._runs[trial_id])

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal contains all state."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal contains all state."""


class NoReporter(ProgressReporter):
    """Reporter that prints nothing: Ray's own reporter would clear a notebook's cell."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Return False."""
        return False


class JournalScheduler(FIFOScheduler):
    """Scheduler that passes every result to the dispatcher and stops runs on its decision."""

    def __init__(self, dispatcher: RunDispatcher) -> None:
        super().__init__()
        self._dispatcher = dispatcher
        self._added: dict[str, int] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Note the order in which trials are added."""
        self._added[trial.trial_id] = len(self._added)

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the pending trial that was added last.

        A free worker takes the trial that is returned, and Ray ends the worker that was starting for it. Ray's own
        choice is the first one, whose worker is the closest to its start; and it looks at all trials, also ended ones.
        """
        pending = [trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING]
        return max(pending, key=lambda trial: self._added[trial.trial_id], default=None)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Handle the metrics of one or more epochs, the end of a run, or a worker without a run."""
        reply = self._dispatcher.handle_result(trial.config["run"], result)
        if reply is Reply.WAIT and not {FINAL, IDLE} & result.keys():  # the worker does not know that its run has ended
            actor: Any = trial.temporary_state.ray_actor
            actor.end_run.remote()
        return TrialScheduler.STOP if reply is Reply.FREE else TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Handle a trial that ended by itself: a worker waits until the dispatcher stops it."""
        self._dispatcher.worker_died(trial.config["run"], "the run ended without a result")
        self._dispatcher.run_lost(trial.config["run"])

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Handle a worker that died, whether or not it will be restarted."""
        run, lines = trial.config["run"], _last_failure(trial)
        if unfit := unfit_node("\n".join(lines)):
            self._dispatcher.node_unfit(run, *unfit)
        else:
            reason = lines[0].strip()[:300] if lines else "no reason given"
            self._dispatcher.worker_died(run, f"the worker process died: {reason}")


def _last_failure(trial: Trial) -> list[str]:
    """Return the lines of the error that Ray wrote after the number of the last failure."""
    path = Path(trial.error_file or "")
    text = path.read_text(errors="replace") if path.is_file() else ""
    return [line for line in text.rpartition("Failure # ")[2].splitlines()[1:] if line.strip()]
