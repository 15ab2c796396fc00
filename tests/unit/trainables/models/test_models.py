"""Networks: numbers of weights, shapes, layers, and settings."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from trainables.config import RunConfig
from trainables.engine.classifier import Classifier
from trainables.engine.network import Network
from trainables.errors import InputError
from trainables.models import MODELS, Model
from trainables.models.base import REFERENCE
from trainables.models.googlenet import LAYERS, POOL
from trainables.randomness import derive_seed

NAMES = [name for name in MODELS if name != REFERENCE]
FAST = ("resnet8", "resnet8_v2", "vgg11", "googlenet", "lenet", "small_cnn", "resnet18", "vgg13_relu_norm", "alexnet")
VGGS = {
    "vgg11": [(64, 1), (128, 1), (256, 2), (512, 2), (512, 2)],
    "vgg13": [(64, 2), (128, 2), (256, 2), (512, 2), (512, 2)],
    "vgg16": [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)],
    "vgg19": [(64, 2), (128, 2), (256, 4), (512, 4), (512, 4)],
}


SLOW_110 = pytest.param("resnet110", 1.7, marks=pytest.mark.slow)


def settings(name: str, **fields: Any) -> Model:
    return MODELS.get(name).model_validate({"name": name, **fields})


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def count(name: str, shape: tuple[int, int, int], classes: int, **fields: Any) -> int:
    return trainable(settings(name, **fields).build(shape, classes))


def vgg_convolutions(name: str, each: int) -> int:
    """Return the number of weights of convolutions, with `each` further weights per output channel."""
    total, channels = 0, 3
    for width, repeats in VGGS[name]:
        for _ in range(repeats):
            total += channels * width * 9 + each * width
            channels = width
    return total


@pytest.mark.parametrize(
    ("name", "millions"),
    [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85), SLOW_110],
)
def test_cifar_resnets_have_as_many_weights_as_published(name: str, millions: float) -> None:
    """Compare with table 6 of the paper (arXiv 1512.03385), in millions."""
    assert count(name, (32, 32, 3), 10) / 1e6 == pytest.approx(millions, abs=0.01 if millions < 1 else 0.05)


@pytest.mark.parametrize("version", ["", "_v2"])
@pytest.mark.parametrize("depth", [8, 20])
def test_cifar_resnets_layer_by_layer(depth: int, version: str) -> None:
    """v2 normalises the input of each convolution of a block, and the last sum, instead of the outputs."""
    n = (depth - 2) // 6
    first = 3 * 16 * 9 + 2 * n * 16 * 16 * 9
    second = 16 * 32 * 9 + (2 * n - 1) * 32 * 32 * 9
    third = 32 * 64 * 9 + (2 * n - 1) * 64 * 64 * 9
    if version:
        norms = 2 * (2 * n * 16 + (16 + (2 * n - 1) * 32) + (32 + (2 * n - 1) * 64) + 64)
    else:
        norms = 2 * ((2 * n + 1) * 16 + 2 * n * 32 + 2 * n * 64)
    assert count(f"resnet{depth}{version}", (32, 32, 3), 10) == first + second + third + norms + 64 * 10 + 10


@pytest.mark.parametrize("name", list(VGGS))
def test_vggs_layer_by_layer(name: str) -> None:
    assert count(name, (32, 32, 3), 10) == vgg_convolutions(name, 2) + 512 * 10 + 10


def test_vgg_without_batch_norm_has_biases_instead() -> None:
    assert count("vgg11", (32, 32, 3), 10, batch_norm=False) == vgg_convolutions("vgg11", 1) + 512 * 10 + 10


def test_vgg_with_relu_before_batch_norm_layer_by_layer() -> None:
    """Each convolution has a bias, and a batch norm without scale; 32 pixels leave one."""
    dense = 512 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10
    assert count("vgg13_relu_norm", (32, 32, 3), 10) == vgg_convolutions("vgg13", 2) + dense
    model = settings("vgg13_relu_norm").build((64, 64, 3), 10)
    assert model.get_layer("stage5_2_norm").input is model.get_layer("stage5_2_relu").output
    assert trainable(model) == vgg_convolutions("vgg13", 2) + dense + 3 * 512 * 512


def test_published_vgg_at_an_eighth_of_the_width() -> None:
    """The slow test below checks the published count; here all widths are divided by eight."""
    total, channels = 0, 3
    for width, repeats in VGGS["vgg16"]:
        for _ in range(repeats):
            total += channels * width // 8 * 9 + width // 8
            channels = width // 8
    total += 64 * 512 + 512 + 512 * 512 + 512 + 512 * 10 + 10
    assert count("vgg16_published", (32, 32, 3), 10, width=0.125) == total


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("vgg16_published", 138_357_544),  # keras.applications
        ("vgg19_published", 143_667_240),
        ("vgg11_published", 132_863_336),  # torchvision
        ("vgg13_published", 133_047_848),
        ("alexnet", 61_100_840),
    ],
)
def test_large_networks_have_as_many_weights_as_published(name: str, weights: int) -> None:
    assert count(name, (224, 224, 3), 1000) == weights


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("resnet18", 11_689_512),  # torchvision
        pytest.param("resnet34", 21_797_672, marks=pytest.mark.slow),
        ("resnet50", 25_557_032),
        ("googlenet", 6_998_552),  # BVLC's, in Caffe
    ],
)
def test_imagenet_networks_have_as_many_weights_as_published(name: str, weights: int) -> None:
    assert count(name, (224, 224, 3), 1000) == weights


def test_the_stem_setting_changes_the_stem_only() -> None:
    shape = (32, 32, 3)
    resnet = [count("resnet18", shape, 10, stem=stem, width=0.125) for stem in ("imagenet", "cifar")]
    assert resnet[0] - resnet[1] == 3 * 8 * (49 - 9)
    google = [count("googlenet", shape, 10, stem=stem, width=0.125) for stem in ("imagenet", "stride1", "cifar")]
    assert google[0] == google[1]
    assert google[0] - google[2] == (3 * 8 * 49 + 8 * 8 + 8) - (3 * 8 * 9 + 8 * 8 * 9 + 8)
    alex = [count("alexnet", (57, 57, 3), 10, stem=stem, width=0.125) for stem in ("imagenet", "cifar")]
    flat = (6 * 6 - 1 * 1) * 32 * 512  # 57 pixels leave 6 x 6 with one stem and one with the other
    assert alex[1] - alex[0] == flat - 3 * 8 * (121 - 9)


def test_the_imagenet_stem_reduces_32_pixels_to_1_and_the_cifar_stem_to_4() -> None:
    sizes = {}
    for stem in ("imagenet", "cifar"):
        model = settings("resnet18", stem=stem, width=0.125).build((32, 32, 3), 10)
        sizes[stem] = model.get_layer("stage4_block2_relu").output.shape[1:3]
    assert sizes == {"imagenet": (1, 1), "cifar": (4, 4)}


def test_googlenet_maps_at_224_pixels_as_in_the_paper() -> None:
    model = settings("googlenet").build((224, 224, 3), 10)
    shapes = {name: model.get_layer(f"inception{name}").output.shape[1:] for name in ("3a", "3b", "4a", "4e", "5b")}
    assert shapes == {
        "3a": (28, 28, 256), "3b": (28, 28, 480), "4a": (14, 14, 512), "4e": (14, 14, 832), "5b": (7, 7, 1024),
    }  # fmt: skip
    assert len([layer for layer in LAYERS if layer != POOL]) == 9


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("keras_resnet50", 23_587_712),
        pytest.param("keras_resnet101", 42_658_176, marks=pytest.mark.slow),
        pytest.param("keras_resnet152", 58_370_944, marks=pytest.mark.slow),
        ("keras_vgg16", 14_714_688),
        pytest.param("keras_vgg19", 20_024_384, marks=pytest.mark.slow),
    ],
)
def test_keras_applications_have_as_many_weights_as_published_without_top(name: str, weights: int) -> None:
    model = settings(name).build((32, 32, 3), 10)
    features = 512 if "vgg" in name else 2048
    assert model.count_params() == weights + features * 10 + 10
    flat = settings(name, head="flatten", dropout=0.3).build((64, 64, 3), 10)
    assert flat.count_params() == weights + 4 * features * 10 + 10
    assert flat.get_layer("dropout").rate == 0.3


def test_lenet_and_the_small_network_layer_by_layer() -> None:
    assert count("lenet", (28, 28, 1), 10) == 61_706
    assert count("small_cnn", (28, 28, 1), 10) == 416 + 12_832 + 4_224 + 1_290
    assert settings("small_cnn").dropout_rate == 0.2


@pytest.mark.parametrize("name", FAST)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_smallest_image_and_odd_sizes_give_logits(name: str, channels: int) -> None:
    model = settings(name, **({"stem": "cifar"} if "stem" in MODELS.get(name).model_fields else {}))
    if "width" in type(model).model_fields:
        model = model.model_copy(update={"width": 0.125})
    for shape in ((model.smallest, model.smallest, channels), (28 + 1, 33, channels)):
        network = model.build(shape, 7)
        assert network.output_shape == (None, 7)
        assert np.isfinite(np.array(network(np.ones((2, *shape), "float32")))).all()


@pytest.mark.parametrize("name", NAMES)
def test_too_small_images_are_refused_with_the_smallest_size(name: str) -> None:
    model = settings(name)
    least, less = model.smallest, model.smallest - 1
    with pytest.raises(InputError, match=rf"model `{name}` needs images of at least {least} x {least} .* {less} x 60"):
        Network(model, (less, 60, 3), 10)


@pytest.mark.parametrize("stem", ["imagenet", "stride1"])
def test_the_smallest_image_depends_on_the_stem(stem: str) -> None:
    model = settings("googlenet", stem=stem, width=0.125)
    assert model.build((model.smallest, model.smallest, 3), 10).output_shape == (None, 10)
    with pytest.raises(InputError, match=f"at least {model.smallest} x"):
        model.check((model.smallest - 1, 64, 3), 10)


@pytest.mark.parametrize("name", FAST)
def test_all_layers_are_built_into_keras(name: str) -> None:
    fields = {"width": 0.125, **({"stem": "cifar"} if "stem" in MODELS.get(name).model_fields else {})}
    for layer in settings(name, **fields).build((16, 16, 1), 10).layers:
        assert type(layer).__module__.startswith("keras.")


@pytest.mark.parametrize("version", ["", "_v2"])
def test_shortcut_takes_every_second_pixel_and_adds_zero_channels(version: str) -> None:
    model = settings(f"resnet8{version}").build((8, 8, 1), 10)
    last = "stage1_block1_add" if version else "stage1_block1_relu"
    inner = keras.Model(model.get_layer(last).output, model.get_layer("stage2_block1_shortcut_close").output)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype("float32")
    result = np.array(inner(x))
    assert np.array_equal(result[..., 8:24], x[:, ::2, ::2])
    assert not result[..., :8].any()
    assert not result[..., 24:].any()


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(settings("resnet8"), (8, 8, 1), 10)


def test_initial_weights_depend_on_the_seed_only(network: Network) -> None:
    first, moving = network.initial(4)
    other, _ = network.initial(5)
    again, same = Network(settings("resnet8"), (8, 8, 1), 10).initial(4)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert all(np.array_equal(one, two) for one, two in zip(moving, same, strict=True))


def test_initial_weights_are_he_normal_and_differ_between_layers(network: Network) -> None:
    model = network.assign(*network.initial(0))
    kernel = model.get_layer("stage3_block1_b_conv").kernel.numpy()
    assert kernel.std() == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.05)
    kernels = [model.get_layer(f"stage1_block1_{part}_conv").kernel.numpy() for part in "ab"]
    assert not np.array_equal(*kernels)
    assert model.get_layer("stem_norm").gamma.numpy().tolist() == [1.0] * 16


def test_initial_kernels_equal_those_that_keras_draws_from_the_same_seed(network: Network) -> None:
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


@pytest.mark.parametrize("name", ["resnet8", "resnet8_v2", "vgg13_relu_norm"])
@pytest.mark.parametrize("training", [False, True])
def test_the_accelerated_copy_equals_keras(name: str, training: bool) -> None:
    network = Network(settings(name, width=0.25), (8, 8, 1), 10)
    weights, moving = network.initial(1)
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype("float32")
    model = network.assign(weights, moving)
    expected = np.array(model(x, training=training))
    logits, after = network.logits(weights, moving, x, training)
    assert np.array(logits) == pytest.approx(expected, rel=1e-3, abs=1e-4)
    for variable, value in zip(model.non_trainable_variables, after, strict=True):
        assert np.array(value) == pytest.approx(variable.numpy(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("rate", [0.2, 0.75])
def test_dropout_with_a_variable_rate_equals_keras_dropout(rate: float) -> None:
    network = Network(settings("small_cnn"), (16, 16, 1), 10)
    weights, moving = network.initial(1, rate)
    x = np.random.default_rng(0).normal(size=(8, 16, 16, 1)).astype("float32")
    model = network.assign(weights, moving)
    assert model.get_layer("dropout").rate == pytest.approx(rate)
    expected = np.array(model(x, training=True))
    logits, after = network.logits(weights, moving, x, True)
    assert np.array(logits) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert not np.allclose(np.array(network.logits(weights, after, x, True)[0]), expected, atol=1e-3)
    plain = np.array(network.logits(weights, moving, x, False)[0])
    assert plain == pytest.approx(np.array(model(x)), rel=1e-4, abs=1e-5)


def test_models_that_differ_in_dropout_or_preprocessing_share_a_structure() -> None:
    one = settings("vgg11", dropout=0.1, preprocessing="unit")
    assert one.structure() == settings("vgg11", dropout=0.4, preprocessing="signed").structure()
    assert one.structure() != settings("vgg11").structure()
    assert one.structure() != settings("vgg11", dropout=0.1, width=0.5).structure()
    assert hash(one.structure()) == hash(settings("vgg11", dropout=0.4).structure())


@pytest.mark.parametrize(
    ("preprocessing", "black", "white"), [("standard", -2.0, 3.1), ("unit", 0.0, 1.0), ("signed", -1.0, 1.0)]
)
def test_preprocessing_scales_pixels(preprocessing: str, black: float, white: float) -> None:
    means, deviations = np.full(3, 100, "float32"), np.full(3, 50, "float32")
    mean, deviation = settings("lenet", preprocessing=preprocessing).scale(means, deviations)
    assert (0 - mean) / deviation == pytest.approx([black] * 3)
    assert (255 - mean) / deviation == pytest.approx([white] * 3)


def images(size: int, channels: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (24, size, size, channels), dtype="uint8")
    labels = np.arange(24, dtype="int32") % 2
    return {"images": pixels, "labels": labels, "test_images": pixels[:4], "test_labels": labels[:4]}


def train_one_epoch(name: str, **fields: Any) -> None:
    """Train one epoch on a few images, with 8 per step."""
    model = settings(name, **fields)
    plain = {"data": "digits", "model": model.model_dump(), "augmentation": "none", "batch_size": 8, "epochs": 2}
    run = Classifier(RunConfig.from_plain({**plain, "learning_rate": 1e-4}), images(model.smallest, 3), 2)
    before = run._state["weights"].copy()
    metrics = run.train_epoch()
    assert np.isfinite(metrics["validation_loss"])
    assert not np.array_equal(before, np.asarray(run._state["weights"]))


@pytest.mark.parametrize("name", ["lenet", "small_cnn"])
def test_small_networks_train_an_epoch(name: str) -> None:
    train_one_epoch(name)


@pytest.mark.timeout(600)
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in {"lenet", "small_cnn"}])
def test_every_network_trains_an_epoch(name: str) -> None:
    heavy = {"width": 0.25} if "published" in name or name == "alexnet" else {}
    train_one_epoch(name, **heavy)
