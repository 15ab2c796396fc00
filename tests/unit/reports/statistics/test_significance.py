"""Significance tests compared with SciPy, statsmodels, published examples and simulations."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from reports.statistics import significance
from reports.statistics.estimators import Estimate, over_seeds, tuned_differences

A = np.array([0.871, 0.866, 0.878, 0.869, 0.874, 0.880])
B = np.array([0.868, 0.868, 0.869, 0.866, 0.870, 0.871])


def test_difference_p_reproduces_students_example() -> None:
    """Hours of sleep gained under two drugs (Student, 1908): t = 4.062 with 9 degrees of freedom, p = .0028."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
    estimate = over_seeds(second - first)
    assert (estimate.mean, estimate.mean / estimate.error) == pytest.approx((1.58, 4.0621), abs=1e-4)
    assert significance.difference_p(estimate) == pytest.approx(0.002833, abs=1e-6)
    assert estimate.interval is not None
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((0.7001142, 2.4598858))


def test_sign_flip_p_reproduces_fishers_analysis_of_darwins_maize() -> None:
    """In eighths of an inch, crossed minus self-fertilised: 1 726 of 32 768 patterns are as extreme (Fisher, 1935)."""
    differences = np.array([49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48.0])
    assert significance.difference_p(over_seeds(differences)) == pytest.approx(0.0497, abs=1e-4)
    test = np.stack([differences, np.zeros(15)])[:, None, :]
    assert significance.sign_flip_p(test, test) == pytest.approx(1726 / 32768, abs=0.006)


def test_difference_p_equals_scipys_paired_t_test() -> None:
    assert significance.difference_p(over_seeds(A - B)) == pytest.approx(stats.ttest_rel(A, B).pvalue)


@pytest.mark.parametrize("margin", [0.002, 0.005, 0.02])
def test_equivalence_p_equals_statsmodels_two_one_sided_tests(margin: float) -> None:
    expected = ttost_paired(A, B, -margin, margin)[0]
    assert significance.equivalence_p(over_seeds(A - B), margin) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("differences", "difference", "equivalence"),
    [
        ([0.01], 1.0, 1.0),  # one seed
        ([0.01, 0.01, 0.01], 1.0, 1.0),  # equal to rounding: no standard error
        ([0.0, 0.0], 1.0, 1.0),  # two ties can be chance
        ([0.0, 0.0, 0.0], 1.0, 0.0),  # the method changes nothing
    ],
)
def test_without_spread_only_exact_identity_is_claimed(
    differences: list[float], difference: float, equivalence: float
) -> None:
    estimate = over_seeds(np.array(differences))
    assert significance.difference_p(estimate) == difference
    assert significance.equivalence_p(estimate, 0.005) == equivalence


def test_nothing_is_equivalent_without_a_smallest_effect() -> None:
    assert significance.equivalence_p(Estimate(0.0, 1e-6, 9), 0.0) == 1.0


def test_holm_reproduces_a_worked_example() -> None:
    # p = .01, .04, .03, .005: ordered .005 x 4, .01 x 3, .03 x 2, .04 x 1, made monotone.
    assert significance.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_equals_the_step_down_formula() -> None:
    p_values = np.random.default_rng(1).random(20) ** 4
    expected, largest = {}, 0.0
    for place, p in enumerate(sorted(p_values)):
        largest = max(largest, (20 - place) * p)
        expected[p] = min(largest, 1.0)
    assert significance.holm(list(p_values)) == pytest.approx([expected[p] for p in p_values])


