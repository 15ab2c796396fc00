"""Study controller: decides which run starts next. Depends on the journal only, not on Ray.

Its state is rebuilt from the journal, so starting, resuming, finishing and extending a study are the same operation.
Search runs come first, condition by condition and, within a condition, trial by trial over all arms. When the search
of a condition has ended, its best points are pooled and every arm is confirmed at each of them, seed by seed, so that
pairs are complete early. At each declared look but the last, arms about which every claim is decided get no more
seeds; with open seeds, almost every seed is such a look.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from search.orchestration.arm_search import ArmSearch
from search.orchestration.look_schedule import LookSchedule, Settle
from search.orchestration.pool_store import PoolStore
from search.orchestration.pooling import Trial
from search.orchestration.protocol import EpochMetrics
from search.plan.model import Arm, Plan, file_name
from search.store.journal import Journal
from trainables import records
from trainables.errors import InputError
from trainables.records import LookDecision, Outcome, PoolDecision, Run, RungDecision, TestPart
from trainables.records.files import is_file_name
from trainables.schedules import mean_of_last_epochs
from trainables.worker.requests import RunResult

if TYPE_CHECKING:
    import optuna


@dataclass
class RunState:
    """A run and what is known of it.

    Args:
        run: the run.
        curve: the selection metric by epoch, signed so that higher is better.
        outcome: how it ended, or None.
    """

    run: Run
    curve: dict[int, float] = field(default_factory=dict)
    outcome: Outcome | None = None


class Confirmation(NamedTuple):
    """A confirmation run of an arm at a pooled point with a seed."""

    arm: Arm
    point_index: int
    seed_index: int

    @property
    def name(self) -> str:
        """The run's name."""
        arm = self.arm
        return file_name(
            "confirm", arm.condition.name, arm.method, f"p{self.point_index:02d}", f"s{self.seed_index:03d}"
        )


