"""Parts of a training step: objectives, example pools, the worst copies, and the data on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import ops

from tests.support.objectives import plain_max
from trainables.augmentation import Policy
from trainables.data.statistics import channel_statistics
from trainables.engine import objectives
from trainables.engine.evaluation import scores
from trainables.engine.objectives import reduce_losses
from trainables.engine.resident import resident_data
from trainables.engine.step import TrainingStep, smooth_labels
from trainables.methods import METHODS
from trainables.methods.base import Method
from trainables.optimizers import Sgd

LOSSES = np.array([[1.0, 5.0, 2.0], [3.0, 4.0, 2.0]], dtype="float32")
SCALE = {"mean": np.float32([10]), "deviation": np.float32([2])}


class Sum:
    """A network whose logits are the sum of an image, times the class; it counts its passes in its state."""

    classes = 3

    def logits(self, weights: Any, moving: Any, images: Any, training: bool) -> tuple[Any, Any]:
        total = ops.sum(images, axis=(1, 2, 3))
        return total[:, None] * weights[None, :], [moving[0] + 1]


def step_of(apply: Any = Method.apply, augmentation: str = "none", objective: str = "mean") -> TrainingStep:
    network: Any = Sum()
    return TrainingStep(network, augmentation, apply, objective, Sgd().structure())


def batch_of(index: np.ndarray, **changes: Any) -> dict[str, Any]:
    """Return one step's batch, of (copies, 1 + guests, batch) positions."""
    return {"index": index.astype("int32"), "augmentation": {}, "method": {}, "augmented": np.bool_(True), **changes}


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("mean", 17 / 6),
        ("max", 17 / 6),  # the worst copies have been selected before
        ("plain_max", 10 / 3),
        ("batch_max", 5.0),
        ("softmax", ((1 + 3 * np.exp(2)) / (1 + np.exp(2)) + (5 * np.e + 4) / (np.e + 1) + 2) / 3),
    ],
)
def test_objectives_match_their_formulas(objective: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(objectives.REDUCTIONS, "plain_max", plain_max)
    on = float(ops.convert_to_numpy(reduce_losses(objective, LOSSES, np.float32(1), np.bool_(True))))
    off = float(ops.convert_to_numpy(reduce_losses(objective, LOSSES, np.float32(1), np.bool_(False))))
    assert on == pytest.approx(expected, rel=1e-6)
    assert off == pytest.approx(17 / 6, rel=1e-6)


def test_softmax_goes_from_the_maximum_to_the_mean_as_the_temperature_rises() -> None:
    values = [
        float(ops.convert_to_numpy(reduce_losses("softmax", LOSSES, np.float32(at), np.bool_(True))))
        for at in (0.01, 0.5, 2, 1e4)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(10 / 3, rel=1e-5)
    assert values[-1] == pytest.approx(17 / 6, rel=1e-3)


def test_smoothed_labels_sum_to_one_and_keep_their_class() -> None:
    labels = np.asarray(smooth_labels(np.int32([2, 0]), 4, np.float32(0.2)))
    assert labels == pytest.approx(np.array([[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]]))


def test_pools_hold_the_batch_and_its_guests_normalised_copy_by_copy() -> None:
    images = np.arange(5, dtype="uint8").reshape(5, 1, 1, 1)
    data = {"images": images, "labels": np.int32([0, 1, 2, 0, 1])}
    index = np.array([[[0, 1], [4, 4]], [[0, 1], [2, 3]], [[0, 1], [3, 2]]])  # 3 copies, 1 guest, batches of 2
    made, labels = step_of().pools(data, {**SCALE, "smoothing": np.float32(0)}, batch_of(index))
    assert np.asarray(made).shape == (3, 4, 1, 1, 1)
    assert np.asarray(made)[..., 0, 0, 0] == pytest.approx((index.reshape(3, 4) - 10) / 2)
    assert np.array_equal(np.asarray(labels).argmax(axis=-1), data["labels"][index.reshape(3, 4)])


@pytest.mark.parametrize("augmented", [True, False])
def test_pools_are_augmented_only_in_epochs_with_augmentation(augmented: bool) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 4, 4, 1), dtype="uint8")
    drawn = draws_of("crop_flip", images.shape[1:])
    batch = batch_of(np.array([[[0, 1]]]), augmentation=drawn, augmented=np.bool_(augmented))
    made, _ = step_of(augmentation="crop_flip").pools(
        {"images": images, "labels": np.int32([0, 1])}, {**SCALE, "smoothing": np.float32(0)}, batch
    )
    plain = (images.astype("float32") - 10) / 2
    assert np.allclose(np.asarray(made)[0], plain) is not augmented


