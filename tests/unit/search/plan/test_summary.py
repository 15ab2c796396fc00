"""Summary of a plan: units of effects, and what the arms share."""

from __future__ import annotations

import pytest

from search.plan.builder import make_plan
from search.plan.power import ProposedSize, StudySize, study_size
from search.plan.record import study_record
from search.plan.summary import proposal_rows, shared_by_arms, summary_rows
from tests.support.studies import make_study
from trainables.records import PlanRecord


def record(**changes: object) -> PlanRecord:
    return study_record(make_plan(make_study(**changes)))


def power_of(plan: PlanRecord, spread: float | None) -> tuple[str, StudySize]:
    size = study_size(plan, spread)
    return dict(summary_rows(plan, size))["power"], size


@pytest.mark.parametrize(
    ("metric", "spread", "unit", "unlikely"),
    [
        ("validation_accuracy", 1.0, "points", True),
        ("validation_accuracy", 0.01, "points", False),
        ("validation_loss", 1.0, "nats", True),
        ("validation_loss", 0.01, "nats", True),
        ("validation_loss", 0.0001, "nats", False),
    ],
)
def test_power_is_in_the_unit_of_the_metric(metric: str, spread: float, unit: str, unlikely: bool) -> None:
    """The smallest effect of interest is .5: half a point of accuracy, or .005 nats."""
    plan = record(metric=metric)
    text, size = power_of(plan, spread)
    assert size.detectable_points == pytest.approx(size.detectable * spread)
    assert f"{size.detectable_points:.3g} {unit}" in text
    assert any("unlikely to detect" in warning and unit in warning for warning in size.warnings) == unlikely


def test_an_unknown_spread_leaves_standard_deviations() -> None:
    plan = record(metric="validation_loss")
    text, size = power_of(plan, None)
    assert (size.detectable_points, size.spread_points) == (None, None)
    assert "standard deviations of a paired difference" in text
    assert "`--spread` in nats" in text
    assert not any("unlikely" in warning for warning in size.warnings)


def test_proposals_name_their_unit() -> None:
    plan = record(metric="validation_loss")
    size = study_size(plan, 0.01)
    proposed = StudySize(**{**vars(size), "proposals": (ProposedSize(4, 8, 0.5, 0.021), ProposedSize(8, 6, 0.5, None))})
    assert proposal_rows(plan, proposed) == [("4", "8", "0.5", "0.021 nats"), ("8", "6", "0.5", "")]


def test_only_what_arms_share_is_called_shared() -> None:
    assert {"training length and evaluation", "search points and trials"} <= set(shared_by_arms(record()))
    adaptive = shared_by_arms(record(search={"trials_per_arm": 8, "sampler": "tpe"}))
    assert "the first 4 search points, and the number of trials" in adaptive
    assert "search points and trials" not in adaptive
    matched = record(methods=["baseline", {"name": "maxup", "m": 4}], search={"trials_per_arm": 4, "match": "compute"})
    assert "evaluation" in shared_by_arms(matched)
    assert "training length and evaluation" not in shared_by_arms(matched)
    arms = dict(summary_rows(matched, study_size(matched, 1.0)))["arms"]
    assert arms == "6: 2 methods x 2 conditions, and 2 at the compute of another arm, which take its search"
