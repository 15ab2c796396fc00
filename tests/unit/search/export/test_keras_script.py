"""The exported script does what the recipe says: its parts against the product's."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from search.export.keras_script import script, write_script
from tests.support.networks import NORMALISING
from tests.support.scripts import loaded, recipe
from trainables.backends import tensorflow as tensorflow_backend
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.models import MODELS
from trainables.models.base import REFERENCE
from trainables.schedules import learning_rates

pytestmark = pytest.mark.usefixtures("own_code")

tensorflow_backend.configure(threads=1)
SHAPE = (16, 16, 3)
LINEAR = "tests.support.networks:linear"


@pytest.mark.parametrize("schedule", ["milestones", "cosine", "constant"])
@pytest.mark.parametrize("warm_up", [0.0, 0.1])
def test_schedules_are_the_products(schedule: Any, warm_up: float) -> None:
    plain = {"schedule": schedule, "warm_up": warm_up, "milestones": [30, 35], "milestones_of": 40, "model": LINEAR}
    plain |= {"rate_decay": 0.01}
    made = loaded(recipe(optimizer={"name": "sgd", "learning_rate": 0.3}, **plain))
    expected = learning_rates(
        0.3, schedule=schedule, milestones=(0.75, 0.875), warm_up=warm_up, rate_decay=0.01, first=0, last=57, total=57
    )
    found = made.learning_rates(made.LEARNING_RATE, **made.SCHEDULE, first=0, last=57, total=57)
    assert np.array_equal(found, expected)


STEPPED = ("mixup", "cutmix", "maxup", "maxup+noise")


@pytest.mark.parametrize(
    "method", [*STEPPED, *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name not in STEPPED)]
)
def test_a_step_of_every_method_can_be_taken(method: str) -> None:
    made = loaded(recipe(method=method, model=NORMALISING, batch_size=4, fine_tune=0.2))
    images = np.random.default_rng(0).integers(0, 256, (20, *SHAPE)).astype("uint8")
    labels, scale = np.arange(20, dtype="int32") % 3, made.channel_statistics(images)
    network, config = made.build_network(0), made.Config(0, 0)
    before = [weight.numpy() for weight in network.trainable_variables]
    step = made.make_training_step(network, scale)
    on_epoch = next(epoch for epoch in range(40) if config.method_on(epoch))
    assert not config.method_on(39)
    for epoch in (on_epoch, 39):
        draws = next(made.draw_epoch(config, np.arange(16), epoch, 4, 160))
        index, reduces = draws.pop("index"), bool(draws.pop("on"))
        states = config.augmentation_on(epoch), config.method_on(epoch)
        _, mixed = made.make_examples(images[index], labels[index], draws, scale, *states)
        assert np.allclose(np.asarray(mixed).sum(axis=2), 1, atol=1e-5)
        assert np.isfinite(step(images[index], labels[index], draws, np.float32(0.1), np.float32(1), *states, reduces))
    assert any(
        not np.array_equal(old, new.numpy()) for old, new in zip(before, network.trainable_variables, strict=True)
    )


def test_worst_copies_are_found_and_averages_stay() -> None:
    made = loaded(recipe(method={"name": "maxup", "m": 2}, model=NORMALISING))
    network = made.build_network(0)
    averages = [variable.numpy() for variable in network.non_trainable_variables]
    images = np.random.default_rng(0).normal(size=(6, *SHAPE)).astype("float32")
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 1, 2, 0]]
    by_copy = images.reshape(2, 3, *SHAPE)
    chosen, _ = made.worst_images(network, by_copy, labels.reshape(2, 3, 3))
    logits = np.asarray(
        network.stateless_call(network.trainable_variables, network.non_trainable_variables, images, training=True)[0]
    )
    losses = np.asarray(keras.losses.categorical_crossentropy(labels, logits, from_logits=True)).reshape(2, 3)
    assert np.array_equal(chosen[0], by_copy[losses.argmax(axis=0), np.arange(3)])
    assert all(np.array_equal(old, new) for old, new in zip(averages, network.non_trainable_variables, strict=True))


def test_cycles_and_fine_tuning_are_written() -> None:
    made_recipe = recipe(method="sample_pairing", fine_tune=0.25, fine_tune_off="all", model=LINEAR)
    config, run = made_recipe.train, loaded(made_recipe).Config(0, 0)
    assert [run.method_on(epoch) for epoch in range(40)] == [config.method_on(epoch) for epoch in range(40)]
    assert [run.augmentation_on(epoch) for epoch in range(40)] == [config.augmentation_on(epoch) for epoch in range(40)]
    assert len({run.method_on(epoch) for epoch in range(30)}) == 2
    assert not run.augmentation_on(39)


def test_the_script_reads_as_it_should(tmp_path: Path) -> None:
    made = recipe(method="maxup+mixup", fine_tune=0.2, fine_tune_off="all", label_noise=0.1, model=LINEAR)
    write_script(made, tmp_path / "t.py")
    code = (tmp_path / "t.py").read_text()
    compile(code, "t.py", "exec")
    assert not {"assay", "search", "trainables", "spaces", "reports"} & {
        line.split()[1].split(".")[0] for line in code.splitlines() if line.lstrip().startswith(("import", "from"))
    }
    assert "\n\n\n\n" not in code
    head = code.partition("from __future__")[0]
    assert "test accuracy of 80.00 % (95 % interval 70.00 to 90.00, 3 seeds)" in head
    assert "python t.py --seed 1" in head
    assert "The script needs keras, numpy, pillow, tensorflow." in head
    assert "LABEL_NOISE = 0.1" in code
    assert "# cat, dog, a quoted name" in code
    assert "# Model: " in code


@pytest.mark.parametrize("text", ['"""\nimport os\n"""', "\\", "x\x00\x0c\r# y\nEPOCHS = 1", "'''"])
def test_text_of_a_study_never_becomes_code(text: str) -> None:
    def statements(code: str) -> list[str]:
        return [ast.dump(each) for each in ast.parse(code).body[1:] if not isinstance(each, ast.FunctionDef)]

    made = recipe()
    origin = made.origin.model_copy(update={"study": text, "condition": text, "method": text})
    changed = made.model_copy(update={"origin": origin, "class_names": [text, "b", "c"]})
    assert statements(script(changed, text)) == statements(script(made, "train.py"))


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (
            {"data": {"source": "tests.support.networks:linear"}},
            "data source `tests.support.networks:linear` cannot be written as a script: `Reference.load` uses "
            "`check_reference` of `trainables.registration.plugins`, which works only inside Assay",
        ),
    ],
)
def test_what_cannot_be_written_is_refused(plain: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        write_script(recipe(**plain), tmp_path / "train.py")
    assert not list(tmp_path.iterdir())


def test_replayed_studies_are_refused() -> None:
    with pytest.raises(InputError, match="was replayed"):
        script(recipe().model_copy(update={"class_names": []}), "train.py")


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


def check_network(name: str, image_shape: tuple[int, int, int] = (64, 64, 3), **settings: Any) -> None:
    """Compare the exported network with the product's: layers, and outputs with the same weights."""
    kind = MODELS.get(name)
    narrow = {"width": 1 / 16} if "width" in kind.model_fields else {}
    model = kind.model_validate({"name": name, **narrow, **settings})
    made = recipe(shape=image_shape, class_count=5, model=model.model_dump(), augmentation="none")
    compare(model.build(image_shape, 5), loaded(made).build_network(0))


