"""Noise floor: the study of a reference and its twin, and what its runs say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.data.frames import read_study, study_from_frames
from search.plan.builder import make_plan
from search.plan.noise import noise_floors, noise_study, typical_spread
from search.plan.record import study_record
from search.study.loading import load_study, validate
from search.study.schema import Study
from tests.support.journal_builder import simulate_study
from trainables.errors import InputError
from trainables.records import Facts


def study(**changes: Any) -> Study:
    document = {
        "data": "digits",
        "methods": ["baseline", "mixup"],
        "recipe": {"augmentation": "crop"},
        "conditions": {"train_fraction": [0.1, 0.5]},
        **changes,
    }
    return validate(document, "study.yaml", Path.cwd())


def test_a_twin_trains_with_other_random_numbers_on_the_same_images() -> None:
    plan = make_plan(study(methods=["baseline", {"name": "baseline", "as": "twin", "twin": True}]))
    reference, twin = (plan.run_config(arm, {}, 5, 6) for arm in plan.arms[:2])
    assert twin.seed != reference.seed
    assert twin.model_copy(update={"seed": reference.seed}) == reference


def test_a_twin_is_named_after_its_method_and_survives_the_study_file() -> None:
    made = study(methods=["baseline", {"name": "baseline", "twin": True}])
    assert [entry.label for entry in made.methods] == ["baseline", "baseline_twin"]
    assert validate(made.document(), "again", Path.cwd()) == made


@pytest.mark.parametrize("value", ["yes", 2, None])
def test_a_twin_is_true_or_false(value: Any) -> None:
    with pytest.raises(InputError, match="twin"):
        study(methods=["baseline", {"name": "baseline", "as": "twin", "twin": value}])


def test_two_twins_of_one_method_are_the_same_runs_and_refused() -> None:
    twins = [{"name": "baseline", "as": name, "twin": True} for name in ("one", "other")]
    with pytest.raises(InputError, match="`other` and `one` are the same"):
        make_plan(study(methods=["baseline", *twins]))


def test_the_noise_study_keeps_conditions_and_recipe_of_the_study() -> None:
    made = load_study("quickstart")
    noise = noise_study(made, seeds=5)
    plan = study_record(make_plan(noise))
    assert [condition.values for condition in plan.conditions] == [{"train_fraction": 0.2}, {"train_fraction": 0.6}]
    assert noise.fixed == made.fixed
    assert (plan.seeds, plan.trials_per_arm, len(plan.contrasts)) == (5, 0, 2)


@pytest.mark.parametrize("reference", ["mixup", {"method": "mixup"}])
def test_the_reference_is_measured_however_it_is_written(reference: Any) -> None:
    noise = noise_study(study(reference=reference), seeds=4)
    assert [(entry.name, entry.twin) for entry in noise.methods] == [("mixup", False), ("mixup", True)]
    assert {arm.method for arm in make_plan(noise).arms if arm.reference} == {"mixup"}


def test_a_study_that_compares_other_factors_is_refused() -> None:
    with pytest.raises(InputError, match="this one compares stem"):
        noise_study(load_study("resnet_cifar"), seeds=4)


def measured(differences: dict[str, np.ndarray]) -> Any:
    """Return runs of a noise study with these differences between twin and reference, fractions, by condition."""
    plan = study_record(make_plan(noise_study(study(), seeds=len(next(iter(differences.values()))))))
    rng, rows = np.random.default_rng(0), []
    for condition, values in differences.items():
        base = 0.8 + rng.normal(0, 0.01, len(values))
        for method, accuracies in (("baseline", base), ("twin", base + values)):
            rows += [
                {
                    "run": f"{condition} {method} {seed}", "phase": "confirm", "condition": condition, "arm": method,
                    "method": method, "index": 0, "seed_index": seed, "audit": False, "parameters": {}, "searched": {},
                    "outcome": "completed", "epoch": 1, "reason": "",
                    "metrics": {"test_accuracy": accuracy, "extended_test_accuracy": accuracy},
                }
                for seed, accuracy in enumerate(accuracies)
            ]  # fmt: skip
    return study_from_frames(plan, Facts(), pd.DataFrame(rows), [], [], {}, {})


def test_noise_floors_are_those_of_the_differences() -> None:
    rng = np.random.default_rng(1)
    differences = {name: rng.normal(0, spread, 200) for name, spread in zip(CONDITIONS, (0.02, 0.005), strict=True)}
    low, high = noise_floors(measured(differences), study_record(make_plan(study())))
    for floor, values in ((low, differences[CONDITIONS[0]]), (high, differences[CONDITIONS[1]])):
        assert floor.paired == pytest.approx(100 * values.std(ddof=1))
        assert floor.low < floor.paired < floor.high
        assert floor.pairs == 200
    assert low.detectable / high.detectable == pytest.approx(low.paired / high.paired)
    assert typical_spread([low, high]) == pytest.approx(np.sqrt((low.paired**2 + high.paired**2) / 2))


def test_the_interval_of_the_spread_holds_the_truth_in_95_percent() -> None:
    rng = np.random.default_rng(2)
    planned = study_record(make_plan(study()))
    held = 0
    for _ in range(200):
        floor = noise_floors(measured({name: rng.normal(0, 0.01, 8) for name in CONDITIONS}), planned)[0]
        held += floor.low <= 1.0 <= floor.high
    assert 180 <= held <= 199


def test_one_pair_is_too_few() -> None:
    data = measured({name: np.array([0.01, 0.02]) for name in CONDITIONS})
    data.runs.loc[data.runs["seed_index"] == 1, ["test_accuracy", "extended_test_accuracy"]] = np.nan
    with pytest.raises(InputError, match=r"1 pair\(s\) of runs succeeded"):
        noise_floors(data, study_record(make_plan(study())))


def test_another_study_has_no_noise_floor(tmp_path: Path) -> None:
    other = read_study(simulate_study(tmp_path / "study"))
    with pytest.raises(InputError, match="so it has no noise floor; give the folder of an `assay certify`"):
        noise_floors(other, study_record(make_plan(study())))


CONDITIONS = ("train_fraction=0.1", "train_fraction=0.5")
