"""One arm's search: its points, its own Optuna study, its own rungs."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from search.orchestration.successive_halving import Rungs
from search.plan.model import Arm, Plan
from spaces.design import random_points, sobol_points
from trainables.randomness import derive_seed
from trainables.records import COMPLETED, STOPPED, Action

optuna.logging.set_verbosity(optuna.logging.ERROR)


class ArmSearch:
    """Proposes the trials of one arm and hears what became of them.

    Trial k of every arm has the same nuisance point; the method's own hyperparameters come from a stream of their
    own. With `tpe`, Optuna proposes the second half. What Optuna is told is what happened: COMPLETE with the judged
    value, PRUNED with the values so far, or FAIL.

    Args:
        plan: the study's plan.
        arm: the arm.
        search: number of the search, from 0; each has points and an Optuna study of its own.
    """

    def __init__(self, plan: Plan, arm: Arm, search: int = 0) -> None:
        self.arm = arm
        self._first = search * plan.trials
        self.rungs = Rungs(plan.study.search.reduction_factor)
        self._audit = plan.study.search.audit
        self._space = {**plan.nuisance, **arm.space}
        self._design = _design(plan, arm, search)
        seed = derive_seed(plan.study.seed, "sampler", arm.name, *_mark(search))
        self._optuna = optuna.create_study(
            study_name=f"{arm.name}, search {search + 1}" if plan.searches > 1 else arm.name,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True),
        )
        self.open_trials: dict[int, optuna.trial.Trial] = {}

    def audited(self, k: int) -> bool:
        """Return whether trial k runs to the end whatever the rungs say: the same trials in every arm."""
        return k - self._first < self._audit

    def propose(self, k: int) -> dict[str, Any]:
        """Return the nuisance and method values of trial k; trials are asked for in order."""
        if k - self._first < len(self._design):
            self._optuna.enqueue_trial(self._design[k - self._first])
        self.open_trials[k] = self._optuna.ask(self._space)
        return dict(self.open_trials[k].params)

    def recall(self, k: int, values: dict[str, Any]) -> None:
        """Take up trial k again, which the journal holds unfinished."""
        self._optuna.enqueue_trial(values)
        self.open_trials[k] = self._optuna.ask(self._space)

    def remember(self, values: dict[str, Any], outcome: str, curve: dict[int, float], value: float | None) -> None:
        """Take over an ended trial from the journal."""
        state = _state(outcome, value)
        self._optuna.add_trial(
            create_trial(
                state=state,
                params=values,
                distributions=self._space,
                intermediate_values=curve,
                value=None if state is TrialState.FAIL else _told(value, curve),
            )
        )

    def observe(self, k: int, epoch: int, value: float) -> None:
        """Report an epoch of trial k."""
        self.open_trials[k].report(value, epoch)

    def at_rung(self, rung: int, value: float, k: int) -> tuple[Action, float | None]:
        """Decide what happens to trial k at a rung (see `Rungs.decide`)."""
        return self.rungs.decide(rung, value, self.audited(k))

    def finish(self, k: int, outcome: str, value: float | None) -> None:
        """Tell Optuna how trial k ended."""
        trial = self.open_trials.pop(k)
        state = _state(outcome, value)
        if state is TrialState.COMPLETE:
            self._optuna.tell(trial, _told(value, {}), state=state)
        else:
            self._optuna.tell(trial, state=state)

    @property
    def study(self) -> optuna.Study:
        """The arm's Optuna study."""
        return self._optuna


def _mark(search: int) -> tuple[int, ...]:
    """Return what sets the streams of a search apart; the first one has none."""
    return (search,) if search else ()


def _design(plan: Plan, arm: Arm, number: int) -> list[dict[str, Any]]:
    """Return the points that are fixed beforehand: all of them, or with `tpe` the first half."""
    search = plan.study.search
    points = sobol_points if search.sampler != "random" else random_points
    shared = points(plan.nuisance, plan.designed, derive_seed(plan.study.seed, "nuisance", *_mark(number)))
    own = points(arm.space, plan.designed, derive_seed(plan.study.seed, "method", arm.method, *_mark(number)))
    return [{**nuisance, **method} for nuisance, method in zip(shared, own, strict=True)]


def _state(outcome: str, value: float | None) -> TrialState:
    if outcome == COMPLETED and value is not None:
        return TrialState.COMPLETE
    return TrialState.PRUNED if outcome == STOPPED else TrialState.FAIL


def _told(value: float | None, curve: dict[int, float]) -> float | None:
    if value is not None and math.isfinite(value):
        return value
    return curve[max(curve)] if curve else None
