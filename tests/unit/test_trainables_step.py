"""Whole epochs of every method against NumPy, written from the papers, on a network without hidden layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainables import tensorflow_backend
from trainables.classifier import Classifier
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.models import MODELS, Architecture
from trainables.resident import channel_statistics, resident_data

tensorflow_backend.configure(threads=1, deterministic=True)
CLASSES = 10


def linear_network(image_shape: tuple[int, int, int], classes: int) -> Any:
    import keras
    from keras import layers

    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(classes)])


def normalising_network(image_shape: tuple[int, int, int], classes: int) -> Any:
    import keras
    from keras import layers

    normalise = layers.BatchNormalization(momentum=0.5, epsilon=1e-3)
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), normalise, layers.Dense(classes)])


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, network in (("linear", linear_network), ("normalising", normalising_network)):
        architecture = Architecture("for tests", smallest=1, network=network)
        monkeypatch.setitem(MODELS._entries, f"{name}_for_tests", architecture)


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


def start(digits: dict[str, np.ndarray], method: str, **changes: Any) -> Classifier:
    plain = {"data": "digits", "model": "linear_for_tests", "augmentation": "crop", "method": method, "seed": 1}
    plain |= {"epochs": 10, "batch_size": 24, "train_fraction": 0.1, "learning_rate": 0.02, "momentum": 0.9}
    plain |= {"weight_decay": 0.01, "label_smoothing": 0.1, "milestones": [0.15], "decay_factor": 0.5}
    if method == "sample_pairing":
        plain |= {"sample_pairing.start": 0.0, "sample_pairing.on_epochs": 1, "sample_pairing.off_epochs": 1}
    return Classifier(RunConfig.from_plain(plain | changes), digits, CLASSES)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def losses(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return -(y * np.log(softmax(x @ kernel + bias))).sum(axis=1)


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    return padded[1 + down : 9 + down, 1 + right : 9 + right]


def copies_of(batches: dict, step: int, digits: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised images (copies, batch, pixels) and labels (batch, classes) of one step."""
    mean, deviation = channel_statistics(digits["images"])
    index = batches["index"][step]
    moves = (batches["augmentation"]["down"][step], batches["augmentation"]["right"][step])
    images = np.stack(
        [
            [shifted(digits["images"][i], d, r) for i, d, r in zip(*row, strict=True)]
            for row in zip(index, *moves, strict=True)
        ]
    )
    normal = (images.astype(float) - mean) / deviation
    labels = np.eye(CLASSES)[digits["labels"][index[0]]] * 0.9 + 0.1 / CLASSES
    return normal.reshape(*index.shape, -1), labels


def mixed(x: np.ndarray, y: np.ndarray, draws: dict, step: int) -> tuple[np.ndarray, np.ndarray]:
    """mixup and SamplePairing by their formulas."""
    partner = draws["partner"][step]
    weight, label_weight = draws["weight"][step][:, None], draws["label_weight"][step][:, None]
    return weight * x + (1 - weight) * x[partner], label_weight * y + (1 - label_weight) * y[partner]


