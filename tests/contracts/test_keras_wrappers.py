"""Mixing wrappers of `trainables.keras` satisfy the contract of methods, with what they draw and do on the device."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats

from tests.contracts.test_methods import BATCH, CLASSES, EPOCHS, MethodContract, N
from trainables.data import SOURCES
from trainables.keras import CutMix, Mixup, SamplePairing
from trainables.keras.wrapper import Wrapper
from trainables.methods import Method

pytestmark = pytest.mark.usefixtures("own_code")
KINDS: dict[str, Any] = {
    "mixup": lambda net, **own: Mixup(net, off_last=0.25, epochs=EPOCHS, **own),
    "mixup of three": lambda net, **own: Mixup(net, images=3, share="batch", off_last=0.25, epochs=EPOCHS, **own),
    "cutmix": lambda net, **own: CutMix(net, off_last=0.25, epochs=EPOCHS, **own),
    "sample pairing": lambda net, **own: SamplePairing(net, epochs=EPOCHS, **own),
}
MADE: dict[tuple[str, int], Wrapper] = {}


def wrapper(kind: str, seed: int = 0) -> Wrapper:
    """Return a wrapper with a schedule of one step per epoch, in the state of its beginning."""
    if (kind, seed) not in MADE:
        MADE[kind, seed] = KINDS[kind](keras.Sequential([layers.Dense(1)]), steps_per_epoch=1, seed=seed)
    made = MADE[kind, seed]
    made.seed_generator.state.assign([seed, 0])
    return made


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


@pytest.mark.parametrize("kind", KINDS)
class TestMixingWrappers(MethodContract):
    @pytest.fixture
    def method(self, kind: str) -> Method:
        self.kind = kind
        return wrapper(kind).method

    def drawn(self, method: Method, active: bool = True, seed: int = 0) -> dict[str, np.ndarray]:
        made = wrapper(self.kind, seed)
        parts = [made.draw(BATCH) for _ in range(N // BATCH)]
        return {name: np.concatenate([ops.convert_to_numpy(part[name])[0] for part in parts]) for name in parts[0]}

    def applied(self, method: Method, active: bool) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(1)
        images = rng.normal(size=(1, BATCH, 4, 5, 1)).astype("float32")
        labels = np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, (1, BATCH))]
        made = wrapper(self.kind)
        made.steps.assign(next(epoch for epoch in range(EPOCHS) if method.active(epoch, EPOCHS) is active))
        return images, labels, *(ops.convert_to_numpy(each) for each in made._mixed_if_on(images, labels))

    def test_partners_are_permutations_and_weights_have_their_distribution(self, method: Method, kind: str) -> None:
        draws = {name: ops.convert_to_numpy(value)[0] for name, value in wrapper(kind).draw(4000).items()}
        for partner in draws["partner"].T:
            assert np.array_equal(np.sort(partner), np.arange(4000))
            assert (partner != np.arange(4000)).mean() > 0.99
        if kind == "mixup":
            assert stats.kstest(draws["weight"][:, 0].astype(float), stats.beta(0.2, 0.2).cdf).pvalue > 0.01
        if kind == "mixup of three":
            assert len(np.unique(draws["weight"], axis=0)) == 1
        if kind == "cutmix":
            assert stats.kstest(draws["box"][:, 0].astype(float) ** 2, "uniform").pvalue > 0.01

    def test_it_trains(self, method: Method, digits: dict[str, np.ndarray], kind: str) -> None:
        images, labels = digits["images"][:480], np.eye(10, dtype="float32")[digits["labels"][:480]]
        net = [keras.Input(images.shape[1:]), layers.Rescaling(1 / 128, -1), layers.Flatten(), layers.Dense(10)]
        model = KINDS[kind](keras.Sequential(net), steps_per_epoch=15, augment="crop")
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.02, momentum=0.9), loss, metrics=["accuracy"])
        keras.utils.set_random_seed(0)
        model.fit(images, labels, batch_size=32, epochs=6, verbose=0)
        assert model.evaluate(images, labels, verbose=0)[1] > 0.6