def compare(model: keras.Model, copy: keras.Model) -> None:
    assert copy.count_params() == model.count_params()
    for layer in filter(lambda layer: layer.weights, model.layers):
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    images = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype("float32")
    assert np.allclose(model(images), copy(images), atol=1e-5)
    assert settings_of(model) == settings_of(copy)


def settings_of(model: keras.Model) -> dict[str, Any]:
    inner = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    return {layer.name: (type(layer), {**layer.get_config(), "seed": None}) for layer in inner}


@pytest.mark.parametrize("name", QUICK)
def test_a_network_of_every_family_is_written_as_itself(name: str) -> None:
    check_network(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FAMILIES, "keras_resnet50", "keras_vgg16"])
def test_every_network_is_written_as_itself(name: str) -> None:
    check_network(name)


@pytest.mark.parametrize(("name", "settings"), OTHERS)
def test_settings_of_networks_are_written(name: str, settings: dict[str, Any]) -> None:
    check_network(name, **settings)


@pytest.mark.parametrize("name", ["regularised", "sequential", "twice"])
def test_a_users_own_network_is_written(name: str) -> None:
    shape = (8, 8, 1)
    made = recipe(shape=shape, model=f"{__name__}:{name}", augmentation="none")
    compare(globals()[name](shape, 3), loaded(made).build_network(0))


def regularised(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    image = keras.Input(image_shape)
    x = layers.Conv2D(4, (3, 1), strides=2, kernel_regularizer=keras.regularizers.L2(0.01), name="a")(image)
    half: Any = keras.initializers.Constant(0.5)
    y = layers.Conv2D(4, (3, 1), strides=(2, 2), bias_initializer=half, name="b")(image)
    both = layers.Flatten(name="flat")(layers.Multiply(name="both")([x, y]))
    return keras.Model(image, layers.Dense(classes, name="logits")(both))


def sequential(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    steps = [layers.Flatten(name="flat"), layers.Dense(classes, activation="tanh", name="logits")]
    return keras.Sequential([keras.Input(image_shape), *steps])


def twice(image_shape: tuple[int, int, int], classes: int) -> keras.Model:
    image = keras.Input(image_shape)
    dense = layers.Dense(4, name="dense")
    x = dense(layers.Dense(4, name="first")(layers.Flatten(name="flat")(image)))
    return keras.Model(image, layers.Dense(classes, name="logits")(keras.ops.sin(dense(x))))


def test_a_network_with_a_layer_of_another_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(layers.Dense):
        pass

    made = recipe(model=LINEAR)
    network = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), Own(3, name="own")])
    monkeypatch.setattr(type(made.train.model), "build", lambda *_: network)
    with pytest.raises(InputError, match="layer `own` does not come with Keras"):
        script(made, "train.py")


def test_pretrained_weights_are_fetched_from_keras() -> None:
    model = {"name": "keras_resnet50", "pretrained": "imagenet", "preprocessing": "network"}
    code = script(recipe(shape=(32, 32, 3), model=model), "train.py")
    assert 'keras.applications.ResNet50(include_top=False, weights="imagenet", input_shape=IMAGE_SHAPE)' in code
    assert "own_means = (123.68, 116.779, 103.939)" in code