def worst(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Of each example the copy with the largest loss."""
    by_copy = np.stack([losses(copy, y, kernel, bias) for copy in x])
    return x[by_copy.argmax(axis=0), np.arange(len(y))]


def gradient(x: np.ndarray, y: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    error = (softmax(x @ kernel + bias) - y) / len(x)
    return x.T @ error, error.sum(axis=0)


def oracle(run: Classifier, digits: dict[str, np.ndarray], epochs: int) -> tuple[np.ndarray, list[float]]:
    """Train in NumPy, all copies backward, and return the weights and the mean loss of each epoch."""
    start, _ = run._network.initial(run.config.seed)
    kernel, bias = start[:-CLASSES].reshape(-1, CLASSES).astype(float), start[-CLASSES:].astype(float)
    kernel_velocity, bias_velocity = np.zeros_like(kernel), np.zeros_like(bias)
    means = []
    for epoch in range(epochs):
        batches, values = run._batches(epoch), []
        for step, rate in enumerate(batches["learning_rate"]):
            x, y = copies_of(batches, step, digits)
            if batches["method"]:
                mixture, y = mixed(x[0], y, batches["method"], step)
                x = mixture[None]
            if run.config.method.reduction == "max":
                x = worst(x, y, kernel, bias)[None]
            x, y = x.reshape(-1, x.shape[-1]), np.tile(y, (len(x), 1))
            values.append(losses(x, y, kernel, bias).mean())
            kernel_gradient, bias_gradient = gradient(x, y, kernel, bias)
            kernel_velocity = 0.9 * kernel_velocity + kernel_gradient + 0.01 * kernel
            bias_velocity = 0.9 * bias_velocity + bias_gradient
            kernel, bias = kernel - rate * kernel_velocity, bias - rate * bias_velocity
        means.append(float(np.mean(values)))
    return np.concatenate([kernel.ravel(), bias]), means


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("baseline", {}),
        ("mixup", {"mixup.alpha": 0.5}),
        ("mixup", {"mixup.alpha": 2.0, "mixup.share": "batch"}),
        ("sample_pairing", {}),
        ("maxup", {"maxup.m": 3}),
        ("maxup_mean", {"maxup_mean.m": 3}),
    ],
)
def test_two_epochs_equal_those_of_numpy(digits: dict[str, np.ndarray], method: str, fields: dict) -> None:
    run = start(digits, method, **fields)
    expected, _ = oracle(run, digits, 2)
    before, _ = run._network.initial(run.config.seed)
    run.train_epoch()
    run.train_epoch()
    weights = np.asarray(run._state["weights"])
    assert np.abs(weights - before).max() > 0.01
    assert np.abs(weights - expected).max() < 2e-5


def test_the_losses_of_the_methods_are_ordered(digits: dict[str, np.ndarray]) -> None:
    """At the same weights: the worst copy costs more than the mean copy."""
    first = {}
    for method in ("maxup", "maxup_mean"):
        run = start(digits, method, learning_rate=1e-12)
        _, data, constants = run._state, run._data.development, run._constants
        _, values = run._run_epoch(run._state, data, constants, run._batches(0))
        first[method] = float(np.mean(values))
        assert first[method] == pytest.approx(oracle(run, digits, 1)[1][0], rel=1e-4)
    assert first["maxup"] > first["maxup_mean"]


def test_the_candidate_pass_leaves_batch_norm_alone(digits: dict[str, np.ndarray]) -> None:
    """One step of MaxUp moves the averages by the trained copies only, and normalises candidates together."""
    run = start(digits, "maxup", model="normalising_for_tests", batch_size=10_000)
    weights, (mean, variance) = run._network.initial(run.config.seed)
    x, y = copies_of(run._batches(0), 0, digits)
    kernel, bias = weights[128:-CLASSES].reshape(-1, CLASSES), weights[-CLASSES:]
    flat = x.reshape(-1, x.shape[-1])
    normal = (x - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-3)
    chosen = np.stack([losses(copy, y, kernel, bias) for copy in normal]).argmax(axis=0)
    trained = x[chosen, np.arange(len(y))]
    run.train_epoch()
    after_mean, after_variance = (np.asarray(value) for value in run._state["moving"])
    assert np.allclose(after_mean, 0.5 * mean + 0.5 * trained.mean(axis=0), atol=1e-5)
    assert np.allclose(after_variance, 0.5 * variance + 0.5 * trained.var(axis=0), atol=1e-5)
    assert not np.allclose(after_mean, 0.5 * mean + 0.5 * flat.mean(axis=0), atol=1e-3)


def test_channel_statistics_are_those_of_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 200, (5000, 3, 4, 3), dtype="uint8")
    images[..., 2] = 7
    mean, deviation = channel_statistics(images)
    assert mean == pytest.approx(images.mean(axis=(0, 1, 2)), rel=1e-5)
    assert deviation[:2] == pytest.approx(images.std(axis=(0, 1, 2))[:2], rel=1e-5)
    assert deviation[2] == 1


def test_a_data_set_stays_on_the_device_until_another_one_comes(digits: dict[str, np.ndarray]) -> None:
    first = resident_data(digits)
    assert resident_data(dict(digits)) is first
    other = {**digits, "labels": (digits["labels"] + 1) % 10}
    assert np.array_equal(resident_data(other).development["labels"], other["labels"])
    assert np.array_equal(resident_data(digits).development["labels"], digits["labels"])
