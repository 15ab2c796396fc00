"""Search of one arm: its design points, its own Optuna study and its own rungs."""

from __future__ import annotations

import math
from typing import Any

import optuna
from optuna.trial import TrialState, create_trial

from search.orchestration.successive_halving import Rungs
from search.plan.model import Arm, Plan
from search.store.optuna_storage import TRIAL
from spaces.design import random_points, sobol_points
from trainables.randomness import derive_seed
from trainables.records import COMPLETED, STOPPED, RungDecision

optuna.logging.set_verbosity(optuna.logging.ERROR)


class ArmSearch:
    """Proposes the trials of one arm and records how they end.

    A trial index has the same nuisance point in every arm; the method's own hyperparameters come from a stream of their
    own. With `tpe`, Optuna proposes the second half. Optuna is told what happened: COMPLETE with the selection metric,
    PRUNED with the values so far, or FAIL.

    Args:
        plan: the study's plan.
        arm: the arm.
        search: number of the search, from 0; each has its own points and Optuna study.
    """

    def __init__(self, plan: Plan, arm: Arm, search: int = 0) -> None:
        self.arm = arm
        self._first = search * plan.trials
        self.rungs = Rungs(plan.study.search.reduction_factor)
        self._audit = plan.study.search.audit
        self._space = {**plan.nuisance, **arm.space}
        self._design = _design(plan, arm, search)
        self._seed = derive_seed(plan.study.seed, "sampler", arm.name, *_mark(search))
        self._optuna = optuna.create_study(
            study_name=f"{arm.name}, search {search + 1}" if plan.searches > 1 else arm.name,
            direction="maximize",
            sampler=self._sampler(self._first),
        )
        self.open_trials: dict[int, optuna.trial.Trial] = {}

    def is_audited(self, trial_index: int) -> bool:
        """Return whether a trial runs to the end regardless of the rungs; these are the same in every arm."""
        return trial_index - self._first < self._audit

    def propose(self, trial_index: int) -> dict[str, Any]:
        """Return the nuisance and method values of a trial; trials are proposed in order."""
        if trial_index - self._first < len(self._design):
            self._optuna.enqueue_trial(self._design[trial_index - self._first])
        self._optuna.sampler = self._sampler(trial_index)
        self.open_trials[trial_index] = self._optuna.ask(self._space)
        self.open_trials[trial_index].set_user_attr(TRIAL, trial_index)
        return dict(self.open_trials[trial_index].params)

    def _sampler(self, trial_index: int) -> optuna.samplers.TPESampler:
        """Return the sampler of a trial, whose random stream is its own.

        One stream for all would restart in a resumed study, which would then repeat the points proposed before.
        """
        seed = derive_seed(self._seed, "trial", trial_index)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)

    def reopen(self, trial_index: int, values: dict[str, Any], curve: dict[int, float]) -> None:
        """Reopen a trial that the journal contains without an outcome, with its epochs so far."""
        self._optuna.enqueue_trial(values)
        self.open_trials[trial_index] = self._optuna.ask(self._space)
        self.open_trials[trial_index].set_user_attr(TRIAL, trial_index)
        for epoch, value in curve.items():
            self.observe(trial_index, epoch, value)

    def add_ended(
        self, trial_index: int, values: dict[str, Any], outcome: str, curve: dict[int, float], value: float | None
    ) -> None:
        """Add an ended trial from the journal."""
        state = _state(outcome, value)
        self._optuna.add_trial(
            create_trial(
                state=state,
                params=values,
                distributions=self._space,
                intermediate_values=curve,
                value=None if state is TrialState.FAIL else _told(value, curve),
                user_attrs={TRIAL: trial_index},
            )
        )

    def observe(self, trial_index: int, epoch: int, value: float) -> None:
        """Report an epoch of a trial to Optuna."""
        self.open_trials[trial_index].report(value, epoch)

    def at_rung(self, rung: int, value: float, trial_index: int) -> RungDecision:
        """Decide whether a trial continues after a rung (see `Rungs.decide`)."""
        return self.rungs.decide(rung, value, self.is_audited(trial_index))

    def finish(self, trial_index: int, outcome: str, value: float | None) -> None:
        """Tell Optuna how a trial ended."""
        trial = self.open_trials.pop(trial_index)
        state = _state(outcome, value)
        if state is TrialState.COMPLETE:
            self._optuna.tell(trial, _told(value, {}), state=state)
        else:
            self._optuna.tell(trial, state=state)

    @property
    def study(self) -> optuna.Study:
        """The Optuna study of the arm."""
        return self._optuna


def _mark(search: int) -> tuple[int, ...]:
    """Return what distinguishes the random streams of a search; the first search has nothing added."""
    return (search,) if search else ()


def _design(plan: Plan, arm: Arm, search: int) -> list[dict[str, Any]]:
    """Return the design points, drawn before any result: all points, or with `tpe` the first half."""
    points = random_points if plan.study.search.sampler == "random" else sobol_points
    shared = points(plan.nuisance, plan.designed, derive_seed(plan.study.seed, "nuisance", *_mark(search)))
    own = points(arm.space, plan.designed, derive_seed(plan.study.seed, "method", arm.method, *_mark(search)))
    return [{**nuisance, **method} for nuisance, method in zip(shared, own, strict=True)]


def _state(outcome: str, value: float | None) -> TrialState:
    if outcome == COMPLETED and value is not None:
        return TrialState.COMPLETE
    return TrialState.PRUNED if outcome == STOPPED else TrialState.FAIL


def _told(value: float | None, curve: dict[int, float]) -> float | None:
    if value is not None and math.isfinite(value):
        return value
    return curve[max(curve)] if curve else None
