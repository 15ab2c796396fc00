"""Tests of distributions and the shared design."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search.orchestration.arm_search import ArmSearch
from search.plan.builder import make_plan
from search.plan.model import Plan
from spaces.design import distance, from_unit, random_points, sobol_points, to_unit
from spaces.distributions import method_space, nuisance_space
from tests.support.studies import make_study
from trainables.errors import InputError
from trainables.registration.fields import Choice, Range

DISTRIBUTIONS: list[BaseDistribution] = [
    FloatDistribution(0.1, 2.0),
    FloatDistribution(1e-5, 1e-1, log=True),
    IntDistribution(2, 10),
    IntDistribution(1, 64, log=True),
    CategoricalDistribution(("a", "b", "c")),
]


@given(u=st.floats(0, 1, exclude_max=True), dist=st.sampled_from(DISTRIBUTIONS))
def test_from_unit_gives_values_of_the_distribution(u: float, dist: BaseDistribution) -> None:
    value = from_unit(dist, u)
    assert dist._contains(dist.to_internal_repr(value))
    assert 0 <= to_unit(dist, value) <= 1


@given(u=st.floats(0.001, 0.999), dist=st.sampled_from(DISTRIBUTIONS[:2]))
def test_to_unit_inverts_from_unit(u: float, dist: BaseDistribution) -> None:
    assert to_unit(dist, from_unit(dist, u)) == pytest.approx(u, abs=1e-9)


@pytest.mark.parametrize("points", [sobol_points, random_points])
def test_more_points_do_not_change_the_first_ones(points: object) -> None:
    space = {"a": DISTRIBUTIONS[0], "b": DISTRIBUTIONS[1]}
    assert callable(points)
    assert points(space, 20, 3)[:7] == points(space, 7, 3)
    assert points(space, 7, 4) != points(space, 7, 3)


def test_sobol_points_fill_the_space_evenly() -> None:
    values = sorted(point["a"] for point in sobol_points({"a": FloatDistribution(0, 1)}, 16, 0))
    assert all(i / 16 <= value < (i + 1) / 16 for i, value in enumerate(values))


def test_distance_is_the_maximum_over_dimensions_and_1_for_different_choices() -> None:
    space = {"a": FloatDistribution(0, 2), "b": CategoricalDistribution(("x", "y"))}
    assert distance(space, {"a": 0.0, "b": "x"}, {"a": 1.0, "b": "x"}) == pytest.approx(0.5)
    assert distance(space, {"a": 0.0, "b": "x"}, {"a": 0.0, "b": "y"}) == 1.0


def test_a_method_has_its_declared_dimensions_unless_they_are_fixed() -> None:
    assert list(method_space("mixup", {})) == ["mixup.alpha"]
    assert method_space("mixup", {"alpha": 0.2}) == {}
    assert method_space("mixup", {"alpha": Range(0.5, 4)})["mixup.alpha"] == FloatDistribution(0.5, 4)
    assert method_space("baseline", {}) == {}


def test_each_of_several_optimizers_has_its_own_dimension() -> None:
    space = nuisance_space({"optimizer": Choice(("sgd", "adamw")), "learning_rate": "auto"}, ["sgd", "adamw"])
    assert list(space) == ["optimizer", "sgd.learning_rate", "adamw.learning_rate"]
    with pytest.raises(InputError, match="needs a declared range"):
        nuisance_space({"train_fraction": "auto"}, ["sgd"])


def test_trial_k_has_the_same_nuisance_point_in_every_arm(plan: Plan) -> None:
    searches = [ArmSearch(plan, arm) for arm in plan.arms]
    for k in range(plan.trials):
        points = [search.propose(k) for search in searches]
        shared = [{name: point[name] for name in plan.nuisance} for point in points]
        assert all(point == shared[0] for point in shared)


def test_tpe_shares_the_first_half_and_adapts_in_the_second() -> None:
    plan = make_plan(make_study(search={"sampler": "tpe", "trials_per_arm": 8}))
    first, second = ArmSearch(plan, plan.arms[0]), ArmSearch(plan, plan.arms[1])
    same = []
    for k in range(8):
        one, other = first.propose(k), second.propose(k)
        same.append(one["learning_rate"] == other["learning_rate"])
        first.finish(k, "completed", one["learning_rate"])
        second.finish(k, "completed", -other["learning_rate"])
    assert same == [True] * 4 + [False] * 4