def test_holm_equals_statsmodels() -> None:
    p_values = [0.2, 0.01, 0.01, 0.9, 1.0, 0.0, 0.04]
    assert significance.holm(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_holm_keeps_missing_tests_in_the_family() -> None:
    assert significance.holm([0.02, 1.0, 1.0]) == pytest.approx([0.06, 1.0, 1.0])
    assert significance.holm([]) == []


def enumerated_p(selection: np.ndarray, test: np.ndarray, shrunken: bool = False) -> float:
    """Return the p-value of the sign-flip test from the effect under each pattern of exchanges, one at a time."""

    def effect(pattern: tuple[int, ...]) -> float:
        swapped = [array.copy() for array in (selection, test)]
        for array in swapped:
            for seed, flip in enumerate(pattern):
                if flip:
                    array[:, :, seed] = array[::-1, :, seed]
        return abs(tuned_differences(*swapped, shrunken=shrunken)[0].mean())

    effects = [effect(pattern) for pattern in product((0, 1), repeat=test.shape[2])]
    return float(np.mean([value >= effects[0] - 1e-12 for value in effects]))


def test_the_sign_flip_test_agrees_with_enumerating_all_exchanges() -> None:
    selection, test = np.random.default_rng(4).normal(0, 1, (2, 2, 3, 5))
    assert significance.sign_flip_p(selection, test) == pytest.approx(enumerated_p(selection, test))


@pytest.mark.parametrize("shrunken", [False, True])
def test_the_sign_flip_test_breaks_ties_of_small_validation_parts_as_the_selection_does(shrunken: bool) -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        points, seeds, images = rng.integers(2, 4), rng.integers(2, 5), rng.choice([5, 30])
        selection, test = rng.integers(0, images + 1, (2, 2, points, seeds)) / images
        p = significance.sign_flip_p(selection, test, shrunken=shrunken)
        assert p == pytest.approx(enumerated_p(selection, test, shrunken))
        assert p >= 2.0**-seeds


def test_the_sign_flip_test_with_one_point_equals_scipys_permutation_test() -> None:
    test = np.stack([A, B])[:, None, :]
    expected = stats.permutation_test(
        (A, B), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert significance.sign_flip_p(test, test) == pytest.approx(expected)


def test_the_sign_flip_test_with_many_seeds_is_sampled_reproducibly() -> None:
    rng = np.random.default_rng(8)
    test = rng.normal(0, 1, (2, 2, 20))
    test[0] += 0.8
    p = significance.sign_flip_p(test, test)
    assert p == significance.sign_flip_p(test, test)
    assert 0 < p < 0.2


@pytest.mark.parametrize(("standardised", "seeds", "alpha"), [(0.5, 10, 0.05), (1.0, 6, 0.01), (0.2, 200, 0.005)])
def test_power_agrees_with_statsmodels(standardised: float, seeds: int, alpha: float) -> None:
    expected = TTestPower().power(standardised, seeds, alpha)
    assert significance.power(standardised, seeds, alpha) == pytest.approx(expected, abs=1e-6)


def test_seeds_needed_is_the_smallest_number_with_the_power() -> None:
    found = significance.seeds_needed(spread=0.01, seeds=10, effect=0.005, alpha=0.05)
    assert found is not None
    assert found.likely == 34  # Cohen's tables: d = 0.5, paired, power .80
    assert significance.power(0.5, 34, 0.05) >= significance.POWER > significance.power(0.5, 33, 0.05)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 34 < found.high


def test_seeds_needed_may_exceed_the_limit_or_be_unknown() -> None:
    assert significance.seeds_needed(1.0, 6, 0.001, 0.05) == significance.SeedsNeeded(None, None, None)
    assert significance.seeds_needed(0.01, 1, 0.005, 0.05) is None
    assert significance.seeds_needed(0.0, 6, 0.005, 0.05) is None
    assert significance.seeds_needed(0.01, 6, 0.0, 0.05) is None


@pytest.mark.parametrize("seeds", [6, 10])
def test_identical_methods_are_rarely_found_different(seeds: int) -> None:
    """Simulate a crossed confirmation of two identical arms with point effects, seed effects and noise per cell."""
    rng = np.random.default_rng(seeds)
    tuned = flipped = 0
    studies = 1000
    for _ in range(studies):
        shared = rng.normal(0, 1, (3, 1)) + rng.normal(0, 1, seeds)
        test = shared + rng.normal(0, 1, (2, 3, seeds))
        selection = test + rng.normal(0, 1, (2, 3, seeds))
        tuned += significance.difference_p(over_seeds(tuned_differences(selection, test)[0].mean(axis=0))) <= 0.05
        flipped += significance.sign_flip_p(selection, test) <= 0.05
    assert tuned / studies <= 0.065
    assert flipped / studies <= 0.065
    assert tuned > 0
