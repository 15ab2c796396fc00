"""Every method, augmentation and optimizer, registered by whomever, exports as source with the product's numbers.

Nothing under `search/export` names one of them; what cannot be exported is refused, with the reason.
"""

from __future__ import annotations

import ast
import itertools
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from pydantic import Field

from search.export.keras_script import script
from tests.support.networks import LINEAR
from tests.support.scripts import loaded, recipe
from trainables.augmentation import AUGMENTATIONS, Augmentation
from trainables.backends import tensorflow as tensorflow_backend
from trainables.config import RunConfig
from trainables.engine.batches import draw_batches
from trainables.errors import InputError
from trainables.methods import METHODS, Mixing
from trainables.optimizers import OPTIMIZERS, Optimizer
from trainables.registration.registry import Registry

pytestmark = pytest.mark.usefixtures("own_code")

tensorflow_backend.configure(threads=1)
N, BATCH = 24, 8
SHAPES = {1: (16, 16, 1), 3: (12, 17, 3)}
Draws = dict[str, np.ndarray]


def exported(shape: tuple[int, int, int] = (16, 16, 3), **plain: Any) -> tuple[RunConfig, ModuleType]:
    """Return a run, and what its script defines."""
    made = recipe(shape=shape, **{"model": LINEAR, "augmentation": "crop", **plain})
    return made.train, loaded(made)


