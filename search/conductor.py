"""Decides, run by run, what a study does next. Knows the journal, and nothing of Ray.

Everything is rebuilt from the journal: starting, resuming and finishing a study are the same thing. Search runs
come first, condition by condition and, inside one, trial number by trial number over all arms; when a condition's
search has ended, its best points are pooled and every arm is confirmed at each of them, seed by seed, so that pairs
are complete early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from search.arms import ArmSearch
from search.confirm import PooledPoint, Trial, best, pool
from search.journal import Journal, Outcome, Run
from search.plan import Arm, Plan, file_name
from trainables import records
from trainables.job import Final

if TYPE_CHECKING:
    import optuna

Rows = list[tuple[int, dict[str, float]]]


@dataclass
class RunState:
    """A run and what is known of it; `curve` holds the selection metric by epoch, so that more is better."""

    run: Run
    curve: dict[int, float] = field(default_factory=dict)
    outcome: Outcome | None = None


class Conducts(Protocol):
    """What the launcher needs: it hands runs out and hears what became of them."""

    def next_run(self) -> Run | None:
        """Return a run to start, or None if none can start now."""
        ...

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        ...

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return the epochs after which a decision on the run is due."""
        ...

    def reported(self, name: str, rows: Rows) -> bool:
        """Take in epochs; return whether the run must stop."""
        ...

    def ended(self, name: str, final: Final) -> None:
        """Take in how a run ended."""
        ...


