"""Classifier: reproducible and resumed runs, shared compilation, and failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables import records
from trainables.augmentation.crop import Crop
from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.data.selection import select
from trainables.data.unused import unused_images
from trainables.engine import evaluated
from trainables.engine.classifier import RUN_FILE, STATE_FILE, Classifier
from trainables.engine.network import Network
from trainables.engine.step import epoch_function
from trainables.errors import DivergedError, InputError, TrialError
from trainables.methods import METHODS
from trainables.models import MODELS
from trainables.optimizers import OPTIMIZERS

pytestmark = pytest.mark.usefixtures("own_code")

tensorflow_backend.configure(threads=1, deterministic=True)
TIMES = {records.SECONDS, records.IMAGES_PER_SECOND}
DROPOUT = "tests.unit.trainables.engine.test_classifier:dropout_network"


def dropout_network(image_shape: tuple[int, int, int], classes: int) -> Any:
    import keras
    from keras import layers

    steps = [layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input(image_shape), *steps, layers.Dense(classes)])


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


def start(digits: dict[str, np.ndarray], method: str = "baseline", **changes: Any) -> Classifier:
    plain = {"data": "digits", "model": DROPOUT, "augmentation": "crop", "method": method}
    plain |= {"epochs": 4, "batch_size": 32, "train_fraction": 0.2, "learning_rate": 0.05, "seed": 3}
    if method == "sample_pairing":
        plain |= {"sample_pairing.start": 0.25, "sample_pairing.on_epochs": 1, "sample_pairing.off_epochs": 1}
    return Classifier(RunConfig.from_plain(plain | changes), digits, 10)


def measured(run: Classifier, epochs: int) -> list[dict[str, float]]:
    """Train and return the metrics of each epoch, without times."""
    rows = [run.train_epoch() for _ in range(epochs)]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def saved(run: Classifier, folder: Path) -> dict[str, np.ndarray]:
    folder.mkdir(exist_ok=True)
    run.save(folder)
    with np.load(folder / STATE_FILE) as archive:
        return {name: archive[name] for name in archive.files}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_every_epoch_reports_all_metrics(digits: dict[str, np.ndarray]) -> None:
    run = start(digits)
    metrics = run.train_epoch()
    assert set(metrics) == set(records.EPOCH_METRICS)
    assert all(isinstance(value, float) and np.isfinite(value) for value in metrics.values())
    assert run.epoch == 1


@pytest.mark.parametrize(
    ("method", "model"),
    [
        *((method, DROPOUT) for method in METHODS),
        ("maxup", "resnet8"),
        *(pytest.param(method, "resnet8", marks=pytest.mark.slow) for method in METHODS if method != "maxup"),
    ],
)
def test_a_resumed_run_equals_the_uninterrupted_one(
    digits: dict[str, np.ndarray], tmp_path: Path, method: str, model: str
) -> None:
    whole = start(digits, method, model=model)
    first = measured(whole, 2)
    saved(whole, tmp_path / "half")
    rest = measured(whole, 2)

    resumed = start(digits, method, model=model)
    resumed.restore(tmp_path / "half")
    assert resumed.epoch == 2
    assert measured(resumed, 2) == rest
    assert same(saved(resumed, tmp_path / "a"), saved(whole, tmp_path / "b"))
    assert measured(start(digits, method, model=model), 4) == first + rest


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_every_optimizer_resumes(digits: dict[str, np.ndarray], tmp_path: Path, optimizer: str) -> None:
    whole = start(digits, optimizer=optimizer, learning_rate=0.003)
    measured(whole, 1)
    saved(whole, tmp_path / "half")
    resumed = start(digits, optimizer=optimizer, learning_rate=0.003)
    resumed.restore(tmp_path / "half")
    assert measured(resumed, 1) == measured(whole, 1)


def test_the_same_seed_gives_the_same_run_independently_of_earlier_runs(digits: dict[str, np.ndarray]) -> None:
    first = measured(start(digits, model="resnet8"), 2)
    other = measured(start(digits, model="resnet8", seed=4), 2)
    assert measured(start(digits, model="resnet8"), 2) == first
    assert other != first


@pytest.mark.parametrize("method", ["maxup", "maxup_mean"])
def test_one_copy_equals_the_baseline_bit_for_bit(digits: dict[str, np.ndarray], tmp_path: Path, method: str) -> None:
    runs = [start(digits, model="resnet8"), start(digits, method, model="resnet8", **{f"{method}.m": 1})]
    baseline, single = (measured(run, 2) for run in runs)
    assert single == baseline
    assert same(*(saved(run, tmp_path / str(i)) for i, run in enumerate(runs)))


def test_sample_pairing_equals_the_baseline_while_it_is_off(digits: dict[str, np.ndarray]) -> None:
    pairing = start(digits, "sample_pairing", model="resnet8", epochs=20)
    assert not any(pairing.config.method.active(epoch, 20) for epoch in range(5))
    assert measured(pairing, 3) == measured(start(digits, model="resnet8", epochs=20), 3)


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


def drawn_for(run: Classifier, epoch: int) -> dict[int, tuple]:
    """Return the draws of each image, by its index."""
    batches = run._batches(epoch)
    index = batches["index"][:, 0].ravel()
    columns = [batches["augmentation"][name][:, 0].ravel() for name in sorted(batches["augmentation"])]
    return dict(zip(index.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True))


def test_an_examples_augmentation_does_not_depend_on_the_batch_size(digits: dict[str, np.ndarray]) -> None:
    small, large = drawn_for(start(digits, batch_size=7), 1), drawn_for(start(digits, batch_size=50), 1)
    common = set(small) & set(large)
    assert len(common) > 100
    assert all(small[image] == large[image] for image in common)


@pytest.mark.parametrize("method", list(METHODS))
def test_a_method_does_not_change_the_draws_of_the_baseline(digits: dict[str, np.ndarray], method: str) -> None:
    assert drawn_for(start(digits, method), 2) == drawn_for(start(digits), 2)


def test_copies_are_augmented_independently(digits: dict[str, np.ndarray]) -> None:
    down = start(digits, "maxup")._batches(0)["augmentation"]["down"]
    assert all(not np.array_equal(down[:, 0], down[:, copy]) for copy in range(1, 4))


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


def test_a_checkpoint_of_another_run_is_refused(digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    run = start(digits)
    measured(run, 1)
    saved(run, tmp_path)
    other = start(digits, seed=4)
    with pytest.raises(TrialError, match="belongs to a run with another configuration"):
        other.restore(tmp_path)
    assert other.epoch == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (STATE_FILE, b""),
        (STATE_FILE, b"PK\x03\x04 torn"),
        (STATE_FILE, None),
        (RUN_FILE, b"{"),
        (RUN_FILE, b"{}"),
        (RUN_FILE, b"[]"),
        (RUN_FILE, None),
    ],
)
def test_a_damaged_checkpoint_is_refused(
    digits: dict[str, np.ndarray], tmp_path: Path, name: str, content: bytes | None
) -> None:
    run = start(digits)
    saved(run, tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TrialError, match="is damaged"):
        run.restore(tmp_path)


def test_a_checkpoint_that_does_not_fit_is_refused(digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    run = start(digits)
    arrays = saved(run, tmp_path)
    np.savez(tmp_path / STATE_FILE, allow_pickle=False, **{**arrays, "weights": arrays["weights"][:-1]})
    with pytest.raises(TrialError, match="does not fit the network"):
        run.restore(tmp_path)
    assert json.loads((tmp_path / RUN_FILE).read_text())["epoch"] == 0


def test_images_too_small_for_the_model_are_refused(digits: dict[str, np.ndarray]) -> None:
    small = {name: array[:, :6] if "images" in name else array for name, array in digits.items()}
    with pytest.raises(InputError, match=r"`resnet8` needs images of at least 8 x 8 pixels"):
        start(small, model="resnet8")


def test_steps_that_make_whole_passes_equal_epochs(digits: dict[str, np.ndarray], tmp_path: Path) -> None:
    passes = start(digits, "mixup", epochs=4)
    each = passes._steps
    steps = start(digits, "mixup", epochs=4, steps=4 * each)
    assert measured(steps, 4) == measured(passes, 4)
    assert same(saved(steps, tmp_path / "a"), saved(passes, tmp_path / "b"))


def test_steps_divide_passes_evenly_and_do_not_change_the_draws(digits: dict[str, np.ndarray]) -> None:
    passes, steps = start(digits, "mixup", epochs=8), start(digits, "mixup", epochs=5, steps=33)
    whole, parts = ([run._batches(epoch) for epoch in range(run.config.epochs)] for run in (passes, steps))
    assert [len(batch["learning_rate"]) for batch in parts] == [6, 7, 6, 7, 7]
    for name in ("index", "augmentation", "method"):
        one, other = (nested([batch[name] for batch in batches]) for batches in (whole, parts))
        assert one.keys() == other.keys()
        for key in one:
            n = min(33, len(one[key]))
            assert np.array_equal(other[key][:n], one[key][:n])
    assert steps._plain_epochs() == 0
    steps.epoch = 5
    assert steps._plain_epochs() == pytest.approx(33 / steps._steps)


def nested(parts: list[Any]) -> dict[str, np.ndarray]:
    """Return nested arrays of several epochs, concatenated, by name."""
    if not isinstance(parts[0], dict):
        return {"": np.concatenate(parts)}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


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
    fields = {"model": "tests.networks:convolutional", "epochs": 4, "train_fraction": 0.5}
    plain = measured(start(digits, "maxup", **fields), 2)[-1]
    other = measured(start(digits, "maxup", **fields, **changes), 2)[-1]
    assert other != plain
    assert other[records.TRAIN_LOSS] == pytest.approx(plain[records.TRAIN_LOSS], rel=0.15)


def test_compiled_crops_equal_uncompiled_ones(digits: dict[str, np.ndarray]) -> None:
    assert measured(start(digits), 2) == measured(start(digits, compile="off"), 2)


def test_dropout_depends_on_the_seed_of_the_run() -> None:
    settings = MODELS.get("small_cnn")(name="small_cnn", dropout=0.5)
    first, second = (Network(settings, (16, 16, 1), 3) for _ in range(2))
    states = [network.initial(seed)[1] for network, seed in ((first, 7), (second, 7), (second, 8))]
    generators = [np.asarray(next(part for part in state if np.size(part) == 2)).tolist() for state in states]
    assert generators[0] == generators[1] != generators[2]


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


def test_a_run_that_stays_at_chance_is_named(digits: dict[str, np.ndarray]) -> None:
    run = start(digits, model="resnet8", learning_rate=1e-9, epochs=2)
    run.train_epoch()
    assert run.warning == ""
    run.train_epoch()
    assert "has not learned: after the last epoch its validation accuracy" in run.warning
    learns = start(digits, model="resnet8", epochs=3)
    measured(learns, 3)
    assert learns.warning == ""
