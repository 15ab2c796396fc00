"""Networks of keras.applications with weights, user-defined networks, and names of settings."""

from __future__ import annotations

import logging
import sys
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from pydantic import ValidationError

from search.lifecycle import check_data
from search.plan.builder import make_plan
from search.study.catalogue import listing
from tests.support.studies import make_study
from trainables.config import RunConfig
from trainables.data import SOURCES
from trainables.engine.classifier import Classifier
from trainables.engine.network import Network
from trainables.engine.saved_model import save_model
from trainables.errors import InputError
from trainables.models import MODELS, applications, custom
from trainables.registration import plugins

pytestmark = pytest.mark.usefixtures("own_code")

SHAPE = (8, 8, 1)


def settings(name: str, **fields: Any) -> Any:
    return MODELS.get(name).model_validate({"name": name, **fields})


def sequential(*steps: Any, shape: tuple[int, int, int] = SHAPE) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *steps])


def good(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    steps = (layers.Conv2D(4, 3), layers.BatchNormalization(), layers.Flatten(), layers.Dropout(0.3))
    return sequential(*steps, layers.Dense(classes), shape=image_shape)


def functional(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a network with an operation, a nested model, and layers that are used twice."""
    image = keras.Input(image_shape)
    inner = keras.Sequential(
        [keras.Input(image_shape), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()]
    )
    shared, norm = layers.Conv2D(4, 1), layers.BatchNormalization()
    x: Any = keras.ops.add(norm(shared(inner(image))), 1.0)
    return keras.Model(image, layers.Dense(classes)(layers.GlobalAveragePooling2D()(norm(shared(x)))))


def unusual(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """Return a network with depthwise kernels and a recurrent layer."""
    steps = (layers.DepthwiseConv2D(3), layers.SeparableConv2D(4, 3), layers.Reshape((4, -1)), layers.GRU(8))
    return sequential(*steps, layers.Dense(classes), shape=image_shape)


def attention(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    image = keras.Input(image_shape)
    x: Any = layers.Reshape((8, 8))(image)
    x = layers.MultiHeadAttention(2, 4)(x, x)
    return keras.Model(image, layers.Dense(classes)(layers.Flatten()(x)))


class OwnLayer(layers.Layer):
    def call(self, inputs: Any) -> Any:
        return inputs


class Subclassed(keras.Model):
    def call(self, inputs: Any) -> Any:
        return inputs


BAD: dict[str, tuple[Any, str]] = {
    "raises": (lambda shape, classes: 1 // 0, "the function failed for images .* ZeroDivisionError"),
    "nothing": (lambda shape, classes: None, "returned NoneType"),
    "subclassed": (lambda shape, classes: Subclassed(), "returned Subclassed"),
    "own_layer": (
        lambda shape, classes: sequential(layers.Flatten(), OwnLayer(), layers.Dense(classes)),
        r"\(OwnLayer\) is not a built-in Keras layer",
    ),
    "of_lambda": (
        lambda shape, classes: sequential(layers.Lambda(lambda x: x), layers.Flatten(), layers.Dense(classes)),
        r"\(Lambda\)",
    ),
    "classes": (lambda shape, classes: sequential(layers.Flatten(), layers.Dense(3)), r"but maps .* to \(None, 3\)"),
    "shape": (
        lambda shape, classes: sequential(layers.Flatten(), layers.Dense(classes), shape=(9, 9, 1)),
        r"but maps \(None, 9, 9, 1\)",
    ),
    "softmax": (
        lambda shape, classes: sequential(layers.Flatten(), layers.Dense(classes, activation="softmax")),
        "returns probabilities",
    ),
    "softmax_layer": (
        lambda shape, classes: sequential(layers.Flatten(), layers.Dense(classes), layers.Softmax()),
        "returns probabilities",
    ),
    "weightless": (
        lambda shape, classes: sequential(layers.Flatten(), layers.Dense(classes, trainable=False)),
        "has no trainable weights",
    ),
    "halved": (
        lambda shape, classes: sequential(layers.Flatten(), layers.Dense(classes, dtype="float16")),
        "float16 weights; they must be float32",
    ),
    "attention": (attention, "has no initializer for its weight `kernel`"),
}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of an importable module with builders."""
    module = ModuleType("own_networks")
    for name, function in {
        "good": good,
        "functional": functional,
        "unusual": unusual,
        **{k: v[0] for k, v in BAD.items()},
    }.items():
        setattr(module, name, function)
    module.number = 3  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "own_networks", module)
    return "own_networks"


@pytest.mark.parametrize("function", ["good", "functional", "unusual"])
def test_a_builder_by_reference_trains_and_saves(own: str, function: str, tmp_path: Path) -> None:
    data = SOURCES.get("digits")().load()
    plain = {"data": "digits", "model": f"{own}:{function}", "augmentation": "none", "train_fraction": 0.1, "epochs": 2}
    config = RunConfig.from_plain({**plain, "batch_size": 32, "learning_rate": 0.01})
    assert RunConfig.from_plain(config.parameters()) == config
    config.model.check(SHAPE, 10)
    run = Classifier(config, data.arrays(), 10)
    first = run.train_epoch()["train_loss"]
    assert run.train_epoch()["train_loss"] < first
    run.save_model(tmp_path / "model.keras", data.class_names)
    assert keras.saving.load_model(tmp_path / "model.keras").output_shape == (None, 10)


@pytest.mark.parametrize("function", ["functional", "unusual"])
def test_weights_of_a_builder_depend_on_the_seed_only(own: str, function: str) -> None:
    model = settings(f"{own}:{function}")
    one, other = (Network(model, SHAPE, 10).initial(5)[0] for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, Network(model, SHAPE, 10).initial(6)[0])


@pytest.mark.parametrize("function", list(BAD))
def test_a_builder_that_cannot_be_trained_is_refused_before_the_run(own: str, function: str) -> None:
    with pytest.raises(InputError, match=BAD[function][1]) as caught:
        settings(f"{own}:{function}").check(SHAPE, 10)
    assert f"model `{own}:{function}`" in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_package.networks:build", "cannot be imported"),
        ("own_networks:missing", "has no `missing`"),
        ("own_networks:number", "a function is needed, but `own_networks:number` is 3"),
        ("own_networks:", "package.module:name"),
    ],
)
def test_bad_references_are_refused_before_the_run(own: str, reference: str, message: str) -> None:
    plan = make_plan(make_study(recipe={"model": reference, "augmentation": "crop", "epochs": 12}))
    with pytest.raises(InputError, match=message):
        check_data(plan)


