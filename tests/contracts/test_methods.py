"""What every method keeps to. A plug-in passes if a subclass of `MethodContract` supplies its method."""

from __future__ import annotations

import json

import numpy as np
import pytest
from keras import ops
from pydantic import ValidationError

from trainables import tensorflow_backend
from trainables.classifier import Classifier
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.fields import Choice, Range, declared
from trainables.methods import METHODS, Method

tensorflow_backend.configure(threads=1, deterministic=True)
N, BATCH, CLASSES, EPOCHS = 24, 8, 3, 40


@pytest.fixture(scope="module")
def digits() -> dict[str, np.ndarray]:
    return SOURCES.get("digits")().load().arrays()


class MethodContract:
    """The contract; subclasses supply the fixture `method`."""

    @pytest.fixture
    def method(self) -> Method:
        raise NotImplementedError

    def drawn(self, method: Method, active: bool = True, seed: int = 0) -> dict[str, np.ndarray]:
        return method.draw(np.random.default_rng(seed), N, BATCH, active)

    def applied(self, method: Method, active: bool) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(1)
        images = rng.normal(size=(BATCH, 4, 4, 1)).astype("float32")
        labels = np.eye(CLASSES, dtype="float32")[rng.integers(0, CLASSES, BATCH)]
        draws = {name: value[:BATCH] for name, value in self.drawn(method, active).items()}
        result = method.apply(images, labels, draws)
        return images, labels, *(ops.convert_to_numpy(each) for each in result)

    def test_it_is_registered_under_its_name(self, method: Method) -> None:
        kind = METHODS.get(method.model_dump()["name"])
        assert kind is type(method)
        assert kind.summary

    def test_it_is_a_value_that_can_be_written_down(self, method: Method) -> None:
        assert type(method).model_validate(json.loads(method.model_dump_json())) == method
        with pytest.raises(ValidationError, match="frozen"):
            method.name = "other"

    def test_declared_ranges_lie_within_what_validation_allows(self, method: Method) -> None:
        for name, mark in declared(type(method)).items():
            for value in mark.options if isinstance(mark, Choice) else (mark.low, mark.high):
                kind = type(getattr(method, name))
                assert type(method).model_validate({"name": method.model_dump()["name"], name: kind(value)})
            if isinstance(mark, Range):
                assert mark.low < mark.high

    def test_its_default_passes_its_own_check(self, method: Method) -> None:
        method.check(EPOCHS, "crop")

    def test_its_cost_and_copies_make_sense(self, method: Method) -> None:
        assert method.copies >= 1
        assert method.cost >= 1
        assert method.reduction in {"mean", "max"}

    def test_draws_replay_and_are_small_arrays_with_one_row_per_example(self, method: Method) -> None:
        first, second = self.drawn(method), self.drawn(method)
        for name, value in first.items():
            assert len(value) == N
            assert value.nbytes <= 64 * N
            assert value.dtype in (np.float32, np.int32)
            assert np.array_equal(value, second[name])

    def test_draws_keep_shape_and_kind_when_it_is_off(self, method: Method) -> None:
        on, off = self.drawn(method, active=True), self.drawn(method, active=False)
        assert {k: (v.shape, v.dtype) for k, v in on.items()} == {k: (v.shape, v.dtype) for k, v in off.items()}

    def test_switched_off_it_leaves_everything_alone(self, method: Method) -> None:
        images, labels, new_images, new_labels = self.applied(method, active=False)
        assert np.array_equal(images, new_images)
        assert np.array_equal(labels, new_labels)

    def test_apply_is_pure_and_keeps_shapes_and_label_mass(self, method: Method) -> None:
        images, labels, new_images, new_labels = self.applied(method, active=True)
        again = self.applied(method, active=True)
        assert all(np.array_equal(*pair) for pair in zip((images, labels, new_images, new_labels), again, strict=True))
        assert (new_images.shape, new_labels.shape) == (images.shape, labels.shape)
        assert np.allclose(new_labels.sum(axis=1), 1, atol=1e-6)
        assert np.isfinite(new_images).all()

    def test_it_is_off_while_a_run_is_judged_if_it_has_a_cycle(self, method: Method) -> None:
        cycle = method.cycle(EPOCHS)
        on = [method.active(epoch, EPOCHS) for epoch in range(EPOCHS)]
        assert any(on)
        if cycle is not None:
            assert not any(on[-3:])
            assert not any(on[: cycle.start])
            assert all(not on[end - 1] for end in range(cycle.start + cycle.length, cycle.end, cycle.length))

    def test_it_trains(self, method: Method, digits: dict[str, np.ndarray]) -> None:
        plain = {"data": "digits", "model": "resnet8", "augmentation": "crop", "method": method.model_dump()}
        plain |= {"epochs": 8, "batch_size": 32, "train_fraction": 0.3, "learning_rate": 0.1}
        run = Classifier(RunConfig.from_plain(plain), digits, 10)
        metrics = [run.train_epoch() for _ in range(8)]
        assert metrics[-1]["validation_accuracy"] > 0.6
        assert metrics[-1]["validation_loss"] < metrics[0]["validation_loss"]


@pytest.mark.parametrize("method", [METHODS.get(name)() for name in METHODS], ids=list(METHODS), scope="class")
class TestRegisteredMethods(MethodContract):
    pass


class TestMixupWithOneWeightPerBatch(MethodContract):
    @pytest.fixture
    def method(self) -> Method:
        return METHODS.get("mixup").model_validate({"name": "mixup", "alpha": 1.0, "share": "batch"})
