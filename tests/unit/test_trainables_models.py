"""Architectures: sizes, shapes and what they are made of."""

import keras
import numpy as np
import pytest
from keras import ops

from trainables.errors import InputError
from trainables.models import MODELS
from trainables.network import Network
from trainables.randomness import derive_seed


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), ("resnet110", 1.7)],
)
def test_resnets_have_as_many_weights_as_published(name: str, millions: float) -> None:
    """The paper's table 6 (arXiv 1512.03385), in millions."""
    count = trainable(MODELS.get(name).build((32, 32, 3), 10)) / 1e6
    assert count == pytest.approx(millions, abs=0.01 if millions < 1 else 0.05)


def test_resnet20_layer_by_layer() -> None:
    first = 3 * 16 * 9 + 6 * 16 * 16 * 9 + 7 * 2 * 16
    second = 16 * 32 * 9 + 5 * 32 * 32 * 9 + 6 * 2 * 32
    third = 32 * 64 * 9 + 5 * 64 * 64 * 9 + 6 * 2 * 64
    assert trainable(MODELS.get("resnet20").build((32, 32, 3), 10)) == first + second + third + 64 * 10 + 10


@pytest.mark.parametrize(
    ("name", "convolutions"),
    [
        ("vgg11", [(64, 1), (128, 1), (256, 2), (512, 2), (512, 2)]),
        ("vgg16", [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]),
    ],
)
def test_vggs_layer_by_layer(name: str, convolutions: list[tuple[int, int]]) -> None:
    count, channels = 0, 3
    for width, repeats in convolutions:
        for _ in range(repeats):
            count += channels * width * 9 + 2 * width
            channels = width
    assert trainable(MODELS.get(name).build((32, 32, 3), 10)) == count + 512 * 10 + 10


@pytest.mark.parametrize("name", ["resnet8", "vgg11"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (17, 33, 3)])
def test_any_size_and_number_of_classes(name: str, shape: tuple[int, int, int]) -> None:
    model = MODELS.get(name).build(shape, 7)
    assert model.output_shape == (None, 7)
    assert np.isfinite(np.array(model(np.ones((2, *shape), "float32")))).all()


@pytest.mark.parametrize("name", list(MODELS))
def test_too_small_images_are_refused_with_the_smallest_size(name: str) -> None:
    with pytest.raises(InputError, match=rf"model `{name}` needs images of at least 8 x 8 pixels, .* 7 x 20"):
        Network(name, (7, 20, 1), 10)


@pytest.mark.parametrize("name", ["resnet8", "vgg11"])
def test_all_layers_come_with_keras(name: str) -> None:
    for layer in MODELS.get(name).build((8, 8, 1), 10).layers:
        assert type(layer).__module__.startswith("keras.")


def test_shortcut_takes_every_second_pixel_and_adds_zero_channels() -> None:
    model = MODELS.get("resnet8").build((8, 8, 1), 10)
    inner = keras.Model(
        model.get_layer("stage1_block1_relu").output, model.get_layer("stage2_block1_shortcut_close").output
    )
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    result = np.array(inner(x))
    assert np.array_equal(result[..., 8:24], x[:, ::2, ::2])
    assert not result[..., :8].any()
    assert not result[..., 24:].any()


@pytest.fixture(scope="module")
def network() -> Network:
    return Network("resnet8", (8, 8, 1), 10)


def test_initial_weights_depend_on_the_seed_only(network: Network) -> None:
    first, moving = network.initial(4)
    other, _ = network.initial(5)
    again, same = Network("resnet8", (8, 8, 1), 10).initial(4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all(np.array_equal(one, two) for one, two in zip(moving, same, strict=True))


def test_initial_weights_are_he_normal_and_no_two_layers_are_alike(network: Network) -> None:
    model = network.assign(*network.initial(0))
    kernel = model.get_layer("stage3_block1_b_conv").kernel.numpy()
    assert kernel.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    kernels = [model.get_layer(f"stage1_block1_{part}_conv").kernel.numpy() for part in "ab"]
    assert not np.array_equal(*kernels)
    assert model.get_layer("stem_norm").gamma.numpy().tolist() == [1.0] * 16


def test_initial_kernels_are_what_keras_draws_from_the_same_seed(network: Network) -> None:
    model = network.assign(*network.initial(6))
    expected = keras.initializers.HeNormal(seed=derive_seed(6, "init", 0))((3, 3, 1, 16))
    assert np.array_equal(model.get_layer("stem_conv").kernel.numpy(), ops.convert_to_numpy(expected))


def test_only_kernels_decay(network: Network) -> None:
    model, start = network.model, 0
    for variable in model.trainable_variables:
        end = start + int(np.prod(variable.shape))
        assert set(network.decayed[start:end]) == {float(variable.name == "kernel")}
        start = end
    assert start == len(network.decayed)


@pytest.mark.parametrize("training", [False, True])
def test_the_fast_copy_computes_what_keras_does(network: Network, training: bool) -> None:
    weights, moving = network.initial(1)
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype("float32")
    model = network.assign(weights, moving)
    expected = np.array(model(x, training=training))
    logits, after = network.logits(weights, moving, x, training)
    assert np.array(logits) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    for variable, value in zip(model.non_trainable_variables, after, strict=True):
        assert np.array(value) == pytest.approx(variable.numpy(), rel=1e-3, abs=1e-5)
