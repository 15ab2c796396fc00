"""Test figures of a run: those of the test images, and of images that were used for nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trainables.engine.small_runs import measured, start
from trainables import records
from trainables.data.selection import select
from trainables.data.unused import unused_images

pytestmark = pytest.mark.usefixtures("own_code")


def test_the_test_result_has_one_entry_per_image(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, model="resnet8")
    measured(run, 3)
    result = run.test()
    n = len(digits["test_labels"])
    assert (result.correct.shape, result.correct.dtype) == ((n,), np.bool_)
    assert (result.loss.shape, result.loss.dtype) == ((n,), np.float32)
    assert set(result.metrics) == set(records.TEST_METRICS)
    assert result.metrics[records.TEST_ACCURACY] == pytest.approx(result.correct.mean())
    assert result.metrics[records.TEST_LOSS] == pytest.approx(result.loss.mean())
    assert result.loss[result.correct].max() <= np.log(10) + 1e-3


def test_the_extended_test_part_has_the_test_images_and_the_unused_ones(digits: dict[str, np.ndarray]) -> None:
    run = start(digits)
    run.train_epoch()
    official, extended = run.test(), run.test("extended")
    assert official.metrics.items() <= extended.metrics.items()
    assert np.array_equal(official.correct, extended.correct)
    count = extended.metrics[records.EXTENDED_TEST_IMAGES]
    chosen = select(digits, run.config, 10)
    assert count == len(digits["images"]) + len(digits["test_images"]) - len(chosen.train) - len(chosen.validation)
    accuracy = extended.metrics[records.EXTENDED_TEST_ACCURACY]
    assert (accuracy * count) % 1 == pytest.approx(0, abs=1e-6)
    share = len(digits["test_images"]) / count
    assert accuracy > share * official.metrics[records.TEST_ACCURACY]
    assert accuracy < share * official.metrics[records.TEST_ACCURACY] + 1 - share


def test_without_unused_images_the_extended_figures_are_the_official_ones(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, train_fraction=1.0, epochs=1)
    metrics = run.test("extended").metrics
    for name in records.TEST_METRICS:
        assert metrics[f"extended_{name}"] == metrics[name]


def test_wrong_labels_of_training_images_do_not_reach_the_extended_part(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, label_noise=0.5)
    unused = unused_images(digits, run._chosen, run.config.split_seed)
    assert len(unused) > 100
    assert np.array_equal(run._data.development.labels[unused], digits["labels"][unused])
    assert not np.array_equal(run._data.development.labels, digits["labels"])
