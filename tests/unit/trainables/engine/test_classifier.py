"""Classifier: metrics of an epoch, reproducible runs, shared compilation, and failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.trainables.engine.small_runs import measured, start
from trainables import records
from trainables.augmentation.crop import Crop
from trainables.engine import evaluated
from trainables.engine.classifier import Classifier
from trainables.engine.network import Network
from trainables.engine.step import epoch_function
from trainables.errors import DivergedError, InputError

pytestmark = pytest.mark.usefixtures("own_code")


def test_every_epoch_reports_all_metrics(digits: dict[str, np.ndarray]) -> None:
    run = start(digits)
    metrics = run.train_epoch()
    assert set(metrics) == set(records.EPOCH_METRICS)
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())
    assert run.epoch == 1


def test_the_same_seed_gives_the_same_run_independently_of_earlier_runs(digits: dict[str, np.ndarray]) -> None:
    first = measured(start(digits, model="resnet8"), 2)
    other = measured(start(digits, model="resnet8", seed=4), 2)
    assert measured(start(digits, model="resnet8"), 2) == first
    assert other != first


def test_runs_that_differ_in_numbers_share_one_trace(
    digits: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("baseline", "mixup", "maxup"):
        measured(start(digits, method), 1)
    traces = []
    logits = Network.logits
    monkeypatch.setattr(Network, "logits", lambda *args, **kwargs: traces.append(1) or logits(*args, **kwargs))
    misses = epoch_function.cache_info().misses
    numbers = {"learning_rate": 0.01, "weight_decay": 0.01, "momentum": 0.5, "label_smoothing": 0.1, "seed": 8}
    for method, fields in {
        "baseline": {"batch_size": 16},
        "maxup_mean": {"maxup_mean.m": 3},
        "mixup": {"mixup.alpha": 1.0, "mixup.share": "batch", "train_fraction": 0.5},
        "sample_pairing": {"train_fraction": 0.1},
        "maxup": {"maxup.m": 7, "split_seed": 5},
    }.items():
        run = start(digits, method, **numbers, **fields)
        measured(run, 2)
        run.test()
    assert traces == []
    assert epoch_function.cache_info().misses == misses


def test_the_number_of_compiled_functions_is_bounded() -> None:
    assert epoch_function.cache_info().maxsize == 16


def test_an_incomplete_batch_is_dropped_and_a_large_batch_holds_all_images(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, batch_size=50)
    n = len(run._train)
    assert n % 50 > 0
    assert run._batches(0)["index"].shape == (n // 50, 1, 1, 50)
    whole = start(digits, batch_size=100_000)._batches(0)["index"]
    assert whole.shape == (1, 1, 1, n)
    assert sorted(whole.ravel()) == sorted(run._train)


def test_training_metrics_use_as_many_images_as_validation(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, train_fraction=1.0)
    assert len(run._measured) == len(run._validation)
    assert set(run._measured) <= set(run._train)
    assert np.array_equal(run._measured, start(digits, "maxup", train_fraction=1.0, seed=9)._measured)
    assert not set(run._train) & set(run._validation)


def test_the_limit_of_measured_training_images_changes_no_bit_of_anything_else(
    digits: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    three = {**digits, **{name: np.concatenate([digits[name]] * 3) for name in ("images", "labels")}}
    settings = {"train_fraction": 1.0, "validation_fraction": 0.45, "epochs": 2}
    limited = start(three, **settings)
    monkeypatch.setattr(evaluated, "MEASURED", 10**9)
    whole = start(three, **settings)
    assert len(whole._measured) == len(whole._validation) > 1_500
    assert 1_000 <= len(limited._measured) < 1_512
    assert np.array_equal(limited._measured, whole._measured[: len(limited._measured)])
    assert limited.evaluated == len(limited._measured) + len(limited._validation)
    training = {records.TRAIN_LOSS, records.TRAIN_ACCURACY}
    for one, other in zip(measured(limited, 2), measured(whole, 2), strict=True):
        assert {name for name in one if one[name] != other[name]} <= training
        assert one[records.TRAIN_ACCURACY] == pytest.approx(other[records.TRAIN_ACCURACY], abs=0.05)
    assert limited.test().metrics == whole.test().metrics


def test_plain_epochs_include_the_cost_of_the_method(digits: dict[str, np.ndarray]) -> None:
    def costs(method: str, **fields: Any) -> list[float]:
        return [row[records.PLAIN_EPOCHS] for row in measured(start(digits, method, **fields), 2)]

    assert costs("baseline") == [1, 2]
    assert costs("sample_pairing") == [1, 2]
    assert costs("maxup", **{"maxup.m": 6}) == [3, 6]
    assert costs("maxup_mean", **{"maxup_mean.m": 6}) == [6, 12]


def test_a_diverged_run_raises_and_its_test_accuracy_is_that_of_guessing(digits: dict[str, np.ndarray]) -> None:
    config = start(digits, model="resnet8", epochs=4).config
    optimizer = config.optimizer.model_copy(update={"learning_rate": 1e30})  # more than a study may ask for
    run = Classifier(config.model_copy(update={"optimizer": optimizer}), digits, 10)
    with pytest.raises(DivergedError, match="not finite in epoch") as caught:
        measured(run, 4)
    assert caught.value.epoch == run.epoch + 1
    result = run.test()
    assert result.metrics[records.TEST_LOSS] == pytest.approx(np.log(10))
    assert result.metrics[records.TEST_ACCURACY] == pytest.approx(0.1, abs=0.02)


def test_images_too_small_for_the_model_are_refused(digits: dict[str, np.ndarray]) -> None:
    small = {name: array[:, :6] if "images" in name else array for name, array in digits.items()}
    with pytest.raises(InputError, match=r"`resnet8` needs images of at least 8 x 8 pixels"):
        start(small, model="resnet8")


def test_weight_decay_applies_to_all_weights_only_with_decay_all(digits: dict[str, np.ndarray]) -> None:
    spared, all_of_them = (start(digits, decay_all=on)._constants["decayed"] for on in (False, True))
    assert 0 < spared.sum() < all_of_them.sum() == len(all_of_them)


def test_a_loss_far_above_chance_is_a_warning(digits: dict[str, np.ndarray]) -> None:
    run = start(digits)
    run._check_loss(2 * np.log(10) - 0.1)
    assert run.warning == ""
    run._check_loss(2 * np.log(10) + 0.1)
    assert "far above that of guessing (2.3)" in run.warning
    run._check_loss(1.0)
    assert run.warning == ""


def test_an_augmentation_that_xla_cannot_compile_is_not_compiled(
    digits: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    def by_numpy(images: Any, draws: dict[str, Any]) -> Any:
        return tf.ensure_shape(tf.numpy_function(np.flip, [images, [1]], tf.uint8), images.shape)

    monkeypatch.setattr(Crop, "apply", staticmethod(by_numpy))
    epoch_function.cache_clear()
    with pytest.raises(tf.errors.InvalidArgumentError, match="PyFunc"):
        start(digits).train_epoch()
    monkeypatch.setattr(Crop, "compiles", False)
    epoch_function.cache_clear()
    flipped = start(digits).train_epoch()
    epoch_function.cache_clear()
    assert np.isfinite(flipped[records.TRAIN_LOSS])


@pytest.mark.parametrize("changes", [{"precision": "mixed"}, {"compile": "xla"}])
def test_speed_options_train_to_nearly_the_same_metrics(digits: dict[str, np.ndarray], changes: dict) -> None:
    fields = {"model": "tests.support.networks:convolutional", "epochs": 4, "train_fraction": 0.5}
    plain = measured(start(digits, "maxup", **fields), 2)[-1]
    other = measured(start(digits, "maxup", **fields, **changes), 2)[-1]
    assert other != plain
    assert other[records.TRAIN_LOSS] == pytest.approx(plain[records.TRAIN_LOSS], rel=0.15)


def test_compiled_crops_equal_uncompiled_ones(digits: dict[str, np.ndarray]) -> None:
    assert measured(start(digits), 2) == measured(start(digits, compile="off"), 2)


def test_a_run_that_stays_at_chance_is_named(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, model="resnet8", learning_rate=1e-9, epochs=2)
    run.train_epoch()
    assert run.warning == ""
    run.train_epoch()
    assert "has not learned: after the last epoch its validation accuracy" in run.warning
    learns = start(digits, model="resnet8", epochs=3)
    measured(learns, 3)
    assert learns.warning == ""