class Conductor:
    """Conducts a whole study.

    Args:
        plan: what it does.
        journal: what has been done, open for writing.
    """

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan = plan
        self.states: dict[str, RunState] = {}
        self._journal = journal
        self._arms = {arm.name: arm for arm in plan.arms}
        self._searches = {arm.name: ArmSearch(plan, arm) for arm in plan.arms}
        self._pools: dict[str, list[PooledPoint]] = {}
        self._decided: dict[tuple[str, int], str] = {}
        self._again: list[str] = []
        self._running: set[str] = set()
        self._recall()

    # Rebuilding from the journal

    def _recall(self) -> None:
        for _, run in self._journal.runs():
            self.states[run.name] = RunState(run)
        for _, name, epoch, metrics, _ in self._journal.reports():
            self.states[name].curve.setdefault(epoch, self._judged(metrics))
        for _, name, outcome, _ in self._journal.outcomes():
            self.states[name].outcome = outcome
        for name, detail in self._journal.decisions(records.RUNG):
            state = self.states[str(name)]
            self._decided[state.run.name, detail["rung"]] = detail["action"]
            self._searches[state.run.arm].rungs.values[detail["rung"]].append(detail["value"])
        for _, detail in self._journal.decisions(records.POOL):
            self._pools[detail["condition"]] = [PooledPoint(**point) for point in detail["points"]]
        for state in sorted(self.states.values(), key=lambda state: (state.run.phase != records.SEARCH, state.run.k)):
            self._recall_run(state)

    def _recall_run(self, state: RunState) -> None:
        run = state.run
        if state.outcome is None and self._stopped_before(run):
            self.ended(run.name, Final())
        if state.outcome is None:
            self._again.append(run.name)
        if run.phase != records.SEARCH:
            return
        search, values = self._searches[run.arm], run.searched
        if state.outcome is None:
            search.recall(run.k, values)
        else:
            value = self._selected(state.outcome)
            search.remember(values, state.outcome.outcome, state.curve, value)

    def _stopped_before(self, run: Run) -> bool:
        """Return whether the journal holds the decision to stop a run whose end it does not hold."""
        return any(name == run.name and action == records.STOP for (name, _), action in self._decided.items())

    # Handing out

    @property
    def done(self) -> bool:
        """Whether every run has ended."""
        return not self._running and not self._again and all(self._finished(c.name) for c in self.plan.conditions)

    def _finished(self, condition: str) -> bool:
        return self._searched(condition) and next(self._missing_confirmations(condition), None) is None

    def next_run(self) -> Run | None:
        """Return a run to start, announced in the journal, or None if none can start now."""
        run = self._unfinished() or self._new_trial() or self._new_confirmation()
        if run:
            self._running.add(run.name)
        return run

    def _unfinished(self) -> Run | None:
        return self.states[self._again.pop(0)].run if self._again else None

    def _new_trial(self) -> Run | None:
        for condition in self.plan.conditions:
            for k in range(self.plan.trials):
                for arm in self.plan.in_condition(condition.name):
                    if self._trial_name(arm, k) not in self.states:
                        return self._announce_trial(arm, k)
        return None

    def _announce_trial(self, arm: Arm, k: int) -> Run:
        search = self._searches[arm.name]
        values = search.propose(k)
        name = self._trial_name(arm, k)
        return self._announce(name, records.SEARCH, arm, k, 0, search.audited(k), values, self.plan.search_seeds(k))

    def _new_confirmation(self) -> Run | None:
        for condition in self.plan.conditions:
            if not self._searched(condition.name):
                continue
            missing = next(self._missing_confirmations(condition.name), None)
            if missing:
                arm, point, s = missing
                values = {**self._pool(condition.name)[point].values, **self._own_values(arm)}
                name = self._confirmation_name(arm, point, s)
                seeds = self.plan.confirm_seeds(s)
                return self._announce(name, records.CONFIRM, arm, point, s, False, values, seeds)
        return None

    def _missing_confirmations(self, condition: str) -> Iterator[tuple[Arm, int, int]]:
        """Yield (arm, point, seed) of the confirmation runs that are not announced, pairs together."""
        arms = [arm for arm in self.plan.in_condition(condition) if self._confirmable(arm)]
        for s in range(self.plan.study.confirm.seeds):
            for point in range(len(self._pool(condition))):
                for arm in arms:
                    if self._confirmation_name(arm, point, s) not in self.states:
                        yield arm, point, s

    def _announce(
        self,
        name: str,
        phase: str,
        arm: Arm,
        k: int,
        s: int,
        audit: bool,
        values: dict[str, Any],
        seeds: tuple[int, int],
    ) -> Run:
        config = self.plan.run_config(arm, values, *seeds)
        run = Run(
            name=name,
            phase=phase,
            condition=arm.condition.name,
            arm=arm.name,
            method=arm.method,
            k=k,
            seed=s,
            audit=audit,
            config=config.model_dump(mode="json"),
            parameters=config.parameters(),
            searched=values,
        )
        self._journal.add_runs([run])
        self.states[name] = RunState(run)
        return run

    def _trial_name(self, arm: Arm, k: int) -> str:
        return file_name("search", arm.condition.name, arm.method, f"k{k:03d}")

    def _confirmation_name(self, arm: Arm, point: int, s: int) -> str:
        return file_name("confirm", arm.condition.name, arm.method, f"p{point:02d}", f"s{s:03d}")

    # The pool

    def _searched(self, condition: str) -> bool:
        """Return whether all trials of a condition have ended."""
        arms = self.plan.in_condition(condition)
        states = [self.states.get(self._trial_name(arm, k)) for arm in arms for k in range(self.plan.trials)]
        return all(state and state.outcome for state in states)

    def _completed(self, arm: Arm) -> list[Trial]:
        found = (self.states.get(self._trial_name(arm, k)) for k in range(self.plan.trials))
        return [
            Trial(state.run.k, state.run.searched, value)
            for state in found
            if state and state.outcome and state.outcome.outcome == records.COMPLETED
            if (value := self._selected(state.outcome)) is not None
        ]

    def _confirmable(self, arm: Arm) -> bool:
        """Return whether the arm has anything to confirm: an arm whose every trial failed has not."""
        return self.plan.trials == 0 or bool(self._completed(arm))

    def _own_values(self, arm: Arm) -> dict[str, Any]:
        """Return the method's hyperparameters in the arm's best trial."""
        completed = self._completed(arm)
        return {name: best(completed).values[name] for name in arm.space} if completed else {}

    def _pool(self, condition: str) -> list[PooledPoint]:
        """Return the pooled points of a condition, decided once."""
        if condition not in self._pools:
            arms = self.plan.in_condition(condition)
            trials = {arm.name: self._completed(arm) for arm in arms}
            points = pool(trials, self.plan.nuisance, self.plan.points)
            if self.plan.trials == 0:
                points = [PooledPoint(arms[0].name, 0, len(arms), {})]
            detail = {"condition": condition, "points": [vars(point) for point in points]}
            self._journal.decide(records.POOL, detail)
            self._pools[condition] = points
        return self._pools[condition]

    @property
    def optuna_studies(self) -> list[optuna.Study]:
        """The arms' Optuna studies."""
        return [search.study for search in self._searches.values()]

    @property
    def pooled(self) -> dict[str, int]:
        """How many points are confirmed, by condition, as far as that is decided."""
        return {condition: len(points) for condition, points in list(self._pools.items())}

    # Hearing

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return the epochs after which a decision on the run is due."""
        return self._arms[run.arm].condition.rungs if run.phase == records.SEARCH else ()

    def reported(self, name: str, rows: Rows) -> bool:
        """Write epochs down, decide at a rung, and return whether the run must stop."""
        state = self.states[name]
        fresh = [(epoch, metrics) for epoch, metrics in rows if epoch not in state.curve]
        self._journal.report(name, fresh)
        for epoch, metrics in fresh:
            state.curve[epoch] = self._judged(metrics)
            if state.run.phase == records.SEARCH:
                self._searches[state.run.arm].observe(state.run.k, epoch, state.curve[epoch])
        return any(self._decide(state, epoch) == records.STOP for epoch, _ in rows if epoch in self.rungs(state.run))

    def _decide(self, state: RunState, rung: int) -> str:
        """Decide at a rung, once: what the journal holds is not reversed."""
        key = (state.run.name, rung)
        if key not in self._decided:
            search = self._searches[state.run.arm]
            value = state.curve[rung]
            action, cutoff = search.at_rung(rung, value, state.run.k)
            detail = {"rung": rung, "value": value, "cutoff": cutoff, "action": action}
            self._journal.decide(records.RUNG, detail, state.run.name)
            self._decided[key] = action
        return self._decided[key]

    def ended(self, name: str, final: Final) -> None:
        """Write down how a run ended; only the first end counts. A plain `Final()` is a stop at a rung."""
        state = self.states[name]
        self._running.discard(name)
        if state.outcome:
            return
        run, metrics = state.run, dict(final.metrics)
        if final.outcome == records.COMPLETED:
            metrics[records.SELECTION] = self._selection(state)
        elif final.outcome == records.DIVERGED and run.phase != records.SEARCH:
            metrics[records.SELECTION] = records.worst(self.plan.study.metric)
        epoch = max(state.curve, default=0) if final.epoch is None else final.epoch
        state.outcome = Outcome(final.outcome, epoch, final.reason, metrics)
        self._journal.end(name, state.outcome, final.correct, final.loss)
        if run.phase == records.SEARCH and run.k in self._searches[run.arm].open_trials:
            self._searches[run.arm].finish(run.k, final.outcome, self._selected(state.outcome))

    def _selection(self, state: RunState) -> float:
        """Return what a run is judged on: the mean validation metric of its last epochs, never the best one."""
        last = self._arms[state.run.arm].condition.selection_epochs
        mean = fmean(state.curve[epoch] for epoch in sorted(state.curve)[-last:])
        return records.oriented(self.plan.study.metric, mean)

    # What is written down is the metric itself; what is compared here, in the arms' searches and in the pool is
    # the metric turned so that more is better.

    def _judged(self, metrics: dict[str, float]) -> float:
        """Return the selection metric of an epoch, so that more is better."""
        return records.oriented(self.plan.study.metric, metrics[self.plan.study.metric])

    def _selected(self, outcome: Outcome) -> float | None:
        """Return what a run is judged on, so that more is better, or None."""
        value = outcome.metrics.get(records.SELECTION)
        return None if value is None else records.oriented(self.plan.study.metric, value)
