"""Update rules against Keras's optimizers and the papers' formulas."""

import keras
import numpy as np
import pytest
from keras import ops

from trainables.optimizers import OPTIMIZERS, AdamW, Optimizer, Sgd

RATE = 0.05


def ours(optimizer: Optimizer, weights: np.ndarray, gradients: np.ndarray, decayed: np.ndarray) -> np.ndarray:
    slots = [np.zeros_like(weights)] * optimizer.slots
    for step, gradient in enumerate(gradients, start=1):
        rates = {**optimizer.rates(), "learning_rate": RATE, "step": float(step)}
        weights, slots = optimizer.update(weights, gradient, slots, decayed, rates)
    return weights


def kerases(optimizer: keras.optimizers.Optimizer, weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    variable = keras.Variable(weights)
    optimizer.build([variable])
    for gradient in gradients:
        optimizer.apply([ops.convert_to_tensor(gradient)])
    return variable.numpy()


@pytest.fixture
def problem() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    weights, gradients = rng.normal(size=20), rng.normal(size=(6, 20))
    return weights.astype("float32"), gradients.astype("float32"), np.ones(20, "float32")


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_without_decay_is_kerases(problem: tuple, momentum: float, nesterov: bool) -> None:
    weights, gradients, decayed = problem
    optimizer = Sgd(momentum=momentum, nesterov=nesterov, weight_decay=0)
    reference = keras.optimizers.SGD(RATE, momentum=momentum, nesterov=nesterov)
    assert ours(optimizer, weights, gradients, decayed) == pytest.approx(
        kerases(reference, weights, gradients), rel=1e-5, abs=1e-6
    )


def test_sgd_decays_as_part_of_the_gradient(problem: tuple) -> None:
    weights, gradients, decayed = problem
    decayed = decayed * (np.arange(20) < 15)
    expected, velocity = weights.astype(float), np.zeros(20)
    for gradient in gradients:
        velocity = 0.9 * velocity + gradient + 0.01 * decayed * expected
        expected = expected - RATE * velocity
    optimizer = Sgd(momentum=0.9, weight_decay=0.01)
    assert ours(optimizer, weights, gradients, decayed) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_is_kerases(problem: tuple, decay: float) -> None:
    weights, gradients, decayed = problem
    reference = keras.optimizers.AdamW(RATE, weight_decay=decay, epsilon=1e-8)
    assert ours(AdamW(weight_decay=decay), weights, gradients, decayed) == pytest.approx(
        kerases(reference, weights, gradients), rel=1e-4, abs=1e-6
    )


def test_adamw_decays_only_what_decays(problem: tuple) -> None:
    weights, gradients, _ = problem
    plain = ours(AdamW(weight_decay=0), weights, gradients, np.ones(20, "float32"))
    spared = ours(AdamW(weight_decay=0.1), weights, gradients, np.zeros(20, "float32"))
    assert np.array_equal(plain, spared)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_optimizer_is_complete(name: str) -> None:
    kind = OPTIMIZERS.get(name)
    assert kind.summary
    assert "learning_rate" not in kind.model_validate({"name": name}).rates()