def draws_of(name: str, shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """Return draws of an augmentation for one copy, no guest and a batch of two."""
    drawn = Policy.model_validate(name).draw(np.random.default_rng(4), 2, shape)
    return {key: value[None, None] for key, value in drawn.items()}


def test_a_method_that_is_off_trains_on_the_batch_without_its_guests() -> None:
    mixup = METHODS.get("mixup")
    images, labels = np.ones((1, 4, 2, 2, 1), "float32"), np.ones((1, 4, 3), "float32")
    batch = batch_of(np.zeros((1, 2, 2)), active=np.bool_(False), method={})
    draws = mixup().draw(np.random.default_rng(0), 2, 2, False)
    batch["method"] = {name: value[None] for name, value in draws.items()}
    made, kept = step_of(mixup.apply).mixed(images, labels, batch)
    assert np.asarray(made).shape == (1, 2, 2, 2, 1)
    assert np.asarray(kept).shape == (1, 2, 3)


def test_the_worst_copy_of_each_example_is_selected_and_the_state_of_that_pass_is_discarded() -> None:
    images = np.float32([[1, 5], [2, 3], [3, 4]]).reshape(3, 2, 1, 1, 1)  # 3 copies of 2 examples
    labels = np.zeros((3, 2, 3), "float32")
    labels[..., 2] = 1
    state = {"weights": np.float32([1, 0, 0]), "moving": [np.float32(0)]}
    made, kept = step_of(objective="max").worst(state, images, labels)  # a larger sum is a larger loss
    assert np.asarray(made).ravel().tolist() == [3, 5]
    assert np.asarray(kept).shape == (1, 2, 3)
    assert state["moving"] == [np.float32(0)]


def test_the_loss_is_the_cross_entropy_and_comes_with_the_state_after_the_pass() -> None:
    images, labels = np.zeros((1, 2, 1, 1, 1), "float32"), np.full((1, 2, 3), 1 / 3, "float32")
    loss, moving = step_of().loss(np.float32([1, 0, 0]), [np.float32(0)], images, labels, np.float32(1), np.bool_(True))
    assert float(ops.convert_to_numpy(loss)) == pytest.approx(np.log(3))
    assert float(moving[0]) == 1


def test_logits_that_are_not_finite_make_all_classes_equally_likely() -> None:
    logits = np.float32([[0, np.log(3)], [np.nan, 1], [np.inf, 0]])
    loss, likely, confidence = np.asarray(scores(np.int32([1, 1, 0]), logits))
    assert loss == pytest.approx([np.log(4 / 3), np.log(2), np.log(2)])
    assert likely.tolist() == [1, 0, 0]
    assert confidence == pytest.approx([0.75, 0.5, 0.5])


def test_channel_statistics_match_numpy() -> None:
    images = np.random.default_rng(0).integers(0, 200, (5000, 3, 4, 3), dtype="uint8")
    images[..., 2] = 7
    mean, deviation = channel_statistics(images)
    assert mean == pytest.approx(images.mean(axis=(0, 1, 2)), rel=1e-5)
    assert deviation[:2] == pytest.approx(images.std(axis=(0, 1, 2))[:2], rel=1e-5)
    assert deviation[2] == 1


def test_a_data_set_stays_on_the_device_until_another_one_is_used(digits: dict[str, np.ndarray]) -> None:
    first = resident_data(digits)
    assert resident_data(dict(digits)) is first
    other = {**digits, "labels": (digits["labels"] + 1) % 10}
    assert np.array_equal(resident_data(other).development["labels"], other["labels"])
    assert np.array_equal(resident_data(digits).development["labels"], digits["labels"])
