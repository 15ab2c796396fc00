"""Searching all hyperparameters in one study: declared ranges on request, moving blocks, and conditional values."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.data.frames import read_study
from reports.descriptive.importance import importances
from reports.descriptive.responses import full_length_runs, responses
from search.plan.builder import make_plan
from search.plan.record import study_record
from search.study.catalogue import listing
from search.study.loading import load_study, validate
from spaces.design import random_points
from tests.support.driver import carry_out
from tests.support.studies import make_study
from trainables import records
from trainables.errors import InputError
from trainables.methods import METHODS, Method
from trainables.records import ArmRecord
from trainables.registration.fields import Choice, Range, declared

PAIRING = {"name": "sample_pairing", "start": "auto", "end": "auto", "on_epochs": "auto", "off_epochs": "auto"}
RECIPE = {"model": "resnet8", "augmentation": "crop"}


def pairing(**fields: float) -> Method:
    return METHODS.get("sample_pairing").model_validate({"name": "sample_pairing", **fields})


def marks(method: str) -> dict[str, Range | Choice]:
    return {name: mark for name, mark in declared(METHODS.get(method)).items() if mark.on_request}


def test_ranges_on_request_are_searched_with_auto_only() -> None:
    assert set(marks("sample_pairing")) == {"start", "on_epochs", "off_epochs"}
    assert set(marks("maxup")) == {"reduction"}
    for method in ("sample_pairing", "maxup"):
        assert not set(METHODS.get(method).searched({})) & set(marks(method))
    study = make_study(methods=["baseline", PAIRING, {"name": "maxup", "m": 4, "reduction": "auto"}], recipe=RECIPE)
    arms = {arm.method: arm for arm in make_plan(study).arms}
    assert list(arms["sample_pairing"].space) == [f"sample_pairing.{name}" for name in PAIRING if name != "name"]
    assert set(arms["maxup"].space) == {"maxup.reduction", "maxup.temperature"}
    assert validate(study.document(), "study.yaml", Path.cwd()) == study


def test_auto_of_a_field_without_a_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"mixup.share: `auto` needs a declared range"):
        make_study(methods=["baseline", {"name": "mixup", "share": "auto"}])


@pytest.mark.parametrize("epochs", [20, 21, 27, 50, 99, 200])
def test_every_schedule_within_the_declared_ranges_can_run(epochs: int) -> None:
    ranges = {name: mark for name, mark in declared(METHODS.get("sample_pairing")).items() if isinstance(mark, Range)}
    ends = itertools.product(*((mark.low, mark.high) for mark in ranges.values()))
    rng = np.random.default_rng(epochs)
    inner = [[rng.uniform(mark.low, mark.high) for mark in ranges.values()] for _ in range(300)]
    for values in [*ends, *inner]:
        pairing(**dict(zip(ranges, values, strict=True))).check(epochs, augmented=True)


@pytest.mark.parametrize("epochs", [20, 60, 150])
def test_runs_are_compared_only_where_no_schedule_of_the_space_is_on(epochs: int) -> None:
    study = make_study(
        methods=["baseline", PAIRING], recipe={**RECIPE, "epochs": epochs, "schedule": "constant"}, conditions={},
        search={"reduction_factor": 1.2, "trials_per_arm": 4},
    )  # fmt: skip
    plan = make_plan(study)
    arm, rungs = plan.arms[1], plan.conditions[0].rungs
    assert rungs
    assert arm.off.block_ends == ()
    for values in random_points(arm.space, 200, seed=1):
        method = plan.run_config(arm, values, 0, 0).method
        assert not any(method.active(rung - 1, epochs) or method.active(rung, epochs) for rung in rungs)
        assert not any(method.active(epoch, epochs) for epoch in range(arm.off.start, epochs))


def test_listed_blocks_keep_their_common_ends() -> None:
    methods = ["baseline", {"name": "sample_pairing", "on_epochs": [2, 5], "off_epochs": 1}]
    plan = make_plan(make_study(methods=methods, recipe={**RECIPE, "epochs": 40}, conditions={}))
    assert plan.arms[1].off.block_ends == (10, 16, 22)
    assert plan.conditions[0].rungs == (22,)


def test_a_corner_of_the_space_that_cannot_run_is_refused() -> None:
    long = {**PAIRING, "on_epochs": {"low": 2, "high": 12}, "off_epochs": {"low": 1, "high": 6}}
    with pytest.raises(InputError, match=r"all: sample_pairing: sample_pairing with .* is on for 6 of 40 epochs"):
        make_plan(make_study(methods=["baseline", long], recipe={**RECIPE, "epochs": 40}, conditions={}))


def test_optimizers_batch_sizes_and_rates_have_declared_ranges() -> None:
    names = ["optimizer", "learning_rate", "weight_decay", "momentum", "batch_size", "milestones", "rate_decay"]
    plan = make_plan(make_study(nuisance=dict.fromkeys(names, "auto")))
    assert set(plan.nuisance) == {
        "optimizer", "sgd.learning_rate", "adam.learning_rate", "sgd.weight_decay", "adam.weight_decay",
        "sgd.momentum", "batch_size", "milestones", "rate_decay",
    }  # fmt: skip
    for values in random_points(plan.nuisance, 20, seed=3):
        optimizer = plan.run_config(plan.arms[0], values, 0, 0).optimizer
        assert optimizer.learning_rate == values[f"{values['optimizer']}.learning_rate"]
    rules = study_record(plan).arms[0].only_if
    assert rules["sgd.momentum"] == ("optimizer", "sgd")
    assert rules["adam.learning_rate"] == ("optimizer", "adam")
    assert "batch_size" not in rules


def test_values_without_effect_are_left_out() -> None:
    rules: dict[str, tuple[str, Any]] = {
        "sgd.momentum": ("optimizer", "sgd"),
        "maxup.temperature": ("maxup.reduction", "softmax"),
    }
    arm = ArmRecord(name="a", method="maxup", condition="all", cost=1.0, reference=False, only_if=rules)
    values = {"optimizer": "adam", "sgd.momentum": 0.9, "maxup.reduction": "max", "maxup.temperature": 2.0}
    assert arm.effective(values) == {"optimizer": "adam", "maxup.reduction": "max"}
    assert arm.effective({**values, "optimizer": "sgd", "maxup.reduction": "softmax"}).keys() == values.keys()


def test_the_report_relates_results_to_values_with_an_effect(tmp_path: Path, write_curves: Callable[..., Path]) -> None:
    both = {"name": "maxup+mixup", "maxup.reduction": "auto"}
    study = make_study(
        methods=["baseline", {"name": "maxup", "reduction": "auto"}, both],
        nuisance={"optimizer": "auto", "learning_rate": "auto", "batch_size": "auto"},
        search={"trials_per_arm": 24, "early_stopping": False}, conditions={},
    )  # fmt: skip
    curves = write_curves(ks=24)
    table = pd.read_csv(curves)
    table[["validation_accuracy", "test_accuracy"]] *= 0.7
    twice = [table, table[table["method"] == "maxup"].assign(method="maxup+mixup")]
    pd.concat(twice).to_csv(curves, index=False)
    carry_out(make_plan(study), tmp_path / records.JOURNAL_FILE, curves)
    read = read_study(tmp_path / records.JOURNAL_FILE)
    arm = read.plan.arm("all", "maxup")
    assert arm is not None
    runs = full_length_runs(read, arm)
    for values in runs["searched"]:
        assert ("maxup.temperature" in values) == (values["maxup.reduction"] == "softmax")
        assert {f"{values['optimizer']}.learning_rate"} == {name for name in values if name.endswith("learning_rate")}
    shown = {response.dimension: len(response.values) for response in responses(read, arm)}
    assert shown["sgd.learning_rate"] + shown["adam.learning_rate"] == shown["batch_size"] == 24
    assert importances(read, arm)
    assert set(study_record(make_plan(study)).arms[2].only_if) > {"maxup.temperature"}


def test_the_packaged_study_searches_everything() -> None:
    plan = make_plan(load_study("search_everything"))
    searched = {name for arm in plan.arms for name in {**plan.nuisance, **arm.space}}
    assert searched >= {
        "mixup.alpha", "sample_pairing.start", "sample_pairing.end", "sample_pairing.on_epochs",
        "sample_pairing.off_epochs", "maxup.m", "maxup.reduction", "maxup.temperature", "optimizer",
        "sgd.learning_rate", "adam.learning_rate", "batch_size", "milestones",
    }  # fmt: skip


def test_the_listing_shows_all_ranges() -> None:
    methods = {entry.name: entry.settings for entry in listing("methods")}
    assert "on_epochs = 8, searched with `auto` in 0.07 to 0.17" in methods["sample_pairing"]
    assert "end = 0.9, searched in 0.6 to 0.9" in methods["sample_pairing"]
    assert "reduction = max, searched with `auto` in ['max', 'softmax']" in methods["maxup"]
    optimizers = {entry.name: entry.settings for entry in listing("optimizers")}
    assert all("learning_rate = " in text and "searched in" in text for text in optimizers.values())
