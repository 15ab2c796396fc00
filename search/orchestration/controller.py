"""Decides, run by run, what a study does next. Knows the journal, and nothing of Ray.

Everything is rebuilt from the journal: starting, resuming, finishing and extending a study are the same thing. Search
runs come first, condition by condition and, inside one, trial number by trial number over all arms; when a condition's
search has ended, its best points are pooled and every arm is confirmed at each of them, seed by seed, so that pairs
are complete early. At each declared look but the last, conditions in which everything is decided get no more seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol

from search.orchestration.arm_search import ArmSearch
from search.orchestration.pool_store import Pools
from search.orchestration.pooling import Trial
from search.plan.model import Arm, Plan, file_name
from search.store.journal import Journal, Outcome, Run
from trainables import records
from trainables.schedules import selection_epochs
from trainables.worker.requests import Final

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


Settle = Callable[[int], set[str]]


class Conductor:
    """Conducts a whole study.

    Args:
        plan: what it does.
        journal: what has been done, open for writing.
        settle: judges the study with so many seeds and returns the conditions in which everything is decided; needed
            where looks are declared.
    """

    def __init__(self, plan: Plan, journal: Journal, settle: Settle | None = None) -> None:
        self.plan = plan
        self._settle = settle or (lambda _: set())
        self.states: dict[str, RunState] = {}
        self._journal = journal
        self._arms = {arm.name: arm for arm in plan.arms}
        self._searches = {
            (arm.name, search): ArmSearch(plan, arm, search)
            for arm in plan.arms
            if arm.searched
            for search in range(plan.searches)
        }
        self._pools = Pools(plan, journal, self._completed)
        self._settled: dict[str, int] = {}
        self._looks_taken = 0
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
            self._search_of(state.run).rungs.values[detail["rung"]].append(detail["value"])
        for _, detail in self._journal.decisions(records.LOOK):
            self._take_look(detail)
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
        search, values = self._search_of(run), run.searched
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
        if self._running or self._again:
            return False
        self._look()
        return self._seeds == self.plan.study.confirm.seeds and all(
            self._searched(condition.name) and next(self._missing_confirmations(condition.name), None) is None
            for condition in self.plan.conditions
        )

    def next_run(self) -> Run | None:
        """Return a run to start, announced in the journal, or None if none can start now."""
        self._look()
        run = self._unfinished() or self._new_trial() or self._new_confirmation()
        if run:
            self._running.add(run.name)
        return run

    def _unfinished(self) -> Run | None:
        return self.states[self._again.pop(0)].run if self._again else None

    def _new_trial(self) -> Run | None:
        for condition in self.plan.conditions:
            for k in range(self.plan.trials * self.plan.searches):
                for arm in self.plan.searched_in(condition.name):
                    if self._trial_name(arm, k) not in self.states:
                        return self._announce_trial(arm, k)
        return None

    def _announce_trial(self, arm: Arm, k: int) -> Run:
        search = self._searches[arm.name, self.plan.search_of_trial(k)]
        values = search.propose(k)
        name = self._trial_name(arm, k)
        return self._announce(name, records.SEARCH, arm, k, 0, search.audited(k), values, self.plan.search_seeds(k))

    def _new_confirmation(self) -> Run | None:
        for condition in self.plan.conditions:
            if not self._searched(condition.name):
                continue
            missing = next(self._missing_confirmations(condition.name), None)
            if missing:
                arm, number, s = missing
                point = self._pools.points(condition.name)[number]
                values = {**point.values, **point.own.get(arm.same_as or arm.name, {})}
                name = self._confirmation_name(arm, number, s)
                seeds = self.plan.confirm_seeds(s)
                return self._announce(name, records.CONFIRM, arm, number, s, False, values, seeds)
        return None

    def _missing_confirmations(self, condition: str) -> Iterator[tuple[Arm, int, int]]:
        """Yield (arm, point, seed) of the confirmation runs that are not announced, pairs together."""
        arms = self.plan.in_condition(condition)
        for s in range(self._settled.get(condition, self._seeds)):
            for number, point in self._pools.points(condition).items():
                for arm in arms:
                    known = not self.plan.trials or (arm.same_as or arm.name) in point.own
                    if known and self._confirmation_name(arm, number, s) not in self.states:
                        yield arm, number, s

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

    # Looks

    @property
    def _seeds(self) -> int:
        """Confirmation seeds up to the next look."""
        stages = self.plan.study.confirm.stages
        return stages[min(self._looks_taken, len(stages) - 1)]

    def _look(self) -> None:
        """Judge once all runs up to a look have ended, and let conditions rest in which everything is decided."""
        stages = self.plan.study.confirm.stages
        while self._looks_taken < len(stages) - 1 and self._ended_up_to_look():
            seeds = self._seeds
            settled = self._settle(seeds)
            ordered = [condition.name for condition in self.plan.conditions if condition.name in settled]
            detail = {"look": self._looks_taken, "seeds": seeds, "settled": ordered}
            self._journal.decide(records.LOOK, detail)
            self._take_look(detail)

    def _take_look(self, detail: dict[str, Any]) -> None:
        self._looks_taken = detail["look"] + 1
        for condition in detail["settled"]:
            self._settled.setdefault(condition, detail["seeds"])

    def _ended_up_to_look(self) -> bool:
        """Return whether every run up to the next look has been announced and has ended."""
        return all(
            self._searched(condition.name) and next(self._missing_confirmations(condition.name), None) is None
            for condition in self.plan.conditions
        ) and all(state.outcome for state in self.states.values())

    # What the search has given

    def _searched(self, condition: str) -> bool:
        """Return whether all trials of a condition have ended."""
        return all(
            state and state.outcome
            for arm in self.plan.searched_in(condition)
            for state in self._trials(arm, range(self.plan.trials * self.plan.searches))
        )

    def _trials(self, arm: Arm, ks: range) -> list[RunState | None]:
        return [self.states.get(self._trial_name(arm, k)) for k in ks]

    def _completed(self, arm: Arm, search: int) -> list[Trial]:
        ks = range(search * self.plan.trials, (search + 1) * self.plan.trials)
        return [
            Trial(state.run.k, state.run.searched, value)
            for state in self._trials(arm, ks)
            if state and state.outcome and state.outcome.outcome == records.COMPLETED
            if (value := self._selected(state.outcome)) is not None
        ]

    @property
    def optuna_studies(self) -> list[optuna.Study]:
        """The arms' Optuna studies."""
        return [search.study for search in self._searches.values()]

    @property
    def confirmations(self) -> dict[str, tuple[int, int]]:
        """How many points are confirmed with how many seeds, by condition, as far as that is decided."""
        seeds = self.plan.study.confirm.seeds
        counts = self._pools.counts
        return {condition: (count, self._settled.get(condition, seeds)) for condition, count in counts.items()}

    # Hearing

    def rungs(self, run: Run) -> tuple[int, ...]:
        """Return the epochs after which a decision on the run is due."""
        return self._arms[run.arm].condition.rungs if run.phase == records.SEARCH else ()

    def _search_of(self, run: Run) -> ArmSearch:
        return self._searches[run.arm, self.plan.search_of_trial(run.k)]

    def reported(self, name: str, rows: Rows) -> bool:
        """Write epochs down, decide at a rung, and return whether the run must stop."""
        state = self.states[name]
        fresh = [(epoch, metrics) for epoch, metrics in rows if epoch not in state.curve]
        self._journal.report(name, fresh)
        for epoch, metrics in fresh:
            state.curve[epoch] = self._judged(metrics)
            if state.run.phase == records.SEARCH:
                self._search_of(state.run).observe(state.run.k, epoch, state.curve[epoch])
        return any(self._decide(state, epoch) == records.STOP for epoch, _ in rows if epoch in self.rungs(state.run))

    def _decide(self, state: RunState, rung: int) -> str:
        """Decide at a rung, once: what the journal holds is not reversed."""
        key = (state.run.name, rung)
        if key not in self._decided:
            search = self._search_of(state.run)
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
        if run.phase == records.SEARCH and run.k in self._search_of(run).open_trials:
            self._search_of(run).finish(run.k, final.outcome, self._selected(state.outcome))

    def _selection(self, state: RunState) -> float:
        """Return what a run is judged on: the mean validation metric of its last epochs, never the best one."""
        last = selection_epochs(self._arms[state.run.arm].epochs)
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
