"""The script does what the recipe says: its pieces against those of Assay, and each variant read by Python."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from search.export.keras_script import script, write_script
from search.export.recipe import Origin, Promise, Recipe
from trainables.augmentation import Policy, policy_apply
from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.errors import InputError
from trainables.methods import METHODS
from trainables.optimizers import OPTIMIZERS
from trainables.schedules import learning_rates

tensorflow_backend.configure(threads=1)
SHAPE = (16, 16, 3)
AUGMENTATIONS = [
    "crop",
    {"name": "crop_flip", "padding": 3, "flip": 0.4},
    {"name": "cutout", "size": 0.4, "fill": 99.0},
    {"name": "affine_flip", "shear": 9.0},
    {"name": "photometric", "noise": 0.0},
    {"name": "photometric", "noise": 0.0, "colour": 0.0, "zoom": 1.0, "rotation": 20.0},
    {"name": "one_of", "hue": 0.2, "brightness": 0.6, "contrast": 0.7},
]


def recipe(shape: tuple[int, int, int] = SHAPE, **plain: Any) -> Recipe:
    config = {"data": {"source": "npz", "path": "/data/images.npz"}, "model": "lenet", "epochs": 40, **plain}
    return Recipe(
        train=RunConfig.from_plain(config),
        class_names=["cat", "dog", 'a "quoted"\nname'],
        image_shape=list(shape),
        promise=Promise(test_accuracy=0.8, low=0.7, high=0.9, spread=0.1, seeds=3),
        origin=Origin(study='in """quotes"""\\', study_id="1", condition="all", method="baseline", runs=[]),
    )


def loaded(**plain: Any) -> SimpleNamespace:
    """Return what the script defines."""
    code = script(recipe(shape=(16, 16, 3), **plain), "train.py")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(code, "train.py", "exec"), names)
    return SimpleNamespace(code=code, **{key: value for key, value in names.items() if not key.startswith("__")})


@pytest.mark.parametrize("settings", AUGMENTATIONS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentations_are_those_of_assay(settings: Any, channels: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (9, 16, 16, channels)).astype("uint8")
    policy = Policy.model_validate(settings)
    draws = policy.draw(np.random.default_rng(5), len(images), (16, 16, channels))
    expected = np.asarray(policy_apply(policy.name)(tf.constant(images), {k: tf.constant(v) for k, v in draws.items()}))
    found = loaded(augmentation=settings).augmented(images, np.random.default_rng(5))
    assert np.allclose(found, expected, atol=0.02)


OPTIMIZER_SETTINGS: dict[str, dict[str, Any]] = {
    "sgd": {"learning_rate": 0.1, "nesterov": True, "weight_decay": 0.01, "clip_norm": 1.0},
    "adam": {"learning_rate": 0.01, "weight_decay": 0.1, "decay_all": True},
    "adamw": {"learning_rate": 0.01, "weight_decay": 0.1},
    "rmsprop": {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 0.0},
}


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_optimizers_are_those_of_assay(name: str) -> None:
    settings = OPTIMIZER_SETTINGS[name]
    change = loaded(optimizer={"name": name, **settings}).change_weights
    rule = OPTIMIZERS.get(name)(**settings)
    rng = np.random.default_rng(3)
    weights = [tf.Variable(rng.normal(size=size).astype("float32")) for size in ((3, 2), (2,))]
    slots = [[tf.Variable(tf.zeros_like(weight)) for _ in range(rule.slots)] for weight in weights]
    flat = np.concatenate([weight.numpy().ravel() for weight in weights])
    kept: Any = [np.zeros(8, "float32") for _ in range(rule.slots)]
    decayed = np.ones(8, "float32") if rule.decay_all else np.array([1] * 6 + [0] * 2, "float32")
    for step in (1.0, 2.0, 3.0):
        gradients = [rng.normal(size=weight.shape).astype("float32") for weight in weights]
        change(weights, [tf.constant(gradient) for gradient in gradients], slots, 0.05, step)
        rates = {**rule.rates(), "learning_rate": 0.05, "step": np.float32(step)}
        joined = np.concatenate([gradient.ravel() for gradient in gradients])
        flat, kept = rule.update(flat, joined, kept, decayed, rates)
    found = np.concatenate([weight.numpy().ravel() for weight in weights])
    assert np.allclose(found, np.asarray(flat), atol=1e-5)


@pytest.mark.parametrize("schedule", ["milestones", "cosine", "constant"])
@pytest.mark.parametrize("warm_up", [0.0, 0.1])
def test_schedules_are_those_of_assay(schedule: Any, warm_up: float) -> None:
    plain = {"schedule": schedule, "warm_up": warm_up, "milestones": [30, 35], "milestones_of": 40}
    made = loaded(optimizer={"name": "sgd", "learning_rate": 0.3}, **plain)
    expected = learning_rates(
        0.3, schedule=schedule, milestones=(0.75, 0.875), warm_up=warm_up, first=0, last=57, total=57
    )
    assert np.allclose([made.learning_rate(step, 57) for step in range(57)], expected)


STEPPED = ("mixup", "cutmix", "maxup", "maxup+noise")


@pytest.mark.parametrize(
    "method", [*STEPPED, *(pytest.param(name, marks=pytest.mark.slow) for name in METHODS if name not in STEPPED)]
)
def test_a_step_of_every_method_can_be_taken(method: str) -> None:
    made = loaded(method=method, model="tests.networks:normalising", batch_size=4)
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3)).astype("uint8")
    data = made.Data(images, np.arange(20) % 3, np.arange(16), *made.image_scale(images))
    network = made.build_network((16, 16, 3))
    before = [weight.numpy() for weight in network.trainable_variables]
    batches, rng = made.passes(data, np.random.default_rng(0)), np.random.default_rng(1)
    switched = "def method_on" in made.code
    for on in [True, False] if switched else [True]:
        given = (on,) if switched else ()
        batch = (made.make_batch if "def make_batch" in made.code else made.prepared)(data, next(batches), rng, *given)
        step = made.training_step(network)
        assert np.isfinite(step(*batch, 0.1, 1.0, *(given if "rate, number, on" in made.code else ())))
        assert np.allclose(batch[1].sum(axis=1), 1, atol=1e-5)
    assert any(
        not np.array_equal(old, new.numpy()) for old, new in zip(before, network.trainable_variables, strict=True)
    )


def test_worst_copies_are_found_and_averages_stay() -> None:
    made = loaded(method={"name": "maxup", "m": 2}, model="tests.networks:normalising")
    network = made.build_network((16, 16, 3))
    averages = [variable.numpy() for variable in network.non_trainable_variables]
    images = np.random.default_rng(0).normal(size=(6, 16, 16, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 1, 2, 0]]
    made.COPIES = 2
    chosen, _ = made.worst_copies(network, images[:6], labels)
    logits = np.asarray(
        network.stateless_call(network.trainable_variables, network.non_trainable_variables, images, training=True)[0]
    )
    losses = np.asarray(keras.losses.categorical_crossentropy(labels, logits, from_logits=True)).reshape(-1, 3)
    by_copy = images.reshape(-1, 3, 16, 16, 3)
    assert np.array_equal(chosen, by_copy[losses.argmax(axis=0), np.arange(3)])
    assert all(np.array_equal(old, new) for old, new in zip(averages, network.non_trainable_variables, strict=True))


def test_cycles_and_fine_tuning_are_written() -> None:
    plain = {"method": "sample_pairing", "fine_tune": 0.25, "fine_tune_off": "all"}
    config, made = recipe(**plain).train, loaded(**plain)
    assert [made.method_on(epoch) for epoch in range(40)] == [config.method_on(epoch) for epoch in range(40)]
    assert [epoch < made.FINE_TUNE_FROM for epoch in range(40)] == [
        config.augmentation_on(epoch) for epoch in range(40)
    ]


def test_the_script_reads_as_it_should(tmp_path: Path) -> None:
    write_script(recipe(method="maxup+mixup", fine_tune=0.2, fine_tune_off="all", label_noise=0.1), tmp_path / "t.py")
    code = (tmp_path / "t.py").read_text()
    compile(code, "t.py", "exec")
    assert "assay" not in {
        line.split()[1].split(".")[0] for line in code.splitlines() if line.startswith(("import", "from"))
    }
    assert "\n\n\n\n" not in code


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"data": {"source": "tests.networks:linear"}}, "data source `tests.networks:linear` cannot be written"),
    ],
)
def test_what_cannot_be_written_is_refused(plain: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        write_script(recipe(**plain), tmp_path / "train.py")
    assert not list(tmp_path.iterdir())


def test_groups_and_replayed_studies_are_refused() -> None:
    with pytest.raises(InputError, match="data with groups of its own"):
        script(recipe().model_copy(update={"brings": ["groups"]}), "train.py")
    with pytest.raises(InputError, match="was replayed"):
        script(recipe().model_copy(update={"class_names": []}), "train.py")
