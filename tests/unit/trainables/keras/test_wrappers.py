"""Wrappers in plain `fit`: what a step trains on, lengths, saved models, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from trainables.backends.selection import backend
from trainables.errors import InputError
from trainables.keras import Augment, CutMix, MaxUp, Mixup, SamplePairing
from trainables.keras.wrapper import LABELS, PREDICTIONS, Wrapper

backend.configure(threads=1, deterministic=True)
# Keras converts its variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
ROOT = Path(__file__).parents[4]
SHAPE, CLASSES = (6, 6, 1), 4
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, *SHAPE), dtype="uint8")
SPARSE = (np.arange(20) % CLASSES).astype("int32")
HOT = np.eye(CLASSES, dtype="float32")[SPARSE]
SPARSE_LOSS, HOT_LOSS = "sparse_categorical_crossentropy", "categorical_crossentropy"


def predicted(model: keras.Model) -> np.ndarray:
    return ops.convert_to_numpy(model(IMAGES, training=False))


def network(*extra: Any) -> keras.Model:
    steps = [layers.Rescaling(1 / 255), layers.Flatten(), *extra, layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([keras.Input(SHAPE), *steps])


LENGTH: dict[str, Any] = {"epochs": 10, "steps_per_epoch": 2}
KINDS: dict[str, tuple[Callable[[], Wrapper], np.ndarray, str]] = {
    "maxup": (lambda: MaxUp(network(), m=3, augment=layers.GaussianNoise(0.9)), SPARSE, SPARSE_LOSS),
    "softmax": (lambda: MaxUp(network(), m=2, reduction="softmax", augment="crop"), HOT, HOT_LOSS),
    "mean": (lambda: MaxUp(network(), m=2, reduction="mean", augment="crop_flip+cutout"), SPARSE, SPARSE_LOSS),
    "mixup": (lambda: Mixup(network(), images=3, off_last=0.3, augment=Augment("crop"), **LENGTH), HOT, HOT_LOSS),
    "cutmix": (lambda: CutMix(network(), share="batch"), HOT, HOT_LOSS),
    "sample pairing": (lambda: SamplePairing(network(), on_epochs=2, off_epochs=1, **LENGTH), SPARSE, SPARSE_LOSS),
}
"""A wrapper of each kind, with labels and the loss for them."""


@pytest.mark.parametrize("name", KINDS)
def test_fit_saving_and_unwrapping(name: str, tmp_path: Path) -> None:
    make, labels, loss = KINDS[name]
    model = make()
    model.compile(keras.optimizers.SGD(0.01), loss, metrics=["accuracy"], weighted_metrics=["accuracy"])
    start = [ops.convert_to_numpy(each) for each in model.trainable_variables]
    history = model.fit(IMAGES, labels, batch_size=8, verbose=0, sample_weight=np.ones(20))
    assert np.isfinite(history.history["loss"]).all()
    assert not np.allclose(start[0], ops.convert_to_numpy(model.trainable_variables[0]))
    assert int(ops.convert_to_numpy(model.steps)) == 3
    expected = predicted(model)
    assert np.array_equal(expected, predicted(model.model))

    model.save(tmp_path / "wrapper.keras")
    again: Any = keras.saving.load_model(tmp_path / "wrapper.keras")  # in safe mode
    assert type(again) is type(model)
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    assert np.array_equal(predicted(again), expected)
    assert int(ops.convert_to_numpy(again.steps)) == 3
    assert np.isfinite(again.train_on_batch(IMAGES[:8], labels[:8])).all()

    copy: Any = type(model).from_config(model.get_config())
    assert copy.method == model.method
    assert copy.training_length == model.training_length


def test_an_unwrapped_model_opens_without_this_project(tmp_path: Path) -> None:
    model = MaxUp(network(layers.Dropout(0.1)), augment="crop")
    model.compile("sgd", SPARSE_LOSS)
    model.fit(IMAGES, SPARSE, verbose=0)
    model.model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", IMAGES)
    code = (
        "import keras, numpy, sys\nmodel = keras.saving.load_model('model.keras')\n"
        "numpy.save('found.npy', model.predict(numpy.load('images.npy'), verbose=0))\n"
        "assert not any(name.split('.')[0] == 'trainables' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-I", "-c", code], check=True, cwd=tmp_path, capture_output=True)
    assert np.allclose(np.load(tmp_path / "found.npy"), predicted(model), atol=1e-6)


def test_importing_loads_neither_ray_nor_optuna_nor_mlflow() -> None:
    code = "import trainables.keras, sys\nprint(sorted({'ray', 'optuna', 'mlflow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def stepped(model: Wrapper, labels: np.ndarray, loss: str = SPARSE_LOSS) -> dict[str, Any]:
    """Return what a training step hands to loss and metrics."""
    model.compile("sgd", loss)
    return model({"assay_images": IMAGES, "assay_labels": labels}, training=True)


@keras.saving.register_keras_serializable("tests")
class Brighten(layers.Layer):
    """Makes the i-th of the flattened copies brighter by `amounts[i]`."""

    def __init__(self, amounts: Any) -> None:
        super().__init__()
        self.amounts = np.asarray(amounts, "float32")

    def call(self, inputs: Any, training: bool = False) -> Any:
        return ops.cast(inputs, "float32") + self.amounts[:, None, None, None]


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_the_largest_loss_of_each_image_is_trained_on_whatever_the_order_of_copies(copies: int) -> None:
    amounts = RNG.normal(size=(copies, 20), scale=60)
    net = network()
    found = []
    for order in (np.arange(copies), RNG.permutation(copies)):
        step = stepped(MaxUp(net, m=copies, augment=Brighten(amounts[order].ravel())), SPARSE)
        losses = keras.losses.sparse_categorical_crossentropy(step[LABELS], step[PREDICTIONS])
        found.append(ops.convert_to_numpy(losses))
    brightened = IMAGES[None].astype("float32") + amounts[..., None, None, None].astype("float32")
    likely = ops.convert_to_numpy(net(brightened.reshape(-1, *SHAPE))).reshape(copies, 20, CLASSES)
    expected = (-np.log(likely[:, np.arange(20), SPARSE])).max(axis=0)
    assert np.allclose(found[0], expected, atol=1e-5)
    assert np.allclose(found[0], found[1], atol=1e-6)


def test_identical_copies_are_plain_training() -> None:
    start = network().get_weights()
    found = {}
    for reduction in ("", "max", "mean", "softmax"):
        net = network()
        net.set_weights(start)
        model = MaxUp(net, m=3, reduction=reduction, augment=Brighten(np.zeros(60))) if reduction else net
        model.compile(keras.optimizers.SGD(0.1), SPARSE_LOSS)
        model.fit(IMAGES, SPARSE, batch_size=20, epochs=2, shuffle=False, verbose=0, sample_weight=np.arange(20) / 10)
        found[reduction] = net.get_weights()[0]
    assert not np.allclose(found[""], start[0], atol=1e-4)
    for reduction, weights in found.items():
        assert np.allclose(weights, found[""], atol=1e-5), reduction


def test_the_candidate_pass_changes_no_variable_and_adds_no_loss() -> None:
    norm = layers.BatchNormalization(momentum=0.5)
    net = network(norm, layers.Dropout(0.5, seed=1), layers.ActivityRegularization(l2=1.0))
    model = MaxUp(net, m=2, augment=Brighten(np.repeat([0, 90], 20)))
    model.compile("sgd", SPARSE_LOSS)
    before = [ops.convert_to_numpy(each) for each in net.variables]
    model._candidates(ops.cast(np.tile(IMAGES, (2, 1, 1, 1)), "float32"))
    assert all(
        np.array_equal(one, ops.convert_to_numpy(other)) for one, other in zip(before, net.variables, strict=True)
    )
    model({"assay_images": IMAGES, "assay_labels": SPARSE}, training=True)
    assert len(model.losses) == 1
    assert not np.array_equal(before[0], ops.convert_to_numpy(norm.moving_mean))


def test_phases_follow_the_steps_done() -> None:
    model = SamplePairing(network(), start=0.1, end=0.8, on_epochs=2, off_epochs=1, epochs=10, steps_per_epoch=3)
    found = []
    for step in range(36):
        model.steps.assign(step)
        found.append(bool(ops.convert_to_numpy(model.active())))
    epochs = [model.method.active(epoch, 10) for epoch in (*range(10), 9, 9)]
    assert found == np.repeat(epochs, 3).tolist()
    assert True in found
    assert False in found


@pytest.mark.parametrize("on", [True, False])
def test_a_method_that_is_off_trains_on_the_images_themselves(on: bool) -> None:
    model = Mixup(network(), alpha=8.0, off_last=0.3, epochs=10, steps_per_epoch=2)
    model.compile("sgd", HOT_LOSS)
    model.steps.assign(0 if on else 15)
    step = model({"assay_images": IMAGES, "assay_labels": HOT}, training=True)
    assert np.allclose(ops.convert_to_numpy(step[LABELS]), HOT) is not on
    assert np.allclose(ops.convert_to_numpy(step[PREDICTIONS]), predicted(model), atol=1e-6) is not on


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxUp(network()), "MaxUp needs `augment`"),
        (lambda: MaxUp(network(), augment=[]), "an augmentation other than `none`, as in MaxUp"),
        (lambda: MaxUp(network(), m=0, augment="crop"), "maxup: `m`: .*greater than or equal to 1, but got 0"),
        (lambda: MaxUp(network(), reduction="min", augment="crop"), "one of max, softmax, mean, but got 'min'"),
        (lambda: MaxUp(network(), augment="crpo"), "unknown augmentation `crpo`. Did you mean `crop`"),
        (lambda: MaxUp(layers.Dense(3), augment="crop"), "MaxUp wraps a keras.Model, but got <Dense"),
        (
            lambda: Mixup(MaxUp(network(), augment="crop")),
            "Mixup cannot wrap a MaxUp, whose method would not be applied",
        ),
        (lambda: MaxUp(keras.Sequential([Mixup(network())]), augment="crop"), "MaxUp cannot wrap a Mixup"),
        (lambda: Mixup(network(), alpha=-1), "mixup: `alpha`: .*, but got -1"),
        (lambda: Mixup(network(), off_last=0.2), "mixup is off in some epochs, so it needs the length"),
        (lambda: Mixup(network(), off_last=0.9, epochs=20, steps_per_epoch=1), "on for 2 of 20 epochs"),
        (lambda: SamplePairing(network()), "sample_pairing is off in some epochs"),
        (lambda: SamplePairing(network(), epochs=20), "belong together.* but got steps_per_epoch=None"),
        (lambda: Mixup(network(), epochs=20, steps_per_epoch=1.5), "positive integers, but got steps_per_epoch=1.5"),
    ],
)
def test_settings_that_cannot_work_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("wrap", "labels", "loss", "message"),
    [
        (Mixup, SPARSE, SPARSE_LOSS, "mixes labels, so they have to be one-hot"),
        (CutMix, SPARSE, HOT_LOSS, "mixes labels, so they have to be one-hot"),
        (lambda net: MaxUp(net, augment="crop"), SPARSE, None, "a single loss is needed"),
        (
            lambda net: MaxUp(net, augment="crop"),
            HOT,
            lambda y, p: ops.mean(y * p),
            "returns one number for the whole batch",
        ),
    ],
)
def test_labels_and_losses_that_do_not_fit_are_refused(wrap: Any, labels: Any, loss: Any, message: str) -> None:
    model = wrap(network())
    model.compile("sgd", loss)
    with pytest.raises(InputError, match=message):
        model.fit(IMAGES, labels, verbose=0)


def test_images_of_another_form_are_refused() -> None:
    net = keras.Sequential([keras.Input((36,)), layers.Dense(CLASSES)])
    model = MaxUp(net, augment=layers.GaussianNoise(0.1))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(InputError, match=r"but got \(None, 36\)"):
        model.fit(IMAGES.reshape(20, 36), SPARSE, verbose=0)
