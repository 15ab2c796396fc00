"""The benchmark of large studies: its study has as many runs as were asked for, each with a curve."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.plan.builder import make_plan
from search.study.loading import validate
from tests.benchmarks.driver import EPOCHS, METHODS, curves_for, study_document
from trainables.worker.replay import read_curves


@pytest.mark.parametrize("runs", [200, 5000])
def test_half_of_the_runs_are_trials(runs: int, tmp_path: Path) -> None:
    plan = make_plan(validate(study_document(runs), "study.yaml", tmp_path))
    assert plan.study.search is not None
    assert len(plan.arms) * plan.study.search.trials_per_arm == runs / 2
    assert plan.study.confirm.seeds * plan.study.confirm.points * len(METHODS) * 2 == runs / 2


def test_every_trial_and_every_seed_has_a_curve(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    curves_for(200).to_csv(path, index=False)
    curves = read_curves(path)
    assert len(curves) == EPOCHS * len(METHODS) * (50 + 10)
    assert curves.groupby(["phase", "method", "k", "seed"], dropna=False).size().eq(EPOCHS).all()
