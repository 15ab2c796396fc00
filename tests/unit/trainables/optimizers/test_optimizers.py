"""Update rules against the optimizers of Keras and the formulas of the papers."""

import keras
import numpy as np
import pytest
from keras import ops
from pydantic import ValidationError

from trainables.optimizers import OPTIMIZERS, Adam, AdamW, Optimizer, RmsProp, Sgd

RATE = 0.05


def product(optimizer: Optimizer, weights: np.ndarray, gradients: np.ndarray, decayed: np.ndarray) -> np.ndarray:
    slots = [np.zeros_like(weights)] * optimizer.slots
    for step, gradient in enumerate(gradients, start=1):
        rates = {**optimizer.rates(), "learning_rate": RATE, "step": float(step)}
        weights, slots = optimizer.structure().update(weights, gradient, slots, decayed, rates)
    return np.asarray(weights)


def reference_weights(optimizer: keras.optimizers.Optimizer, weights: np.ndarray, gradients: np.ndarray) -> np.ndarray:
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


@pytest.mark.parametrize("clip", [None, 2.0])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_without_decay_equals_keras(problem: tuple, momentum: float, nesterov: bool, clip: float | None) -> None:
    weights, gradients, decayed = problem
    optimizer = Sgd(momentum=momentum, nesterov=nesterov, weight_decay=0, clip_norm=clip)
    reference = keras.optimizers.SGD(RATE, momentum=momentum, nesterov=nesterov, global_clipnorm=clip)
    assert product(optimizer, weights, gradients, decayed) == pytest.approx(
        reference_weights(reference, weights, gradients), rel=1e-5, abs=1e-6
    )


def test_a_short_gradient_is_not_clipped_and_zero_is_fine(problem: tuple) -> None:
    weights, gradients, decayed = problem
    loose, plain = Sgd(clip_norm=100.0), Sgd()
    assert np.array_equal(
        product(loose, weights, gradients, decayed), product(plain, weights, gradients, decayed)
    )  # a factor of exactly 1
    zero = product(Sgd(clip_norm=1.0, weight_decay=0), weights, np.zeros((1, 20), "float32"), decayed)
    assert np.array_equal(zero, weights)


def test_clipping_does_not_scale_the_decay(problem: tuple) -> None:
    weights, gradients, decayed = problem
    gradient = gradients[:1]
    scale = 0.5 / np.linalg.norm(gradient)
    expected = weights - RATE * (scale * gradient[0] + 0.01 * weights)
    optimizer = Sgd(momentum=0, weight_decay=0.01, clip_norm=0.5)
    assert product(optimizer, weights, gradient, decayed) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_sgd_adds_decay_to_the_gradient(problem: tuple) -> None:
    weights, gradients, decayed = problem
    decayed = decayed * (np.arange(20) < 15)
    expected, velocity = weights.astype(float), np.zeros(20)
    for gradient in gradients:
        velocity = 0.9 * velocity + gradient + 0.01 * decayed * expected
        expected = expected - RATE * velocity
    optimizer = Sgd(momentum=0.9, weight_decay=0.01)
    assert product(optimizer, weights, gradients, decayed) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_sgd_decouples_decay(problem: tuple) -> None:
    weights, gradients, decayed = problem
    expected, velocity = weights.astype(float), np.zeros(20)
    for gradient in gradients:
        velocity = 0.9 * velocity + gradient
        expected = expected - RATE * velocity - RATE * 0.01 * expected
    optimizer = Sgd(momentum=0.9, weight_decay=0.01, decay="decoupled")
    assert product(optimizer, weights, gradients, decayed) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adamw_equals_keras(problem: tuple, decay: float) -> None:
    weights, gradients, decayed = problem
    reference = keras.optimizers.AdamW(RATE, weight_decay=decay, epsilon=1e-8)
    expected = reference_weights(reference, weights, gradients)
    for optimizer in (AdamW(weight_decay=decay), Adam(weight_decay=decay, decay="decoupled")):
        assert product(optimizer, weights, gradients, decayed) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_adam_equals_keras_and_adds_decay_to_the_gradient(problem: tuple) -> None:
    weights, gradients, decayed = problem
    reference = keras.optimizers.Adam(RATE, epsilon=1e-8)
    assert product(Adam(), weights, gradients, decayed) == pytest.approx(
        reference_weights(reference, weights, gradients), rel=1e-4, abs=1e-6
    )
    first, second = np.zeros(20), np.zeros(20)
    expected = weights.astype(float)
    for step, gradient in enumerate(gradients, start=1):
        total = gradient + 0.1 * expected
        first, second = 0.9 * first + 0.1 * total, 0.999 * second + 0.001 * total**2
        expected = expected - RATE * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    assert product(Adam(weight_decay=0.1), weights, gradients, decayed) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_equals_keras(problem: tuple, momentum: float) -> None:
    weights, gradients, decayed = problem
    reference = keras.optimizers.RMSprop(RATE, rho=0.8, momentum=momentum)
    assert product(RmsProp(rho=0.8, momentum=momentum), weights, gradients, decayed) == pytest.approx(
        reference_weights(reference, weights, gradients), rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_decay_applies_to_decayed_weights_only(problem: tuple, name: str) -> None:
    weights, gradients, _ = problem
    kind = OPTIMIZERS.get(name)
    plain = product(kind(weight_decay=0), weights, gradients, np.ones(20, "float32"))
    spared = product(kind(weight_decay=0.1), weights, gradients, np.zeros(20, "float32"))
    decayed = product(kind(weight_decay=0.1), weights, gradients, np.ones(20, "float32"))
    assert np.array_equal(plain, spared)
    assert not np.allclose(plain, decayed)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_an_optimizer_has_a_summary_and_no_learning_rate_among_its_rates(name: str) -> None:
    kind = OPTIMIZERS.get(name)
    assert kind.summary
    assert "learning_rate" not in kind.model_validate({"name": name}).rates()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_numbers_are_not_compiled_in(name: str) -> None:
    kind = OPTIMIZERS.get(name)
    one, other = kind(learning_rate=0.3, weight_decay=0.2, clip_norm=3.0), kind(clip_norm=5.0)
    assert one.structure() == other.structure()
    assert hash(one.structure()) == hash(other.structure())
    assert one.structure() != kind().structure()
    assert Sgd(nesterov=True).structure() != Sgd().structure()
    assert Adam(decay="decoupled").structure() != Adam().structure()


def test_adamw_refuses_l2() -> None:
    with pytest.raises(ValidationError, match="for `decay: l2` choose `adam`"):
        AdamW.model_validate({"decay": "l2"})
