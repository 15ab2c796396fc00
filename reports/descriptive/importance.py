"""How much each searched dimension matters, by two evaluators that answer different questions. Descriptive.

Optuna and scikit-learn take seconds to import, so this is done only where there are runs enough to say anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from reports.data.frames import StudyData
from reports.descriptive.responses import full_length
from trainables.records import ArmRecord

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution

IMPORTANCE_FROM = 20
"""Runs of full length from which importances are computed: with fewer they are mostly noise."""


@dataclass(frozen=True)
class Importance:
    """How much one dimension matters in one arm; each evaluator's shares add up to 1 over the arm's dimensions.

    Args:
        arm: the arm.
        dimension: its name.
        ped_anova: share by PED-ANOVA: what sets the best tenth of the runs apart from the others.
        mean_decrease: share by the mean decrease in impurity of a random forest: what explains all runs; None for a
            dimension that not every run has.
        runs: of full length.
    """

    arm: ArmRecord
    dimension: str
    ped_anova: float
    mean_decrease: float | None
    runs: int


def importances(study: StudyData, arm: ArmRecord) -> list[Importance]:
    """Return the importance of every searched dimension of an arm; empty below `IMPORTANCE_FROM` full-length runs."""
    runs = full_length(study, arm)
    if len(runs) < IMPORTANCE_FROM or len(arm.spaces) < 2 or runs["quality"].nunique() < 2:
        return []
    from optuna.importance import (
        MeanDecreaseImpurityImportanceEvaluator,
        PedAnovaImportanceEvaluator,
        get_param_importances,
    )

    known = _optuna_study(runs, arm.spaces)
    local = get_param_importances(known, evaluator=PedAnovaImportanceEvaluator())
    everywhere = get_param_importances(known, evaluator=MeanDecreaseImpurityImportanceEvaluator(seed=0))
    return [
        Importance(arm, name, local.get(name, 0.0), everywhere.get(name), len(runs))
        for name in sorted(local, key=lambda name: -local[name])
    ]


def _optuna_study(runs: pd.DataFrame, spaces: Mapping[str, Any]) -> OptunaStudy:
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
    kinds = {name: _distribution(space) for name, space in spaces.items()}
    study.add_trials(
        optuna.trial.create_trial(
            params={name: searched[name] for name in kinds if name in searched},
            distributions={name: kind for name, kind in kinds.items() if name in searched},
            value=quality,
        )
        for searched, quality in zip(runs["searched"], runs["quality"], strict=True)
    )
    return study


def _distribution(space: Any) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(space, list):
        return CategoricalDistribution(space)
    if space["integer"]:
        return IntDistribution(int(space["low"]), int(space["high"]), log=space["log"])
    return FloatDistribution(space["low"], space["high"], log=space["log"])