class StudyController:
    """Controls a whole study (see `search.orchestration.protocol.RunSource`).

    Args:
        plan: what the study does.
        journal: what has been done, open for writing.
        settle: judges the study with that many seeds and returns the arms, as (condition, method), about which every
            claim is decided; needed where looks are declared.
    """

    def __init__(self, plan: Plan, journal: Journal, settle: Settle | None = None) -> None:
        self.plan = plan
        self.states: dict[str, RunState] = {}
        self._journal = journal
        self._arms = {arm.name: arm for arm in plan.arms}
        self._searches = {
            (arm.name, search): ArmSearch(plan, arm, search)
            for arm in plan.arms
            if arm.searched
            for search in range(plan.searches)
        }
        self._pools = PoolStore(plan, journal, self._completed)
        self._looks = LookSchedule(plan, journal, settle or (lambda _: set()))
        self._actions: dict[tuple[str, int], str] = {}
        self._interrupted: deque[str] = deque()
        self._running: set[str] = set()
        # What is still to be done, so that no run has to look at all the others.
        self._new_trials = self._unannounced_trials()
        self._open_trials: dict[str, set[str]] = {}
        self._new_confirmations: dict[str, deque[Confirmation]] = {}
        self._restore()

    # Restoring the state from the journal

    def _restore(self) -> None:
        for row in self._journal.runs():
            self._check_name(row.run)
            self.states[row.run.name] = RunState(row.run)
        for report in self._journal.reports():
            self.states[report.run].curve.setdefault(report.epoch, self._as_maximized(report.metrics))
        for ended in self._journal.outcomes():
            self.states[ended.run].outcome = ended.outcome
        for row in self._journal.decisions(RungDecision):
            state, decision = self.states[str(row.run)], row.decision
            self._actions[state.run.name, decision.rung] = decision.action
            self._search_of(state.run).rungs.values[decision.rung].append(decision.value)
        self._open_trials = {condition.name: self._unended_trials(condition.name) for condition in self.plan.conditions}
        for state in sorted(
            self.states.values(), key=lambda state: (state.run.phase != records.SEARCH, state.run.index)
        ):
            self._restore_run(state)

    def _check_name(self, run: Run) -> None:
        """Refuse a journal whose runs have other names than in the plan: they would be run again.

        Checkpoints and logs are called like the run, so its name must not lead to another folder either.
        """
        if not is_file_name(run.name):
            raise InputError(f"{self._journal.path} has a run `{run.name}`, which is not an Assay run name")
        arm = self._arms.get(run.arm)
        if arm is None:
            return
        if run.trial_index is not None:
            planned = _trial_name(arm, run.trial_index)
        elif run.point_index is not None:
            planned = Confirmation(arm, run.point_index, run.seed_index).name
        else:
            return
        if run.name != planned:
            raise InputError(
                f"the run `{run.name}` of {arm.name} was named by an older version, and would now be `{planned}`; "
                "continue this study with the version that started it. Reports, export and status still work with this "
                "version"
            )

    def _unended_trials(self, condition: str) -> set[str]:
        """Return the names of the planned trials of a condition that have not ended."""
        names = {
            _trial_name(arm, trial_index)
            for arm in self.plan.searched_in(condition)
            for trial_index in self.plan.trial_indices
        }
        return {name for name in names if name not in self.states or self.states[name].outcome is None}

    def _restore_run(self, state: RunState) -> None:
        run = state.run
        if state.outcome is None and self._was_stopped(state):
            self.ended(run.name, RunResult())
        if state.outcome is None:
            self._interrupted.append(run.name)
        if run.trial_index is None:
            return
        search, values = self._search_of(run), run.searched
        if state.outcome is None:
            search.reopen(run.trial_index, values, state.curve)
        else:
            search.add_ended(
                run.trial_index, values, state.outcome.outcome, state.curve, self._selection_value(state.outcome)
            )

    def _was_stopped(self, state: RunState) -> bool:
        """Return whether the journal contains the decision to stop a run, and its epochs so far, but not its end."""
        rungs = [rung for rung in self.rungs(state.run) if rung in state.curve]
        return any(self._actions.get((state.run.name, rung)) == records.STOP for rung in rungs)

    # Starting runs

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        if self._running or self._interrupted:
            return False
        self._look()
        return self._looks.is_last and self._all_announced()

    def next_run(self) -> Run | None:
        """Return a run to start, announced in the journal, or None if none can start now."""
        self._look()
        run = self._next_interrupted() or self._new_trial() or self._new_confirmation()
        if run:
            self._running.add(run.name)
        return run

    def _next_interrupted(self) -> Run | None:
        return self.states[self._interrupted.popleft()].run if self._interrupted else None

    def _new_trial(self) -> Run | None:
        announced = next(self._new_trials, None)
        return self._announce_trial(*announced) if announced else None

    def _unannounced_trials(self) -> Iterator[tuple[Arm, int]]:
        """Yield the trials that are not announced yet, in order."""
        for condition in self.plan.conditions:
            arms = self.plan.searched_in(condition.name)
            for trial_index, arm in product(self.plan.trial_indices, arms):
                if _trial_name(arm, trial_index) not in self.states:
                    yield arm, trial_index

    def _announce_trial(self, arm: Arm, trial_index: int) -> Run:
        search = self._searches[arm.name, self.plan.search_of_trial(trial_index)]
        values = search.propose(trial_index)
        config = self.plan.trial_config(arm, values, trial_index)
        return self._announce(
            Run(
                name=_trial_name(arm, trial_index),
                phase=records.SEARCH,
                condition=arm.condition.name,
                arm=arm.name,
                method=arm.method,
                trial_index=trial_index,
                point_index=None,
                seed_index=0,
                audit=search.is_audited(trial_index),
                config=config.model_dump(mode="json"),
                parameters=config.parameters(),
                searched=values,
            )
        )

    def _new_confirmation(self) -> Run | None:
        for condition in self.plan.conditions:
            if self._is_searched(condition.name) and self._missing(condition.name):
                return self._announce_confirmation(self._missing(condition.name).popleft())
        return None

    def _announce_confirmation(self, missing: Confirmation) -> Run:
        arm = missing.arm
        point = self._pools.decided_points(arm.condition.name)[missing.point_index]
        values = {**point.values, **point.own.get(arm.search_arm, {})}
        config = self.plan.run_config(arm, values, *self.plan.confirm_seeds(missing.seed_index))
        return self._announce(
            Run(
                name=missing.name,
                phase=records.CONFIRM,
                condition=arm.condition.name,
                arm=arm.name,
                method=arm.method,
                trial_index=None,
                point_index=missing.point_index,
                seed_index=missing.seed_index,
                audit=False,
                config=config.model_dump(mode="json"),
                parameters=config.parameters(),
                searched=values,
            )
        )

    def _announce(self, run: Run) -> Run:
        self._journal.add_runs([run])
        self.states[run.name] = RunState(run)
        return run

    def _missing(self, condition: str) -> deque[Confirmation]:
        """Return the confirmation runs of a searched condition, up to the next look, that are not announced yet."""
        if condition not in self._new_confirmations:
            self._new_confirmations[condition] = deque(self._unannounced_confirmations(condition))
        return self._new_confirmations[condition]

    def _unannounced_confirmations(self, condition: str) -> Iterator[Confirmation]:
        """Yield the confirmation runs of a condition that are not announced yet, pairs together."""
        arms = self.plan.in_condition(condition)
        limits = {arm.name: self._looks.seeds_of(arm) for arm in arms}
        for seed_index in range(self._looks.seeds):
            points = self._pools.decided_points(condition)
            running = [arm for arm in arms if seed_index < limits[arm.name]]
            for (point_index, point), arm in product(points.items(), running):
                confirmation = Confirmation(arm, point_index, seed_index)
                has_values = not self.plan.trials or arm.search_arm in point.own
                if has_values and confirmation.name not in self.states:
                    yield confirmation

    def _all_announced(self) -> bool:
        """Return whether every run up to the next look has been announced."""
        return all(
            self._is_searched(condition.name) and not self._missing(condition.name)
            for condition in self.plan.conditions
        )

    # Interim looks

    def _look(self) -> None:
        """Take the looks that are due: all runs up to them have ended."""
        while not self._looks.is_last and self._ended_up_to_look():
            self._looks.take()
            self._new_confirmations.clear()

    def _ended_up_to_look(self) -> bool:
        """Return whether every run up to the next look has been announced and has ended."""
        return not self._running and not self._interrupted and self._all_announced()

    # Results of the search

    def _is_searched(self, condition: str) -> bool:
        """Return whether all trials of a condition have ended."""
        return not self._open_trials[condition]

    def _completed(self, arm: Arm, search: int) -> list[Trial]:
        """Return the completed trials of one search of an arm."""
        first, shared = search * self.plan.trials, self.plan.designed
        return [
            Trial(trial_index, state.run.searched, value, shared=trial_index - first < shared)
            for trial_index in range(first, first + self.plan.trials)
            if (state := self.states.get(_trial_name(arm, trial_index)))
            if state.outcome and state.outcome.outcome == records.COMPLETED
            if (value := self._selection_value(state.outcome)) is not None
        ]

    @property
    def optuna_studies(self) -> list[optuna.Study]:
        """The Optuna studies of the arms."""
        return [search.study for search in self._searches.values()]

    @property
    def decisions(self) -> list[PoolDecision | LookDecision]:
        """The decisions about how many runs are confirmed: the pools in force, and the looks taken."""
        return [*self._pools.latest, *self._looks.taken]

    # Receiving results

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return the epochs after which a decision on the run is due."""
        return self._arms[run.arm].condition.rungs if run.phase == records.SEARCH else ()

    def data_set(self, run: Run) -> str:
        """Return the label of the run's data set; empty if the study has one only."""
        return self._arms[run.arm].condition.data

    def test_part(self, run: Run) -> TestPart | None:
        """Return what the run is tested on at its end: a search run is not tested."""
        return None if run.phase == records.SEARCH else self.plan.test_part

    def _search_of(self, run: Run) -> ArmSearch:
        return self._searches[run.arm, self.plan.search_of_trial(run.index)]

    def reported(self, name: str, rows: EpochMetrics) -> bool:
        """Record the metrics of epochs, decide at a rung, and return whether the run must stop."""
        state = self.states[name]
        fresh = [(epoch, metrics) for epoch, metrics in rows if epoch not in state.curve]
        self._journal.report(name, fresh)
        for epoch, metrics in fresh:
            state.curve[epoch] = self._as_maximized(metrics)
            if state.run.trial_index is not None:
                self._search_of(state.run).observe(state.run.trial_index, epoch, state.curve[epoch])
        return any(self._decide(state, epoch) == records.STOP for epoch, _ in rows if epoch in self.rungs(state.run))

    def _decide(self, state: RunState, rung: int) -> str:
        """Decide at a rung, once: a decision that the journal contains is not reversed."""
        key = (state.run.name, rung)
        if key not in self._actions:
            value = state.curve[rung]
            decision = self._search_of(state.run).at_rung(rung, value, state.run.index)
            self._journal.decide(decision, state.run.name)
            self._actions[key] = decision.action
        return self._actions[key]

    def ended(self, name: str, final: RunResult) -> None:
        """Record how a run ended; only its first end counts. A default `RunResult()` is a stop at a rung."""
        state = self.states[name]
        self._running.discard(name)
        if state.outcome:
            return
        run, metrics = state.run, dict(final.metrics)
        if final.outcome == records.COMPLETED:
            mean = mean_of_last_epochs(state.curve, int(run.config["epochs"]))
            metrics[records.SELECTION] = records.as_maximized(self.plan.study.metric, mean)
        elif final.outcome == records.DIVERGED and run.phase != records.SEARCH:
            metrics[records.SELECTION] = records.worst(self.plan.study.metric)
        epoch = max(state.curve, default=0) if final.epoch is None else final.epoch
        state.outcome = Outcome(final.outcome, epoch, final.reason, metrics)
        self._open_trials[run.condition].discard(name)
        self._journal.end(name, state.outcome, final.correct, final.loss)
        if run.trial_index is not None and run.trial_index in self._search_of(run).open_trials:
            self._search_of(run).finish(run.trial_index, final.outcome, self._selection_value(state.outcome))

    # The journal contains the metric itself; the controller, the arms' searches and the pool compare the metric signed
    # so that higher is better.

    def _as_maximized(self, metrics: dict[str, float]) -> float:
        """Return the selection metric of an epoch, signed so that higher is better."""
        return records.as_maximized(self.plan.study.metric, metrics[self.plan.study.metric])

    def _selection_value(self, outcome: Outcome) -> float | None:
        """Return the selection metric of a run, signed so that higher is better, or None."""
        value = outcome.metrics.get(records.SELECTION)
        return None if value is None else records.as_maximized(self.plan.study.metric, value)


def _trial_name(arm: Arm, trial_index: int) -> str:
    return file_name("search", arm.condition.name, arm.method, f"k{trial_index:03d}")