def check_method(method: Any) -> None:
    """Compare a whole pass of draws, and what they do to images and labels."""
    config, made = exported(method=method, augmentation="crop_flip", batch_size=BATCH)
    epoch = next(epoch for epoch in range(config.epochs) if config.method_on(epoch))
    run = config.model_copy(update={"seed": 5})
    train = np.arange(N)
    expected = draw_batches(run, train, (16, 16, 3), BATCH, epoch, 2)
    found = made.draw_batches(made.Config(5, 5), train, (16, 16, 3), BATCH, epoch, 2)
    same(found, expected)
    assert made.METHOD.copies == config.method.copies
    assert tuple(made.METHOD.objective) == tuple(config.method.objective)
    rng = np.random.default_rng(0)
    copies, rows = config.method.copies, BATCH * (1 + config.method.guests)
    images = rng.normal(size=(copies, rows, 16, 16, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[rng.integers(0, 3, (copies, rows))]
    draws = {name: value[0] for name, value in expected["method"].items()}
    same(made.METHOD.apply(images, labels, draws), config.method.apply(images, labels, draws))


def same(found: Any, expected: Any) -> None:
    """Compare nests of arrays bit for bit."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            same(found[name], value)
    elif isinstance(expected, tuple):
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    else:
        one, other = np.asarray(found), np.asarray(expected)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert np.array_equal(one, other)


def check_augmentation(settings: Any, channels: int) -> None:
    """Compare the draws, and the images that they give."""
    shape = SHAPES[channels]
    config, made = exported(shape, augmentation=settings)
    images = tf.constant(np.random.default_rng(1).integers(0, 256, (9, *shape)).astype("uint8"))
    drawn = [each.draw(np.random.default_rng(5), 9, shape) for each in (made.AUGMENTATION, config.augmentation)]
    same(*drawn)
    draws = {name: tf.constant(value) for name, value in drawn[0].items()}
    same(made.AUGMENTATION.apply(images, draws), config.augmentation.apply(images, draws))


def check_optimizer(settings: dict[str, Any]) -> None:
    """Compare the weights after some updates."""
    config, made = exported(optimizer=settings)
    rng = np.random.default_rng(3)
    start = rng.normal(size=8).astype("float32")
    decayed = np.ones(8, "float32") if made.DECAY_ALL else np.array([1] * 6 + [0] * 2, "float32")
    found, expected = ((start, [np.zeros(8, "float32")] * rule.slots) for rule in (made.OPTIMIZER, config.optimizer))
    for step in (1.0, 2.0, 3.0):
        gradient, changing = rng.normal(size=8).astype("float32"), {"learning_rate": 0.05, "step": np.float32(step)}
        found = made.OPTIMIZER.update(found[0], gradient, found[1], decayed, {**made.RATES, **changing})
        rates = {**config.optimizer.rates(), **changing}
        expected = config.optimizer.update(expected[0], gradient, expected[1], decayed, rates)
    same(found[0], expected[0])
    assert not np.allclose(np.asarray(found[0]), start)


@pytest.mark.parametrize("name", list(METHODS))
def test_every_registered_method_gives_its_draws_and_examples(name: str) -> None:
    check_method(name)


@pytest.mark.parametrize(
    "method",
    [
        {"name": "mixup", "alpha": 1.0, "share": "batch", "partner": "dataset", "images": 4, "off_last": 0.25},
        {"name": "cutmix", "share": "batch", "partner": "dataset"},
        {"name": "sample_pairing", "partner": "batch_with_replacement"},
        {"name": "maxup", "m": 3, "reduction": "softmax", "temperature": 0.3},
        {"name": "maxup+mixup", "maxup.m": 2, "mixup.partner": "dataset", "mixup.images": 3},
    ],
    ids=str,
)
def test_settings_of_methods_are_kept(method: dict[str, Any]) -> None:
    check_method(method)


SETTINGS = [
    {"name": "crop", "padding": 0},
    {"name": "crop_flip", "padding": 3, "flip": 0.4},
    {"name": "cutout", "size": 0.4, "fill": 99.0},
    {"name": "affine_flip", "shear": 9.0},
    {"name": "photometric", "colour": 0.0, "zoom": 1.0, "rotation": 20.0},
    {"name": "one_of", "hue": 0.2, "brightness": 0.6, "contrast": 0.7},
    {"name": "jpeg", "lowest": 10, "highest": 60, "share": 0.5},
    "affine_flip+photometric+one_of+cutout+crop+crop_flip+jpeg",
]


@pytest.mark.parametrize("settings", [*AUGMENTATIONS, *SETTINGS], ids=str)
@pytest.mark.parametrize("channels", SHAPES)
def test_every_registered_augmentation_gives_its_draws_and_images(settings: Any, channels: int) -> None:
    check_augmentation(settings, channels)


CHANGED = [
    {"name": "sgd", "nesterov": True, "weight_decay": 0.01, "clip_norm": 1.0},
    {"name": "adam", "learning_rate": 0.01, "weight_decay": 0.1, "decay_all": True},
    {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.1},
    {"name": "rmsprop", "learning_rate": 0.01, "momentum": 0.5, "weight_decay": 0.0},
]


@pytest.mark.parametrize("settings", [*({"name": name} for name in OPTIMIZERS), *CHANGED], ids=str)
def test_every_registered_optimizer_gives_its_updates(settings: dict[str, Any]) -> None:
    check_optimizer(settings)


def test_photometric_and_noise_go_together_although_both_make_noise() -> None:
    exported(method="noise", augmentation="photometric")
    exported(method="maxup+noise", augmentation="photometric")


def test_every_pair_of_a_method_and_an_augmentation_shares_one_script() -> None:
    mixing = [name for name in METHODS if "+" not in name]
    for method, augmentation in itertools.product(mixing, AUGMENTATIONS):
        ast.parse(script(recipe(method=method, augmentation=augmentation, model=LINEAR), "train.py"))


def test_no_method_augmentation_or_optimizer_is_named_in_the_exporter() -> None:
    folder = Path(__file__).parents[2] / "search" / "export"
    text = "\n".join(path.read_text() for path in [*folder.glob("*.py"), *folder.glob("templates/*")])
    names = {*METHODS, *AUGMENTATIONS, *OPTIMIZERS} - {"none"}
    assert not [name for name in names if f'"{name}"' in text or f"'{name}'" in text]


SCALE = np.array([0.25, 0.5], dtype="float32")
HALF = SCALE[1]


def darker(images: Any, strength: Any) -> Any:
    return accuracy(images) * (1 - HALF * strength)


def accuracy(images: Any) -> Any:
    """A name that the script has, too."""
    return images


class FadeToGrey(Mixing):
    """A method of somebody else: images with less contrast; "quotes" \\ and all."""

    summary: ClassVar[str] = "less contrast"
    weight: ClassVar[dict[str, float]] = {"least": 0.1}
    name: Literal["fade_to_grey"] = "fade_to_grey"
    least: Annotated[float, Field(gt=0, lt=1)] = 0.5
    level: Literal["low", "high"] = "low"

    @property
    def bound(self) -> float:
        return max(self.least, self.weight["least"])

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        if not active or self.level == "high":
            return {"factor": np.ones((n, 1), "float32")}
        return {"factor": self._factors(rng, n)}

    def _factors(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self.rounded(rng.uniform(self.bound, 1, (n, 1)))

    @classmethod
    def rounded(cls, values: np.ndarray) -> np.ndarray:
        return values.astype("float32")

    @staticmethod
    def apply(images: Any, labels: Any, draws: dict[str, Any]) -> tuple[Any, Any]:
        return darker(images, draws["factor"][..., None, None]), labels


class Darken(Augmentation):
    """An augmentation of somebody else."""

    summary: ClassVar[str] = "darker images"
    identity_settings: ClassVar[dict[str, Any]] = {"strength": 0.0}
    name: Literal["darken"] = "darken"
    strength: Annotated[float, Field(ge=0, le=1)] = 0.4

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> Draws:
        return {"strength": (self.strength * rng.random(n)).astype("float32")}

    @staticmethod
    def apply(images: Any, draws: dict[str, Any]) -> Any:
        return darker(ops.cast(images, "float32"), draws["strength"][:, None, None, None])


class SignSgd(Optimizer):
    """An optimizer of somebody else."""

    summary: ClassVar[str] = "steps by the sign of the gradient"
    slots: ClassVar[int] = 1
    name: Literal["sign_sgd"] = "sign_sgd"
    memory: float = 0.5

    def own_rates(self) -> dict[str, float]:
        return {"memory": self.memory}

    def direction(self, gradient: Any, slots: list[Any], rates: dict[str, Any]) -> tuple[Any, list[Any]]:
        kept = rates["memory"] * slots[0] + (1 - rates["memory"]) * gradient
        return ops.sign(kept), [kept]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry, kind in ((METHODS, FadeToGrey), (AUGMENTATIONS, Darken), (OPTIMIZERS, SignSgd)):
        add(monkeypatch, registry, kind)


def add(monkeypatch: pytest.MonkeyPatch, registry: Registry[Any], kind: Any) -> str:
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    name = str(kind.model_fields["name"].default)
    registry.register(name)(kind)
    return name


@pytest.mark.usefixtures("registered")
def test_what_somebody_else_registered_gives_its_numbers() -> None:
    check_method({"name": "fade_to_grey", "least": 0.3})
    check_method({"name": "maxup+fade_to_grey", "maxup.m": 3})
    check_augmentation({"name": "darken", "strength": 0.7}, 3)
    check_augmentation("crop+darken", 1)
    check_optimizer({"name": "sign_sgd", "learning_rate": 0.01, "weight_decay": 0.1, "clip_norm": 0.5})
    exported(method="fade_to_grey", augmentation="darken", optimizer="sign_sgd")


def test_a_plug_in_by_reference_gives_its_numbers() -> None:
    check_method({"name": f"{__name__}:FadeToGrey", "least": 0.3})


def looked_up() -> Any:
    return METHODS.get("baseline")


class Unfit(Mixing):
    summary: ClassVar[str] = "cannot be exported"
    name: Literal["unfit"] = "unfit"


class WithLookup(Unfit):
    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        looked_up()
        return {}


class WithPydantic(Unfit):
    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        return {key: np.zeros(n) for key in self.model_dump()}


class WithItself(Unfit):
    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        return {"alpha": np.full(n, getattr(self, "alpha"))}  # noqa: B009


class WithParent(Unfit):
    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        return super().draw(rng, n, batch, active)


class WithPartial(Unfit):
    apply = staticmethod(partial(darker, strength=0.5))


def made_here() -> Any:
    def apply(images: Any, labels: Any, draws: dict[str, Any]) -> tuple[Any, Any]:
        return images, hidden

    hidden = 3
    return apply


class WithClosure(Unfit):
    apply = staticmethod(made_here())


class WithLambda(Unfit):
    apply = staticmethod(lambda images, labels, draws: (images, labels))


class WithModule(Unfit):
    @staticmethod
    def apply(images: Any, labels: Any, draws: dict[str, Any]) -> tuple[Any, Any]:
        return ops.identity(images), tensorflow_backend.resident(labels)


class WithArray(Unfit):
    table: ClassVar[np.ndarray] = np.zeros(3)

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        return {"table": np.resize(self.table, n)}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            WithLookup,
            "`WithLookup.draw` uses `looked_up`, .*`METHODS`, .* which works only inside Assay",
        ),
        (WithPydantic, "`WithPydantic.model_dump` is part of `BaseModel`, which the script does not have"),
        (WithItself, "`WithItself.draw` uses `self` as a whole, so what it needs of it is not known"),
        (WithParent, r"`WithParent.draw` calls `super\(\)`"),
        (WithPartial, "the source of `WithPartial.apply` cannot be read: it is functools.partial"),
        (WithClosure, "`WithClosure.apply` uses `hidden` around it"),
        (WithLambda, "the source of `WithLambda.apply` cannot be read"),
        (WithModule, "`WithModule.apply` uses the module `tensorflow_backend` as a whole"),
        (WithArray, "`WithArray.table` is array.*, which cannot be written as code"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(
    kind: type[Mixing], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(monkeypatch, METHODS, kind)
    with pytest.raises(InputError, match=f"method `unfit` cannot be written as a script: .*(?:{message})") as caught:
        script(recipe(method="unfit", model=LINEAR), "train.py")
    assert "Train the recipe with `assay train` instead." in str(caught.value)


def test_a_class_without_a_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"Unfit": Unfit, "__name__": "nowhere"}
    exec("class Typed(Unfit):\n    def draw(self, rng, n, batch, active):\n        return {}\n", names)
    add(monkeypatch, METHODS, names["Typed"])
    with pytest.raises(InputError, match=r"the source of `Typed.draw` cannot be read"):
        script(recipe(method="unfit", model=LINEAR), "train.py")
