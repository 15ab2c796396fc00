"""Timing of networks: which networks a study trains, how much, and what cannot be trained in mixed precision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.plan.builder import make_plan
from search.plan.network_timing import NetworkWork, network_works, time_networks
from search.plan.precision import decide
from search.study.resources import Resources
from tests.support.studies import make_study
from trainables import records
from trainables.data.digits import Digits

RECIPE = {"model": "resnet8", "augmentation": "crop", "epochs": 12, "precision": "auto"}


def planned(**changes: Any) -> list[NetworkWork]:
    return network_works(make_plan(make_study(**{"recipe": RECIPE, **changes})), {"": Digits().load()})


def test_a_network_is_timed_once_and_counts_with_all_runs() -> None:
    works = planned(conditions={"train_fraction": [0.1, 0.3]}, methods=["baseline", "mixup"])
    assert [one.title for one in works] == ["resnet8, batch 128", "resnet8, batch 98"]  # 98 images
    runs = 2 * (4 + 2 * 3)  # methods x (trials + points x seeds)
    assert [one.steps for one in works] == [runs * 12 * 2, runs * 12]  # 2 steps and 1 in each of 12 epochs


def test_a_searched_batch_size_is_timed_at_both_ends_and_in_the_middle() -> None:
    works = planned(conditions={}, nuisance={"batch_size": [16, 32, 64]})
    assert {one.title for one in works} == {f"resnet8, batch {size}" for size in (16, 32, 64)}


def test_networks_of_all_conditions_are_timed() -> None:
    works = planned(recipe={**RECIPE, "batch_size": 32, "model": "resnet8"}, conditions={"width": [0.25, 0.5]})
    assert [one.config["model"]["width"] for one in works] == [0.25, 0.5]


def test_networks_that_compute_in_another_way_are_timed_separately() -> None:
    works = planned(recipe={**RECIPE, "model": "resnet8"}, conditions={"deterministic": [True, False]})
    assert [one.config["deterministic"] for one in works] == [True, False]


class Diverging:
    """An engine whose loss is not finite in mixed precision."""

    def __init__(self, config: Any, *_: object) -> None:
        self.config, self.images, self.evaluated, self.state_bytes = config, 100, 100, 0

    def train_epoch(self) -> dict[str, float]:
        from trainables.errors import DivergedError

        if self.config.precision == "mixed":
            raise DivergedError(1)
        return {records.SECONDS: 1.0, records.IMAGES_PER_SECOND: 1e3}


def test_a_loss_that_is_not_finite_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.engine.classifier.Classifier", Diverging)
    works = planned(conditions={})
    found = time_networks(works, {"": Digits().load().arrays()}, Resources())
    assert [one.mixed for one in found.values()] == [None]
    assert "not finite" in decide(works, found).text


def test_works_can_be_sent_to_a_worker() -> None:
    from trainables.config import RunConfig

    found, *_ = planned()
    assert RunConfig.model_validate(found.config).model.name == "resnet8"
    assert replace(found, config={}).title == found.title
