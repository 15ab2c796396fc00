"""Epochs of every method against NumPy implementations of the papers, on a network without hidden layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.networks import LINEAR, NORMALISING
from tests.support.objectives import plain_max
from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.data.statistics import channel_statistics
from trainables.engine import objectives
from trainables.engine.classifier import Classifier
from trainables.engine.step import TrainingStep, epoch_function

tensorflow_backend.configure(threads=1, deterministic=True)
CLASSES = 10
SIDE = 8


pytestmark = pytest.mark.usefixtures("own_code")


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


def start(digits: dict[str, np.ndarray], method: str, **changes: Any) -> Classifier:
    plain = {"data": "digits", "model": LINEAR, "augmentation": "crop", "method": method, "seed": 1}
    plain |= {"epochs": 10, "batch_size": 24, "train_fraction": 0.1, "learning_rate": 0.02, "momentum": 0.9}
    plain |= {"weight_decay": 0.01, "label_smoothing": 0.1, "milestones": [0.15], "decay_factor": 0.5}
    if "sample_pairing" in method:
        plain |= {"sample_pairing.start": 0.0, "sample_pairing.on_epochs": 1, "sample_pairing.off_epochs": 1}
    return Classifier(RunConfig.from_plain(plain | changes), digits, CLASSES)


def shifted(image: np.ndarray, down: int, right: int) -> np.ndarray:
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    return padded[1 + down : 9 + down, 1 + right : 9 + right]


def pools_of(batches: dict, step: int, digits: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised images (copies, pool, 8, 8, 1) and smoothed labels (copies, pool, classes) of one step."""
    mean, deviation = channel_statistics(digits["images"])
    index = batches["index"][step]
    down, right = (batches["augmentation"][name][step].ravel() for name in ("down", "right"))
    if not batches["augmented"][step]:
        down, right = 0 * down, 0 * right
    images = [shifted(digits["images"][i], d, r) for i, d, r in zip(index.ravel(), down, right, strict=True)]
    copies = len(index)
    normal = (np.array(images, dtype=float) - mean) / deviation
    labels = np.eye(CLASSES)[digits["labels"][index.ravel()]] * 0.9 + 0.1 / CLASSES
    return normal.reshape(copies, -1, SIDE, SIDE, 1), labels.reshape(copies, -1, CLASSES)


