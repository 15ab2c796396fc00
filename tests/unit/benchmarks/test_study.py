"""The benchmark of a whole study: its arithmetic, and its study file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.plan.builder import make_plan
from search.study.loading import validate
from tests.benchmarks.study import Spent, main, part_of, study_document


def test_lost_slot_seconds_are_what_is_not_training() -> None:
    assert Spent(wall=10, runs=4, epochs=20, training=12, slots=2).lost == 2
    assert Spent(wall=10, runs=4, epochs=20, training=10, slots=1).lost == 0


def test_its_study_has_the_trials_that_were_asked_for(tmp_path: Path) -> None:
    plan = make_plan(validate(study_document(tmp_path / "part.npz", 16), "study.yaml", tmp_path))
    assert [arm.method for arm in plan.arms] == ["baseline", "mixup"]
    assert plan.study.search is not None
    assert plan.study.search.trials_per_arm == 8
    assert plan.study.resources.concurrency == 2


def test_a_part_of_the_data_is_taken(tmp_path: Path) -> None:
    images, labels = np.zeros((100, 4, 4), "uint8"), np.arange(100)
    np.savez(tmp_path / "all.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with np.load(part_of(tmp_path / "all.npz", 60, tmp_path)) as part:
        assert [len(part[name]) for name in ("x_train", "y_train", "x_test", "y_test")] == [60, 60, 10, 10]
        assert list(part["y_test"]) == list(range(10))


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(SystemExit, match="unknown: hyperband; choose from assay, plain, tuner"):
        main(["--data", "x.npz", "hyperband"])
