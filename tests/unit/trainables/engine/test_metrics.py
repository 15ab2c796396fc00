"""Metrics against scikit-learn, and the calibration error against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn import metrics as reference

from trainables import records
from trainables.engine.metrics import BINS, Predictions, balanced_accuracy, calibration_error, macro_f1

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)


@given(LABELS)
def test_balanced_accuracy_and_macro_f1_match_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels, classes = np.array(pairs).T
    recall = [np.mean(classes[labels == label] == label) for label in np.unique(labels)]
    assert balanced_accuracy(labels, classes) == pytest.approx(np.mean(recall))
    expected = reference.f1_score(labels, classes, average="macro", zero_division=0.0)
    assert macro_f1(labels, classes) == pytest.approx(expected)


def test_balanced_accuracy_matches_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels, classes = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    assert balanced_accuracy(labels, classes) == pytest.approx(reference.balanced_accuracy_score(labels, classes))


@given(st.lists(st.tuples(st.floats(2**-10, 1, width=32), st.booleans()), min_size=1, max_size=60))
def test_the_calibration_error_matches_the_definition_of_the_paper(pairs: list[tuple[float, bool]]) -> None:
    confidence = np.array([pair[0] for pair in pairs], dtype="float32")
    correct = np.array([pair[1] for pair in pairs])
    expected = 0.0
    for b in range(BINS):
        inside = (confidence.astype(float) * BINS > b) & (confidence.astype(float) * BINS <= b + 1)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].astype(float).mean())
            expected += inside.mean() * gap
    assert calibration_error(confidence, correct) == pytest.approx(expected, abs=1e-6)


def test_the_calibration_error_is_zero_if_calibrated_and_positive_if_overconfident() -> None:
    correct = np.arange(100) < 70
    assert calibration_error(np.full(100, 0.7, "float32"), correct) == pytest.approx(0, abs=1e-6)
    assert calibration_error(np.full(100, 1.0, "float32"), correct) == pytest.approx(0.3)


def test_scores_have_the_names_in_records() -> None:
    labels, classes = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    found = Predictions(labels, classes, np.full(4, 0.9, "float32"), np.array([0.1, 0.2, 2.0, 0.1], "float32"))
    assert set(found.scores("test")) == set(records.TEST_METRICS)
    assert set(found.scores("validation")) == set(records.METRICS) <= set(records.EPOCH_METRICS)
    assert found.scores("test")[records.TEST_LOSS] == pytest.approx(0.6)
    assert found.scores("test")[records.TEST_ACCURACY] == 0.75
    assert found[2:].correct.tolist() == [False, True]


@pytest.mark.parametrize("metric", records.METRICS)
def test_as_maximized_orders_metrics_and_the_worst_value_is_below_all(metric: str) -> None:
    low, high = records.as_maximized(metric, 0.2), records.as_maximized(metric, 0.3)
    better_is_lower = metric in {"validation_loss", "validation_calibration_error"}
    assert (low > high) == better_is_lower
    assert records.as_maximized(metric, records.as_maximized(metric, 0.2)) == 0.2
    assert records.as_maximized(metric, records.worst(metric)) < min(low, high)
