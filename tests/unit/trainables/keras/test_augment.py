"""The layer `Augment`: equal to the augmentation that it applies, off outside training, compiled by XLA."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from trainables.augmentation import AUGMENTATIONS, make_policy, policy_apply
from trainables.backends.selection import backend
from trainables.errors import InputError
from trainables.keras import Augment

backend.configure(threads=1, deterministic=True)
IMAGES = np.random.default_rng(0).integers(0, 256, (9, 8, 10, 3), dtype="uint8")
NAMES = [*(name for name in AUGMENTATIONS if name != "none"), "crop_flip+cutout"]


@pytest.mark.parametrize("name", NAMES)
def test_it_applies_the_augmentation_to_its_draws(name: str) -> None:
    layer = Augment(name, seed=3)
    layer.build(IMAGES.shape)
    draws = layer.draw(9)
    expected = ops.convert_to_numpy(policy_apply(name)(IMAGES, draws)).astype("float32")
    found = ops.convert_to_numpy(layer.transform(IMAGES, draws))
    assert found == pytest.approx(expected, abs=1e-3)
    assert not np.array_equal(found, IMAGES)
    own = make_policy(name).draw(np.random.default_rng(0), 9, (8, 10, 3))
    assert {key: (value.shape, str(value.dtype)) for key, value in own.items()} == {
        key: (tuple(value.shape), keras.backend.standardize_dtype(value.dtype)) for key, value in draws.items()
    }


def test_xla_compiles_the_layer_with_its_draws() -> None:
    layer = Augment("crop_flip+cutout", seed=3)
    layer.build(IMAGES.shape)
    compiled = tf.function(lambda images: layer(images, training=True), jit_compile=True, autograph=False)
    assert not np.array_equal(compiled(IMAGES), IMAGES)
    assert np.array_equal(layer.seed_generator.state, [3, 1])


def test_it_is_off_outside_training_and_differs_from_step_to_step() -> None:
    layer = Augment("affine_flip", seed=3)
    for off in (layer(IMAGES), layer(IMAGES, training=False)):
        assert np.array_equal(off, IMAGES)
        assert off.dtype == "float32"
    first, second = layer(IMAGES, training=True), layer(IMAGES, training=True)
    assert not np.allclose(first, second)


def test_the_same_seed_gives_the_same_images_and_the_configuration_holds_it() -> None:
    for seed in (3, None):
        layer = Augment("affine_flip", rotation=15, shift=0.0, value_range=(0, 1), seed=seed)
        again = Augment.from_config(layer.get_config())
        assert again.policy == layer.policy
        assert layer.policy.settings()["affine_flip.rotation"] == 15
        assert again.get_config() == layer.get_config()
        assert np.array_equal(layer(IMAGES / 255, training=True), again(IMAGES / 255, training=True))


@pytest.mark.parametrize("name", ["affine_flip", "cutout"])
def test_other_values_of_black_and_white_only_change_the_scale(name: str) -> None:
    plain, scaled = Augment(name, seed=3), Augment(name, seed=3, value_range=(-1, 1))
    expected = ops.convert_to_numpy(plain(IMAGES, training=True)) / 127.5 - 1
    assert np.allclose(scaled(IMAGES.astype("float32") / 127.5 - 1, training=True), expected, atol=2e-3)


def test_it_trains_inside_a_model_and_saves_with_it(tmp_path: Any) -> None:
    steps = [Augment("crop_flip"), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input(IMAGES.shape[1:], dtype="uint8"), *steps])
    model.compile("sgd", "mse")
    model.fit(IMAGES, np.zeros((9, 2)), verbose=0, batch_size=4)
    with pytest.warns(DeprecationWarning, match="__array__ implementation"):
        model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(again.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Augment("crpo"), "unknown augmentation `crpo`"),
        (lambda: Augment("affine_flip", rotation=999), "rotation|less than or equal to 180"),
        (lambda: Augment(["crop", "cutout"], size=0.2), "the settings size cannot be assigned"),
        (lambda: Augment("crop", value_range=(1, 0)), r"black below white, but got \(1, 0\)"),
        (lambda: Augment("crop").build((None, None, 8, 3)), "images of one known size"),
        (lambda: Augment("crop").build((None, 8)), "images of one known size"),
    ],
)
def test_settings_that_cannot_work_are_refused(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
