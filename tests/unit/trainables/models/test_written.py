"""The code of a network is that network: same weights, same outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from trainables.backends import tensorflow as tensorflow_backend
from trainables.errors import InputError
from trainables.models import MODELS
from trainables.models.base import REFERENCE
from trainables.models.written import network_code

tensorflow_backend.configure(threads=1)
QUICK = (
    "alexnet", "lenet", "resnet18", "resnet8", "resnet8_v2", "small_cnn", "vgg11", "vgg11_published", "vgg13_relu_norm",
)  # fmt: skip
FAMILIES = [name for name in MODELS if name != REFERENCE and not name.startswith("keras_") and name not in QUICK]
OTHERS = [
    ("resnet18", {"stem": "cifar"}),
    ("googlenet", {"stem": "cifar", "batch_norm": True}),
    ("alexnet", {"stem": "cifar", "batch_norm": True}),
    ("vgg11", {"batch_norm": False, "dropout": 0.3}),
]


def built(code: str, image_shape: tuple[int, int, int]) -> keras.Model:
    names: dict[str, Any] = {"keras": keras, "layers": layers}
    exec(compile(code, "script", "exec"), names)
    return names["build_network"](image_shape)


def check(model: keras.Model) -> str:
    code = network_code(model)
    image_shape = model.input_shape[1:]
    copy = built(code, image_shape)
    assert copy.count_params() == model.count_params()
    for layer in filter(lambda layer: layer.weights, model.layers):
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    images = np.random.default_rng(0).normal(size=(2, *image_shape)).astype("float32")
    assert np.allclose(model(images), copy(images), atol=1e-5)
    assert settings_of(model) == settings_of(copy)
    return code


def settings_of(model: keras.Model) -> dict[str, Any]:
    layers_ = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    return {layer.name: (type(layer), {**layer.get_config(), "seed": None}) for layer in layers_}


def small(name: str, **settings: Any) -> keras.Model:
    kind = MODELS.get(name)
    narrow = {"width": 1 / 16} if "width" in kind.model_fields else {}
    return kind.model_validate({"name": name, **narrow, **settings}).build((64, 64, 3), 5)


@pytest.mark.parametrize("name", QUICK)
def test_a_network_of_every_family_is_written_as_itself(name: str) -> None:
    check(small(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_network_is_written_as_itself(name: str) -> None:
    assert check(small(name)).count("\n") < 130


@pytest.mark.parametrize(("name", "settings"), OTHERS)
def test_settings_are_written(name: str, settings: dict[str, Any]) -> None:
    check(small(name, **settings))


def test_blocks_that_come_again_are_functions() -> None:
    code = check(MODELS.get("resnet20")(name="resnet20").build((28, 28, 1), 10))
    assert code.count("def ") == 3
    assert 'x = block1(x, 16, "stage1_block2")' in code
    assert code.count("Conv2D(") == 5


def test_a_network_of_ones_own_is_written() -> None:
    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, (3, 1), strides=2, kernel_regularizer=keras.regularizers.L2(0.01))(image)
    y = layers.Conv2D(4, (3, 1), strides=(2, 2), bias_initializer=keras.initializers.Constant(0.5))(image)
    check(keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Multiply()([x, y])))))
    check(keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, activation="tanh")]))


def test_what_is_no_call_of_a_layer_is_refused() -> None:
    image = keras.Input((4,))
    dense = layers.Dense(4, name="twice")
    with pytest.raises(InputError, match="`twice` is used 2 times"):
        network_code(keras.Model(image, dense(dense(image))))
    with pytest.raises(InputError, match="does not come with Keras"):
        network_code(keras.Model(image, keras.ops.sin(dense(image))))
