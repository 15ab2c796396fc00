"""Choice of points: plain and shrunken means of two arms."""

from __future__ import annotations

import numpy as np

from reports.statistics.estimators import own_best, shrunken_means


def test_a_clear_preference_is_kept() -> None:
    rng = np.random.default_rng(0)
    quality = np.array([[0.0, 1.0], [1.0, 0.0]])
    selection = quality[:, :, None] + 0.1 * rng.normal(size=(2, 2, 8))
    assert own_best(selection, shrunken=True).tolist() == own_best(selection).tolist() == [[1], [0]]


def test_the_share_is_that_of_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(1)
    selection = rng.normal(size=(3, 4, 5)) + 0.8 * rng.normal(size=(3, 4, 1))
    arms, points, seeds = selection.shape
    means = selection.mean(axis=2)
    expected = means - means.mean(axis=1, keepdims=True) - means.mean(axis=0) + means.mean()
    per_seed = selection - selection.mean(axis=1, keepdims=True) - selection.mean(axis=0) + selection.mean(axis=(0, 1))
    freedom = (arms - 1) * (points - 1)
    explained = seeds * (expected**2).sum() / freedom
    residual = ((per_seed - expected[:, :, None]) ** 2).sum() / (freedom * (seeds - 1))
    assert 0 < 1 - residual / explained < 1
    shrunken = means.mean(axis=0) - means.mean() + (1 - residual / explained) * expected
    np.testing.assert_allclose(shrunken_means(selection), shrunken)


def test_equal_arms_rarely_choose_different_points() -> None:
    rng = np.random.default_rng(2)
    apart = {False: 0, True: 0}
    for _ in range(400):
        quality = np.array([0.0, 0.5])[None, :, None]
        selection = quality + rng.normal(size=(2, 2, 6))
        for shrunken in apart:
            first, second = own_best(selection, shrunken=shrunken)[:, 0]
            apart[shrunken] += int(first != second)
    assert apart[False] > 100
    assert apart[True] < apart[False] / 2


def test_a_single_point_or_seed_is_no_special_case() -> None:
    assert own_best(np.ones((2, 1, 3)), shrunken=True).tolist() == [[0], [0]]
    one_seed = np.array([[[0.1], [0.3]], [[0.2], [0.0]]])
    assert own_best(one_seed, shrunken=True).tolist() == own_best(one_seed).tolist()


def test_each_search_chooses_among_its_own_points() -> None:
    rng = np.random.default_rng(3)
    selection = rng.normal(size=(2, 4, 6))
    searches = np.array([0, 1, 0, 1])
    chosen = own_best(selection, searches, shrunken=True)
    for search, places in ((0, [0, 2]), (1, [1, 3])):
        alone = own_best(selection[:, places], shrunken=True)[:, 0]
        assert chosen[:, search].tolist() == [places[place] for place in alone]
