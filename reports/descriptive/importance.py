"""Hyperparameter importance of every searched dimension, from two evaluators that answer different questions.

Optuna and scikit-learn take seconds to import, so they are imported only if there are enough runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.data.frames import StudyData
from reports.descriptive.responses import full_length_runs
from trainables.records import ArmRecord

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution

IMPORTANCE_FROM = 20
"""Minimum number of full-length runs for importances; with fewer they are mostly noise."""


@dataclass(frozen=True)
class Importance:
    """Importance of one dimension in one arm. The shares of each evaluator sum to 1 over the dimensions of the arm.

    Args:
        arm: the arm.
        dimension: name of the dimension.
        ped_anova: PED-ANOVA (Watanabe et al., 2023): what distinguishes the best tenth of the runs from the others.
        mean_decrease: mean decrease in impurity of a random forest: what explains the results of all runs. None for a
            dimension that some runs lack.
        runs: number of full-length runs.
    """

    arm: ArmRecord
    dimension: str
    ped_anova: float
    mean_decrease: float | None
    runs: int


def importances(study: StudyData, arm: ArmRecord) -> list[Importance]:
    """Return the importance of every searched dimension of an arm, the most important first.

    Empty for fewer than `IMPORTANCE_FROM` full-length runs, fewer than two dimensions, or runs without variation.
    """
    runs = full_length_runs(study, arm)
    if len(runs) < IMPORTANCE_FROM or len(arm.spaces) < 2 or runs["value"].nunique() < 2:
        return []
    from optuna.importance import (
        MeanDecreaseImpurityImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    optuna_study = _optuna_study(runs, arm.spaces)
    among_best = get_param_importances(optuna_study, evaluator=PedAnovaImportanceEvaluator())
    overall = get_param_importances(optuna_study, evaluator=MeanDecreaseImpurityImportanceEvaluator(seed=0))
    return [
        Importance(arm, name, share, overall.get(name), len(runs))
        for name, share in sorted(among_best.items(), key=lambda pair: -pair[1])
    ]


def _optuna_study(runs: pd.DataFrame, spaces: Mapping[str, Any]) -> OptunaStudy:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    distributions = {name: _distribution(space) for name, space in spaces.items()}
    study.add_trials(
        optuna.trial.create_trial(
            params={name: searched[name] for name in distributions if name in searched},
            distributions={name: one for name, one in distributions.items() if name in searched},
            value=value,
        )
        for searched, value in zip(runs["searched"], runs["value"], strict=True)
    )
    return study


def _distribution(space: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(space, list):
        return CategoricalDistribution(space)
    if space["integer"]:
        return IntDistribution(int(space["low"]), int(space["high"]), log=space["log"])
    return FloatDistribution(space["low"], space["high"], log=space["log"])
