"""Variance pooling: the formulas of limma, the restrictions, and error rates of simulated families."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import optimize, special, stats

from reports.statistics.estimators import Estimate, over_seeds
from reports.statistics.significance import difference_p, holm, power
from reports.statistics.variance_pooling import MOST_WEIGHT, _differ, _prior_freedom, pool_variances

ERRORS = st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=12)


def estimates_of(errors: list[float], freedom: float = 5) -> list[Estimate | None]:
    return [Estimate(0.01, error, freedom) for error in errors]


@pytest.mark.parametrize("excess", [0.01, 0.3, 2.0, 40.0])
def test_the_prior_solves_the_trigamma_equation(excess: float) -> None:
    found = _prior_freedom(np.array([excess]))[0]
    expected = optimize.brentq(lambda half: special.polygamma(1, half) - excess, 1e-3, 1e6)
    assert found == pytest.approx(2 * expected, rel=1e-6)


def test_without_excess_the_prior_is_certain() -> None:
    assert np.isinf(_prior_freedom(np.array([-0.1, 0.0]))).all()


def test_equal_variances_are_kept_and_gain_the_full_weight() -> None:
    for contrasts in (2, 5, 13, 30):
        pooled = pool_variances(estimates_of([0.02] * contrasts))
        weight = min(MOST_WEIGHT, (contrasts - 1) / 4)
        for estimate in pooled:
            assert estimate is not None
            assert estimate.error == pytest.approx(0.02)
            assert estimate.freedom == pytest.approx(5 * (1 + weight))


def test_the_formula_of_the_moderated_variance() -> None:
    errors = np.array([0.002, 0.004, 0.006, 0.003, 0.012, 0.005, 0.001])
    variances, freedom = 6 * errors**2, 5
    logs = np.log(variances) - special.digamma(freedom / 2) + math.log(freedom / 2)
    excess = logs.var(ddof=1) - special.polygamma(1, freedom / 2)
    prior = 2 * optimize.brentq(lambda half: special.polygamma(1, half) - excess, 1e-3, 1e6)
    assert prior < 1.5 * freedom  # the limit for seven contrasts: the formula itself is tested
    expected = np.maximum((prior * variances.mean() + freedom * variances) / (prior + freedom), variances)
    pooled = [estimate for estimate in pool_variances(estimates_of(errors.tolist())) if estimate]
    assert [estimate.error for estimate in pooled] == pytest.approx(np.sqrt(expected / 6).tolist())
    assert [estimate.freedom for estimate in pooled] == pytest.approx([prior + freedom] * 7)


@given(ERRORS)
def test_no_standard_error_shrinks_and_degrees_of_freedom_grow_within_limits(errors: list[float]) -> None:
    for error, estimate in zip(errors, pool_variances(estimates_of(errors)), strict=True):
        assert estimate is not None
        assert estimate.error >= error * (1 - 1e-9)
        assert 5 <= estimate.freedom <= 5 * (1 + min(MOST_WEIGHT, (len(errors) - 1) / 4)) + 1e-9


@given(ERRORS, st.floats(0.01, 100))
def test_the_unit_does_not_matter(errors: list[float], scale: float) -> None:
    first = pool_variances(estimates_of(errors))
    second = pool_variances(estimates_of([scale * error for error in errors]))
    for one, other in zip(first, second, strict=True):
        assert one is not None
        assert other is not None
        assert other.error == pytest.approx(scale * one.error, rel=1e-6)
        assert other.freedom == pytest.approx(one.freedom, rel=1e-4)


def test_contrasts_without_a_standard_error_neither_give_nor_take() -> None:
    identical, single = Estimate(0.0, 0.0, 5), Estimate(0.1, float("nan"), 0)
    family = [*estimates_of([0.01, 0.02]), None, identical, single]
    pooled = pool_variances(family)
    assert pooled[2:] == [None, identical, single]
    assert pooled[:2] == pool_variances(family[:2])


def test_a_single_contrast_is_left_alone() -> None:
    assert pool_variances([None, *estimates_of([0.01])]) == [None, *estimates_of([0.01])]


def test_conditions_with_different_spreads_do_not_lend_each_other_their_variance() -> None:
    narrow, wide = estimates_of([0.010, 0.011, 0.012, 0.011]), estimates_of([0.10, 0.11, 0.12, 0.11])
    names = ["a"] * 4 + ["b"] * 4
    assert pool_variances([*narrow, *wide], names) == [*pool_variances(narrow), *pool_variances(wide)]


def test_conditions_with_similar_spreads_are_pooled() -> None:
    family = estimates_of([0.010, 0.011, 0.012, 0.013])
    assert pool_variances(family, ["a", "a", "b", "b"]) == pool_variances(family)


def test_the_spreads_of_conditions_are_compared_by_bartletts_test() -> None:
    rng = np.random.default_rng(3)
    samples = [sd * rng.normal(size=7) for sd in (1.0, 1.6, 2.4)]
    singles = [[over_seeds(sample)] for sample in samples]  # one contrast each: the textbook case
    expected = stats.bartlett(*samples).pvalue
    assert _differ(singles) == (expected < 0.1)
    for limit in (expected * 0.999, expected * 1.001):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("reports.statistics.variance_pooling.SAME_SPREAD", limit)
            assert _differ(singles) == (expected < limit)


SPREADS = {
    "equal": np.ones(12),
    "two groups": np.repeat([1.0, 3.0], 6),
    "one large": np.array([4.0] + [1.0] * 11),
    "one small": np.array([0.2] + [1.0] * 11),
}


@pytest.mark.parametrize("name", SPREADS)
@pytest.mark.parametrize("seeds", [3, 6])
def test_families_without_effects_are_rarely_said_to_have_one(name: str, seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    families = 600
    claimed = 0
    for _ in range(families):
        draws = SPREADS[name][:, None] * rng.normal(size=(12, seeds))
        pooled = pool_variances([over_seeds(row) for row in draws], ["a"] * 6 + ["b"] * 6)
        claimed += min(holm([difference_p(estimate) for estimate in pooled if estimate])) <= 0.05
    assert stats.binomtest(claimed, families, 0.05, alternative="greater").pvalue > 0.01


def test_the_stated_power_is_that_of_simulated_families() -> None:
    rng, seeds, effect, families = np.random.default_rng(0), 6, 1.5, 400
    found = 0
    for _ in range(families):
        draws = rng.normal(size=(12, seeds))
        draws[0] += effect
        pooled = pool_variances([over_seeds(row) for row in draws])
        assert pooled[0] is not None
        found += difference_p(pooled[0]) <= 0.05 / 12
    stated = power(effect, seeds, 0.05 / 12, contrasts=12)
    assert stats.binomtest(found, families, stated).pvalue > 0.01
    assert stated > 1.8 * power(effect, seeds, 0.05 / 12)
