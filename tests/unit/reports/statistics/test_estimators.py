"""Estimators compared with SciPy, with worked examples, and with simulations of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.statistics import estimators

A = np.array([0.871, 0.866, 0.878, 0.869, 0.874, 0.880])
B = np.array([0.868, 0.868, 0.869, 0.866, 0.870, 0.871])


def test_each_arm_selects_its_best_point_on_validation_only() -> None:
    selection = np.array([[[0.5, 0.5], [0.7, 0.8]], [[0.6, 0.6], [0.5, 0.4]]])
    test = np.array([[[0.9, 0.9], [0.3, 0.4]], [[0.2, 0.2], [0.8, 0.8]]])
    differences, chosen = estimators.tuned_differences(selection, test)
    assert chosen.tolist() == [[1], [0]]
    np.testing.assert_allclose(differences, [[0.1, 0.2]])


def test_the_first_of_tied_points_is_selected() -> None:
    assert estimators.own_best(np.array([[[0.5, 0.7], [0.7, 0.5]]])).tolist() == [[0]]


def test_the_matched_effect_averages_differences_at_the_same_point() -> None:
    test = np.array([[[0.9, 0.8], [0.7, 0.8]], [[0.8, 0.8], [0.5, 0.4]]])
    np.testing.assert_allclose(estimators.matched_differences(test), [0.15, 0.2])


def test_the_interval_over_seeds_equals_scipys_paired_t_interval() -> None:
    estimate = estimators.over_seeds(A - B)
    expected = stats.ttest_rel(A, B).confidence_interval(0.95)
    assert estimate.interval is not None
    assert estimate.interval.low == pytest.approx(expected.low)
    assert estimate.interval.high == pytest.approx(expected.high)


@pytest.mark.parametrize("differences", [[0.01], [0.01, 0.01, 0.01], [0.0, 0.0]])
def test_without_spread_there_is_no_interval(differences: list[float]) -> None:
    estimate = estimators.over_seeds(np.array(differences))
    assert estimate.mean == pytest.approx(differences[0])
    assert estimate.interval is None


def test_the_error_over_seeds_and_images_agrees_with_an_analysis_of_variance() -> None:
    method = np.array([[1, 1, 0, 1], [1, 1, 0, 1], [1, 1, 0, 0]], dtype=bool)
    reference = np.array([[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 1, 0]], dtype=bool)
    # Differences: rows (1 1 -1 0), (1 1 -1 1), (1 1 -1 0); grand mean 1/3; row means 1/4, 1/2, 1/4; column means
    # 1, 1, -1, 1/3. Sums of squares: total 26/3, rows 1/6, columns 8, rest 1/2; freedom 2, 3, 6.
    seeds, images, rest = 1 / 12, 8 / 3, 1 / 12
    estimate = estimators.over_seeds_and(method.astype(float) - reference)
    assert estimate.mean == pytest.approx(1 / 3)
    assert estimate.error == pytest.approx(np.sqrt((seeds + images - rest) / 12))
    assert estimate.freedom == pytest.approx((8 / 3) ** 2 / (seeds**2 / 2 + images**2 / 3 + rest**2 / 6))


def test_the_wider_interval_is_never_narrower_than_the_one_over_seeds() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        method, reference = rng.random((2, 3, 40)) < 0.8
        wide = estimators.over_seeds_and(method.astype(float) - reference).interval
        alone = estimators.over_seeds(method.mean(axis=1) - reference.mean(axis=1)).interval
        if wide is None or alone is None:
            assert wide == alone
        else:
            assert wide.high - wide.low >= alone.high - alone.low - 1e-12


def test_only_the_wider_interval_covers_the_effect_over_new_images() -> None:
    """Simulate images that the method helps unequally; E phi(a + N(0, s^2)) = phi(a / sqrt(1 + s^2)) is the truth."""
    rng = np.random.default_rng(11)
    image_spread, help_spread, luck = 1.0, 1.5, 0.05
    truth = stats.norm.cdf(1.1 / np.sqrt(1 + image_spread**2 + help_spread**2 + luck**2))
    truth -= stats.norm.cdf(1.0 / np.sqrt(1 + image_spread**2 + luck**2))
    covered = {"seeds": 0, "images": 0}
    repeats = 300
    for _ in range(repeats):
        ease = 1.0 + rng.normal(0, image_spread, 120)
        helped = ease + 0.1 + rng.normal(0, help_spread, 120)
        seeds = rng.normal(0, luck, (2, 6, 1))
        method = rng.random((6, 120)) < stats.norm.cdf(helped + seeds[0])
        reference = rng.random((6, 120)) < stats.norm.cdf(ease + seeds[1])
        for name, estimate in (
            ("seeds", estimators.over_seeds(method.mean(axis=1) - reference.mean(axis=1))),
            ("images", estimators.over_seeds_and(method.astype(float) - reference)),
        ):
            interval = estimate.interval
            covered[name] += interval is not None and interval.low <= truth <= interval.high
    assert covered["seeds"] / repeats < 0.90
    assert 0.92 <= covered["images"] / repeats <= 0.99


def test_the_interval_over_six_seeds_has_its_nominal_coverage() -> None:
    rng = np.random.default_rng(5)
    intervals = [estimators.over_seeds(rng.normal(0.3, 1.0, 6)).interval for _ in range(2000)]
    covered = np.mean([found is not None and found.low <= 0.3 <= found.high for found in intervals])
    assert 0.935 <= covered <= 0.965


def test_the_bca_interval_needs_twenty_pairs_and_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    differences = rng.gamma(2.0, 1.0, 24)
    assert estimators.bca_interval(differences[:19]) is None
    found = estimators.bca_interval(differences)
    expected = stats.bootstrap((differences,), np.mean, rng=np.random.default_rng(0)).confidence_interval
    assert found is not None
    assert (found.low, found.high) == (expected.low, expected.high)
    assert estimators.bca_interval(np.full(24, 0.01)) is None


def test_the_probability_of_improvement_has_a_clopper_pearson_interval() -> None:
    found = estimators.improvement(np.array([1, 1, 1, -1, 1, 1.0]))
    expected = stats.binomtest(5, 6).proportion_ci(method="exact")
    assert found.share == pytest.approx(5 / 6)
    assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high))


def test_ties_count_half_and_widen_the_interval_on_both_sides() -> None:
    found = estimators.improvement(np.array([1.0, 0.0, 0.0, -1.0]))
    assert found.share == 0.5
    assert found.interval.low == pytest.approx(stats.binomtest(1, 4).proportion_ci().low)
    assert found.interval.high == pytest.approx(stats.binomtest(3, 4).proportion_ci().high)


def test_the_interval_of_a_standard_deviation_agrees_with_chi_square_tables() -> None:
    # chi-square with 9 degrees of freedom: 2.700 and 19.023 cut off 2.5 % each.
    found = estimators.spread_interval(1.0, 10)
    assert found.low == pytest.approx(np.sqrt(9 / 19.0228), rel=1e-4)
    assert found.high == pytest.approx(np.sqrt(9 / 2.70039), rel=1e-4)


def test_the_correlation_over_seeds_is_pearsons_r() -> None:
    assert estimators.correlation(A, B) == pytest.approx(stats.pearsonr(A, B).statistic)
    assert estimators.correlation(A[:2], B[:2]) is None
    assert estimators.correlation(A, np.full(6, 0.8)) is None
