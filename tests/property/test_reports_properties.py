"""Properties of the statistics and the wording that hold for any data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from reports.figures.style import shown
from reports.inference import wording as text
from reports.statistics import estimators, significance

ACCURACY = st.floats(0, 1, width=32)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
CELLS = st.tuples(st.integers(1, 4), st.integers(2, 6)).flatmap(
    lambda shape: st.tuples(
        arrays(float, (2, *shape), elements=ACCURACY), arrays(float, (2, *shape), elements=ACCURACY)
    )
)


@given(P_VALUES)
def test_holm_never_lowers_a_p_value_keeps_the_order_and_is_at_most_bonferroni(p_values: list[float]) -> None:
    adjusted = significance.holm(p_values)
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert all(p - 1e-12 <= q <= min(1.0, len(p_values) * p) + 1e-12 for p, q in pairs)
    assert all(first[1] <= second[1] + 1e-12 for first, second in pairwise(pairs))


@given(CELLS)
def test_exchanging_the_arms_reverses_the_sign_of_both_effects(cells: tuple[np.ndarray, np.ndarray]) -> None:
    selection, test = cells
    tuned, chosen = estimators.tuned_differences(selection, test)
    turned, other = estimators.tuned_differences(selection[::-1], test[::-1])
    np.testing.assert_allclose(turned, -tuned)
    np.testing.assert_array_equal(other, chosen[::-1])
    np.testing.assert_allclose(estimators.matched_differences(test[::-1]), -estimators.matched_differences(test))


@given(CELLS, st.floats(-1, 1))
def test_the_shrunken_choice_of_points_follows_exchanges_and_ignores_levels(
    cells: tuple[np.ndarray, np.ndarray], level: float
) -> None:
    means = estimators.shrunken_means(cells[0])
    np.testing.assert_allclose(estimators.shrunken_means(cells[0][::-1]), means[::-1], atol=1e-12)
    np.testing.assert_allclose(estimators.shrunken_means(cells[0] + level), means, atol=1e-9)
    plain = cells[0].mean(axis=2) - cells[0].mean(axis=2).mean(axis=1, keepdims=True)
    average = plain.mean(axis=0)
    assert (np.abs(means - average) <= np.abs(plain - average) + 1e-9).all()  # never more apart than the plain means


@given(CELLS)
def test_tuned_and_matched_differences_are_equal_for_a_single_point(cells: tuple[np.ndarray, np.ndarray]) -> None:
    selection, test = cells[0][:, :1], cells[1][:, :1]
    np.testing.assert_allclose(
        estimators.tuned_differences(selection, test)[0].mean(axis=0), estimators.matched_differences(test)
    )


@given(CELLS)
@settings(max_examples=50)
def test_the_sign_flip_p_value_is_a_multiple_of_the_share_of_one_pattern(
    cells: tuple[np.ndarray, np.ndarray],
) -> None:
    selection, test = cells
    p = significance.sign_flip_p(selection, test)
    patterns = 2 ** test.shape[2]
    assert 1 / patterns <= p <= 1
    assert abs(p * patterns - round(p * patterns)) < 1e-9


@given(arrays(float, st.integers(2, 30), elements=st.floats(-0.25, 0.25, width=32)), st.floats(0.001, 0.1))
def test_effects_above_the_margin_are_never_equivalent(differences: np.ndarray, margin: float) -> None:
    estimate = estimators.over_seeds(differences)
    equivalent = significance.equivalence_p(estimate, margin)
    assert 0 <= equivalent <= 1
    assert 0 <= significance.difference_p(estimate) <= 1
    if equivalent < 0.05:
        assert abs(estimate.mean) < margin


@given(arrays(float, st.integers(1, 30), elements=st.floats(-0.25, 0.25, width=32)))
def test_the_interval_contains_the_probability_of_improvement(differences: np.ndarray) -> None:
    found = estimators.improvement(differences)
    assert 0 <= found.interval.low <= found.share <= found.interval.high <= 1


@given(st.floats(-1, 1), st.integers(1, 2))
def test_formatted_points_can_be_parsed(fraction: float, digits: int) -> None:
    words = text.signed(fraction, digits)
    assert abs(float(words.replace("−", "-")) - 100 * fraction) <= 0.5 * 10**-digits + 1e-9
    assert words not in ("−0.0", "+0.0", "−0.00", "+0.00")


@given(st.text(max_size=200))
def test_names_never_produce_markup(name: str) -> None:
    assert not set("<>") & set(shown(name))
    assert "%{" not in shown(name)
    cell = text.escape_markdown(name)
    assert not set("<>\n\r") & set(cell)
    assert "|" not in cell.replace("\\\\", "").replace("\\|", "")