def mixed(x: np.ndarray, y: np.ndarray, draws: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Apply mixup, SamplePairing, CutMix or noise by their formulas, example by example, to the pool of one copy."""
    if not draws:
        return x, y
    n = len(next(iter(draws.values())))
    images, labels = x[:n].copy(), y[:n].copy()
    for i in range(n):
        if "box" in draws:
            partner = draws["partner"][i, 0]
            side, *centre = draws["box"][i]
            cut = int(np.float32(SIDE) * side)
            low, high = np.empty(2, int), np.empty(2, int)
            for axis in (0, 1):
                middle = int(np.float32(SIDE) * centre[axis])
                low[axis], high[axis] = max(0, middle - cut // 2), min(SIDE, middle + cut // 2)
            images[i, low[0] : high[0], low[1] : high[1]] = x[partner, low[0] : high[0], low[1] : high[1]]
            share = (high[0] - low[0]) * (high[1] - low[1]) / SIDE**2
            labels[i] = (1 - share) * y[i] + share * y[partner]
        elif "sigma" in draws:
            images[i] += draws["sigma"][i, 0] * noise(int(draws["key"][i, 0]), SIDE * SIDE).reshape(SIDE, SIDE, 1)
        else:
            members = [i, *draws["partner"][i]]
            images[i] = sum(w * x[member] for w, member in zip(draws["weight"][i], members, strict=True))
            labels[i] = sum(w * y[member] for w, member in zip(draws["label_weight"][i], members, strict=True))
    return images, labels


def murmur(value: int) -> int:
    """Return the MurmurHash3 finalizer of a Python integer."""
    value ^= value >> 16
    value = value * 0x85EBCA6B % 2**32
    value ^= value >> 13
    value = value * 0xC2B2AE35 % 2**32
    return value ^ value >> 16


def noise(key: int, count: int) -> np.ndarray:
    """Return the Box-Muller transform of hashed counters."""
    own = murmur(key % 2**32)
    uniform = [((murmur(murmur(i) ^ own) >> 9) + 0.5) / 2**23 for i in range(2 * count)]
    return np.sqrt(-2 * np.log(uniform[::2])) * np.cos(2 * np.pi * np.array(uniform[1::2]))


def softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def shares(kind: str, temperature: float, losses: np.ndarray) -> np.ndarray:
    """Return the weight of each loss (copies, batch) in the gradient of the objective."""
    copies, n = losses.shape
    if kind == "max":
        return (np.arange(copies)[:, None] == losses.argmax(axis=0)) / n
    if kind == "softmax":
        return softmax(losses / temperature, axis=0) / n
    if kind == "batch_max":
        return (losses == losses.max()).astype(float)
    return np.full(losses.shape, 1 / losses.size)


def oracle(run: Classifier, digits: dict[str, np.ndarray], epochs: int) -> np.ndarray:
    """Train in NumPy, with gradients of all copies, and return the weights."""
    start, _ = run._network.initial(run.config.seed)
    kernel, bias = start[:-CLASSES].reshape(-1, CLASSES).astype(float), start[-CLASSES:].astype(float)
    kernel_velocity, bias_velocity = np.zeros_like(kernel), np.zeros_like(bias)
    objective = run.config.method.objective
    for epoch in range(epochs):
        batches = run._batches(epoch)
        kind = objective.kind if run.config.method_on(epoch) else "mean"
        for step, rate in enumerate(batches["learning_rate"]):
            pools = zip(*pools_of(batches, step, digits), strict=True)
            made = [
                mixed(*pool, {name: value[step][copy] for name, value in batches["method"].items()})
                for copy, pool in enumerate(pools)
            ]
            x = np.stack([images.reshape(len(images), -1) for images, _ in made])
            y = np.stack([labels for _, labels in made])
            likely = softmax(x @ kernel + bias)
            losses = -(y * np.log(likely)).sum(axis=2)
            error = shares(kind, objective.temperature, losses)[..., None] * (likely - y)
            kernel_velocity = 0.9 * kernel_velocity + np.einsum("cip,cik->pk", x, error) + 0.01 * kernel
            bias_velocity = 0.9 * bias_velocity + error.sum(axis=(0, 1))
            kernel, bias = kernel - rate * kernel_velocity, bias - rate * bias_velocity
    return np.concatenate([kernel.ravel(), bias])


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("baseline", {}),
        ("baseline", {"fine_tune": 0.8, "fine_tune_off": "all"}),
        ("mixup", {"mixup.alpha": 0.5}),
        ("mixup", {"mixup.alpha": 2.0, "mixup.share": "batch", "mixup.partner": "dataset"}),
        ("mixup", {"mixup.alpha": 1.0, "mixup.images": 3, "mixup.partner": "dataset", "mixup.off_last": 0.9}),
        ("mixup", {"mixup.alpha": 1.0, "mixup.images": 4}),
        ("mixup", {"mixup.alpha": 1.0, "mixup.images": 3, "mixup.partner": "batch_with_replacement"}),
        ("sample_pairing", {}),
        ("sample_pairing", {"sample_pairing.partner": "dataset"}),
        ("sample_pairing", {"sample_pairing.partner": "batch_with_replacement"}),
        ("cutmix", {}),
        ("cutmix", {"cutmix.partner": "dataset", "cutmix.share": "batch"}),
        ("cutmix", {"cutmix.partner": "batch_with_replacement"}),
        ("noise", {"noise.sigma": 0.5}),
        ("maxup", {"maxup.m": 3}),
        ("maxup", {"maxup.m": 3, "fine_tune": 0.9}),
        ("maxup", {"maxup.m": 3, "maxup.reduction": "softmax", "maxup.temperature": 0.2}),
        ("maxup_mean", {"maxup_mean.m": 3}),
        ("batch_max", {"batch_max.m": 2}),
        ("batch_max", {"batch_max.m": 2, "fine_tune": 0.9}),
        ("maxup+mixup", {"maxup.m": 3, "mixup.alpha": 1.0, "mixup.partner": "dataset"}),
        ("maxup+cutmix", {"maxup.m": 2}),
        ("maxup+noise", {"maxup.m": 3, "noise.sigma": 0.3, "augmentation": "crop"}),
        ("maxup_mean+sample_pairing", {"maxup_mean.m": 2}),
    ],
)
def test_two_epochs_equal_those_of_numpy(digits: dict[str, np.ndarray], method: str, fields: dict) -> None:
    run = start(digits, method, **fields)
    expected = oracle(run, digits, 2)
    before, _ = run._network.initial(run.config.seed)
    run.train_epoch()
    run.train_epoch()
    weights = np.asarray(run._state["weights"])
    assert np.abs(weights - before).max() > 0.005
    assert np.abs(weights - expected).max() < 3e-5


@pytest.mark.parametrize("method", ["maxup", "maxup+mixup"])
def test_the_worst_copies_alone_give_the_gradient_of_the_plain_maximum(
    digits: dict[str, np.ndarray], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forward pass and training on the worst copies equals the maximum with gradients of all copies."""
    monkeypatch.setitem(objectives.REDUCTIONS, "plain_max", plain_max)
    run = start(digits, method, **{"maxup.m": 4})
    optimizer = run.config.optimizer.structure()
    plain = epoch_function(TrainingStep(run._network, "crop", run.config.method.apply, "plain_max", optimizer))
    [(data, batches)] = run._data.development.chunks(run._batches(0))
    results = [function(run._state, data, run._constants, batches) for function in (run._run_epoch, plain)]
    (one, one_losses), (other, other_losses) = results
    assert np.allclose(one["weights"], other["weights"], atol=2e-6)
    assert np.allclose(one_losses, other_losses, atol=2e-5)
    assert not np.allclose(one["weights"], run._state["weights"], atol=1e-3)


def test_the_candidate_pass_does_not_update_batch_norm(digits: dict[str, np.ndarray]) -> None:
    """One step of MaxUp updates the averages with the trained copies only and normalises candidates together."""
    run = start(digits, "maxup", model=NORMALISING, batch_size=10_000)
    weights, (mean, variance) = run._network.initial(run.config.seed)
    x, y = pools_of(run._batches(0), 0, digits)
    x = x.reshape(*x.shape[:2], -1)
    kernel, bias = weights[128:-CLASSES].reshape(-1, CLASSES), weights[-CLASSES:]
    flat = x.reshape(-1, x.shape[-1])
    normal = (x - flat.mean(axis=0)) / np.sqrt(flat.var(axis=0) + 1e-3)
    losses = -(y * np.log(softmax(normal @ kernel + bias))).sum(axis=2)
    trained = x[losses.argmax(axis=0), np.arange(x.shape[1])]
    run.train_epoch()
    after_mean, after_variance = (np.asarray(value) for value in run._state["moving"])
    assert np.allclose(after_mean, 0.5 * mean + 0.5 * trained.mean(axis=0), atol=1e-5)
    assert np.allclose(after_variance, 0.5 * variance + 0.5 * trained.var(axis=0), atol=1e-5)
    assert not np.allclose(after_mean, 0.5 * mean + 0.5 * flat.mean(axis=0), atol=1e-3)


def test_the_losses_of_the_reductions_are_ordered(digits: dict[str, np.ndarray]) -> None:
    """At equal weights: mean over copies, worst copy, largest loss of the batch."""
    means = []
    for method in ("maxup_mean", "maxup", "batch_max"):
        run = start(digits, method, learning_rate=1e-12)
        [values] = run._trained(run._batches(0))
        means.append(float(np.mean(values)))
    assert means == sorted(means)
    assert means[0] < means[1] < means[2]