def test_entry_points_are_registered_as_models(own: str, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    points = {name: EntryPoint(name=name, value=f"{own}:good", group=custom.GROUP) for name in ("theirs", "resnet20")}
    for module in (custom, plugins):
        monkeypatch.setattr(module, "installed", lambda group: points if group == custom.GROUP else {})
    monkeypatch.setattr(MODELS, "_entries", dict(MODELS._entries))
    monkeypatch.setattr(custom, "REFERENCES", {})
    with caplog.at_level(logging.WARNING):
        custom.register_entry_points()
    assert "`resnet20` of own_networks:good is ignored" in caplog.text
    assert type(settings("resnet20")) is not custom.BuilderModel
    assert settings("theirs").build(SHAPE, 4).output_shape == (None, 4)
    assert settings("theirs").summary == "from own_networks:good"


@pytest.fixture
def weights_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> keras.Model:
    """Replace the published weights by random ones, and return their network."""
    published = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        published.save_weights(tmp_path / "published.weights.h5")
    monkeypatch.setattr(applications, "WEIGHTS", str(tmp_path / "published.weights.h5"))
    return published


def test_pretrained_weights_do_not_depend_on_the_seed_and_expect_rgb(weights_file: keras.Model) -> None:
    model = settings("keras_vgg16", pretrained="imagenet", preprocessing="network")
    model.check((32, 32, 3), 10)
    network = Network(model, (32, 32, 3), 10)
    ours = network.assign(*network.initial(3))
    head = ours.get_layer("logits").kernel.numpy()
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    mean, deviation = model.scale(np.zeros(3, "float32"), np.ones(3, "float32"))
    maps = keras.Model(ours.input, ours.get_layer("block5_pool").output)((images - mean) / deviation)
    expected = weights_file(keras.applications.vgg16.preprocess_input(images.copy()))
    assert np.array(maps) == pytest.approx(np.array(expected), rel=1e-3, abs=1e-4)
    assert not np.array_equal(head, network.assign(*network.initial(4)).get_layer("logits").kernel.numpy())


def test_pretrained_weights_with_another_preprocessing_give_a_warning(weights_file: keras.Model, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        settings("keras_vgg16", pretrained="imagenet", preprocessing="unit").check((32, 32, 3), 10)
    assert "`preprocessing: unit`; they were trained with `preprocessing: network`" in caplog.text


def test_pretrained_weights_that_do_not_fit_or_cannot_be_loaded_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = settings("keras_vgg16", pretrained="imagenet")
    with pytest.raises(InputError, match="3 channels, but these images have 1"):
        model.check((32, 32, 1), 10)
    with pytest.raises(InputError, match="`preprocessing: network` is for 3 channels"):
        settings("keras_vgg16", preprocessing="network").check((32, 32, 1), 10)

    def offline(**_: Any) -> None:
        raise Exception("URL fetch failure on https://weights: None -- no network")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(InputError, match=r"ImageNet weights cannot be loaded \(URL fetch failure.*pretrained: none"):
        model.check((32, 32, 3), 10)
    (tmp_path / "broken.weights.h5").write_bytes(b"no weights")
    monkeypatch.undo()
    monkeypatch.setattr(applications, "WEIGHTS", str(tmp_path / "broken.weights.h5"))
    with pytest.raises(InputError, match="ImageNet weights cannot be loaded"):
        model.check((32, 32, 3), 10)


def test_settings_have_plain_and_dotted_names() -> None:
    plain = {"data": "digits", "model": "resnet18", "stem": "cifar", "dropout": 0.2, "googlenet.dropout": 0.6}
    config = RunConfig.from_plain(plain)
    assert config.model == settings("resnet18", stem="cifar", dropout=0.2)
    assert config.parameters()["stem"] == "cifar"
    assert "googlenet.dropout" not in config.parameters()
    dotted = {"data": "digits", "model": "resnet18", "resnet18.stem": "cifar", "model.dropout": 0.2}
    assert RunConfig.from_plain(dotted) == config
    nested = {"data": "digits", "model": {"name": "resnet18", "stem": "cifar", "dropout": 0.2}}
    assert RunConfig.from_plain(nested) == config
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_a_setting_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="model `lenet` has no `stem`; it has: dropout, preprocessing, width"):
        RunConfig.from_plain({"data": "digits", "model": "lenet", "stem": "cifar"})
    with pytest.raises(InputError, match="`vgg11` has no field `stem`"):
        RunConfig.from_plain({"data": "digits", "model": "lenet", "vgg11.stem": "cifar"})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "resnet18", "stem": "cifer"}, "Input should be 'cifar' or 'imagenet'"),
        ({"model": "resnet18", "dropout": 1.0}, "less than 1"),
        ({"model": "resnet18", "width": 0}, "greater than or equal to 0.0625"),
        ({"model": "lenet", "preprocessing": "network"}, "has no `network` preprocessing"),
        ({"model": {"name": "resnet18", "depth": 3}}, "Extra inputs are not permitted"),
    ],
)
def test_bad_settings_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunConfig.from_plain({"data": "digits", **wrong})


