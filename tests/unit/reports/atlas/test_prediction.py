"""Rules that predict the sign of an effect on a data set that they have not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reports.atlas.cells import Baseline
from reports.atlas.prediction import ALL, ALWAYS, GAP, RULES, left_out_hits, scores


@dataclass(frozen=True)
class FakeCell:
    data: str
    effect: float
    gap: float
    method: str = "mixup"
    width: float = 0.5
    images_per_class: float = 40.0
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def interval(self) -> tuple[float, float]:
        return self.effect - self.width, self.effect + self.width

    @property
    def baseline(self) -> Baseline:
        return Baseline(0.7, self.gap, self.images_per_class, 10.0, 0.0, 500.0)


def cells(sign_of_gap: int, rng: np.random.Generator) -> list[Any]:
    gaps = rng.uniform(0, 0.4, 60)
    return [
        FakeCell(("a", "b", "c")[number % 3], sign_of_gap * (3 if gap > 0.2 else -3), gap)
        for number, gap in enumerate(gaps)
    ]


def test_a_property_that_decides_the_sign_is_found() -> None:
    for sign in (1, -1):
        found = cells(sign, np.random.default_rng(0))
        assert left_out_hits(found, RULES[GAP]).mean() > 0.9
        assert 0.3 < left_out_hits(found, RULES[ALWAYS]).mean() < 0.7


def test_a_property_without_information_does_not_lead() -> None:
    rng = np.random.default_rng(1)
    found: list[Any] = [
        FakeCell("abc"[number % 3], rng.choice([-3.0, 3.0]), rng.uniform(0, 0.4)) for number in range(60)
    ]
    assert all(score.low <= 0 for score in scores(found) if score.rule != GAP)


def test_cells_with_an_uncertain_sign_do_not_count() -> None:
    found = cells(1, np.random.default_rng(2))
    unsure: list[Any] = [FakeCell("a", 0.1, 0.3) for _ in range(10)]
    assert {score.cells for score in scores([*found, *unsure])} == {60}


def test_an_effect_with_the_same_sign_everywhere_is_always_predicted() -> None:
    found: list[Any] = [FakeCell("abc"[number % 3], -2.0, 0.1 * number) for number in range(9)]
    assert [score.right for score in scores(found)] == [9] * len(RULES)


def test_a_data_set_of_which_nothing_is_known_is_predicted_by_no_one() -> None:
    found: list[Any] = [FakeCell("a", -2.0, 0.1), FakeCell("a", 2.0, 0.3)]
    assert not left_out_hits(found, RULES[ALL]).any()