def test_settings_are_conditions_and_nuisance_parameters_of_a_study() -> None:
    study = make_study(
        recipe={"model": "resnet18", "augmentation": "crop", "epochs": 12, "preprocessing": "unit"},
        conditions={"stem": ["cifar", "imagenet"], "width": [0.25, 0.5]},
        nuisance={"learning_rate": "auto", "dropout": "auto"},
    )
    plan = make_plan(study)
    assert [condition.values["stem"] for condition in plan.conditions] == ["cifar", "cifar", "imagenet", "imagenet"]
    assert list(plan.nuisance) == ["learning_rate", "dropout"]
    config = plan.run_config(plan.arms[0], {"learning_rate": 0.1, "dropout": 0.3}, 0, 0)
    assert config.model == settings("resnet18", stem="cifar", width=0.25, dropout=0.3, preprocessing="unit")
    with pytest.raises(InputError, match="needs images of at least 32 x 32 pixels, but they are 8 x 8"):
        check_data(plan)


def test_a_nuisance_parameter_of_some_models_is_a_dimension_of_each_of_them() -> None:
    recipe = {"augmentation": "crop", "epochs": 12}
    conditions = {"model": ["resnet8", "own:builder"]}
    plan = make_plan(make_study(recipe=recipe, conditions=conditions, nuisance={"dropout": "auto"}))
    assert list(plan.nuisance) == ["resnet8.dropout"]
    with pytest.raises(InputError, match=r"nuisance\.stem: `auto` needs a declared range"):
        make_plan(make_study(nuisance={"stem": "auto"}))


def test_models_are_listed_with_their_settings() -> None:
    entries = {entry.name: entry for entry in listing("models")}
    assert "images from 32 px" in entries["resnet18"].settings
    assert "stem = imagenet" in entries["resnet18"].settings
    assert "dropout = 0.4, searched in 0 to 0.5" in entries["googlenet"].settings
    assert all(entry.summary for entry in entries.values())


def test_a_saved_model_keeps_the_preprocessing_of_its_run(tmp_path: Path) -> None:
    model = settings("small_cnn", preprocessing="signed")
    network = Network(model.structure(), (16, 16, 1), 3)
    mean, deviation = model.scale(np.zeros(1, "float32"), np.ones(1, "float32"))
    inner = network.assign(*network.initial(0, model.dropout_rate))
    save_model(tmp_path / "m.keras", inner, mean, deviation, ("a", "b", "c"))
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1)).astype("uint8")
    expected = keras.ops.softmax(inner(images / 127.5 - 1))
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert np.array(loaded(images)) == pytest.approx(np.array(expected), abs=1e-5)
