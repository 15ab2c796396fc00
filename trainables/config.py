"""Configuration of a training run: frozen, validated, and convertible to flat parameters for MLflow."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from trainables.augmentation import AUGMENTATIONS, Policy
from trainables.data import SOURCES, Source
from trainables.errors import InputError
from trainables.methods import METHODS, Method
from trainables.methods.base import LEAST_ON, off_from
from trainables.methods.baseline import Baseline
from trainables.models import MODELS, Model
from trainables.models.resnet import ResNetV1
from trainables.optimizers import OPTIMIZERS, Optimizer, Sgd
from trainables.registration.fields import Choice, Frozen, Range
from trainables.registration.registry import Registry, lacks
from trainables.schedules import Schedule, fractions, milestone_number, parse_schedule


def _from_registry(registry: Registry[Any], key: str) -> BeforeValidator:
    """Return a validator that turns a name, or {key: name, field: value}, into a registered object."""

    def resolve(value: Any) -> Any:
        if isinstance(value, str):
            value = {key: value}
        if not isinstance(value, Mapping):
            return value
        if key not in value:
            raise ValueError(f"`{key}` is missing; choose from: {', '.join(registry)}")
        return _get(registry, value[key]).model_validate(dict(value))

    return BeforeValidator(resolve)


def _get(registry: Registry[Any], name: Any) -> Any:
    """Return a registered class, or raise an error that pydantic collects with others."""
    if not isinstance(name, str):
        raise ValueError(f"expected the name of a {registry.kind}, but got {name!r}")
    try:
        return registry.get(name)
    except InputError as error:
        raise ValueError(str(error)) from None


AnySource = Annotated[SerializeAsAny[Source], _from_registry(SOURCES, "source")]
AnyMethod = Annotated[SerializeAsAny[Method], _from_registry(METHODS, "name")]
AnyOptimizer = Annotated[SerializeAsAny[Optimizer], _from_registry(OPTIMIZERS, "name")]
AnyModel = Annotated[SerializeAsAny[Model], _from_registry(MODELS, "name")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Milestone = Annotated[float, Field(gt=0, le=1e9)]


class RunConfig(Frozen):
    """All settings of a training run.

    `split_seed` determines the split into training and validation images; `seed` determines the initial weights, the
    order of the images, the augmentation and the method's draws. `train_fraction` is the fraction used of the images
    that are not held out for validation. Only the first `classes` classes are kept, all by default. `label_noise` is
    the fraction of the training images that get a wrong label.

    The training length is `epochs` passes over the training images. If `steps` is set, it is that many steps instead,
    divided evenly into `epochs` evaluation periods. Milestones are fractions `milestone / milestones_of` of the length,
    so [0.5, 0.75] of 1, [80, 120] of 165 (epochs) and [32000, 48000] of 64000 (steps) all scale with it. `warm_up` is a
    fraction of the length. Every schedule is also divided by `1 + rate_decay * step` (inverse-time decay, the `decay`
    of old Keras optimizers), with optimizer steps from 0, regardless of the length.

    With `full_data`, the validation images are used for training as well and nothing is validated. This is for final
    trainings, not for studies.

    The last fraction `fine_tune` of the epochs is trained without the method, and with `fine_tune_off: all` also
    without base augmentation. If it is positive, it covers at least the epochs that a run is evaluated on (see
    `trainables.schedules.selection_epochs`).

    Examples:
        >>> config = RunConfig.from_plain({"data": "digits", "method": "mixup", "mixup.alpha": 0.4, "epochs": 20})
        >>> config.method.name, config.method.alpha, config.epochs
        ('mixup', 0.4, 20)
        >>> RunConfig.from_plain(config.parameters()) == config
        True
    """

    data: AnySource
    train_fraction: Fraction = 1.0
    classes: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    full_data: bool = False
    model: AnyModel = ResNetV1(name="resnet20")
    augmentation: Policy = Policy.model_validate("crop_flip")
    method: AnyMethod = Baseline()
    optimizer: Annotated[AnyOptimizer, Choice(("sgd", "adam"))] = Sgd()
    schedule: Schedule = "milestones"
    milestones: Annotated[tuple[Milestone, ...], Choice(((0.5, 0.75), (0.3, 0.6, 0.9), (0.6,)))] = (0.5, 0.75)
    milestones_of: Annotated[float, Field(gt=0, le=1e9)] = 1.0
    decay_factor: Annotated[float, Field(gt=0, lt=1), Range(0.05, 0.5, log=True)] = 0.1
    warm_up: Annotated[float, Field(ge=0, lt=1), Range(0.0, 0.1)] = 0.0
    batch_size: Annotated[int, Field(ge=1, le=1_000_000), Range(32, 512, log=True, integer=True)] = 128
    rate_decay: Annotated[float, Field(ge=0, le=1), Range(1e-6, 1e-3, log=True)] = 0.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1), Range(0.0, 0.2)] = 0.0
    fine_tune: Annotated[float, Field(ge=0, lt=1), Range(0.0, 0.3)] = 0.0
    fine_tune_off: Literal["method", "all"] = "method"
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 100
    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None
    precision: Literal["float32", "mixed"] = "float32"
    compile: Literal["auto", "xla", "off"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    split_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    deterministic: bool = True

    @model_validator(mode="after")
    def _increasing(self) -> RunConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"`milestones` must increase, but got {list(self.milestones)}")
        if self.milestones and self.milestones[-1] >= self.milestones_of:
            raise ValueError(
                f"`milestones` must be less than the training length, `milestones_of` = {self.milestones_of:g}, "
                f"but got {list(self.milestones)}; for [80, 120] of 165 epochs set `milestones_of: 165`"
            )
        if self.steps is not None and self.steps < self.epochs:
            raise ValueError(
                f"`steps` ({self.steps}) must be at least `epochs` ({self.epochs}), the number of evaluations; lower "
                "`epochs`"
            )
        return self

    @property
    def milestone_fractions(self) -> tuple[float, ...]:
        """Fractions of the length at which the learning rate falls; empty for other schedules."""
        return tuple(fractions(self.milestones, self.milestones_of)) if self.schedule == "milestones" else ()

    def method_on(self, epoch: int) -> bool:
        """Return whether the method is on in an epoch (from 0)."""
        return epoch < off_from(self.fine_tune, self.epochs) and self.method.active(epoch, self.epochs)

    def augmentation_on(self, epoch: int) -> bool:
        """Return whether images are augmented in an epoch (from 0)."""
        return self.fine_tune_off != "all" or epoch < off_from(self.fine_tune, self.epochs)

    @property
    def cost(self) -> float:
        """Mean nominal cost of an epoch, in epochs of plain training."""
        return self.method.mean_cost(self.epochs, off_from(self.fine_tune, self.epochs))

    def check_method(self) -> None:
        """Refuse settings with which the method cannot differ from plain training.

        Raises:
            InputError: it cannot differ.
        """
        self.method.check(self.epochs, self.augmentation.varies)
        on = sum(map(self.method_on, range(self.epochs)))
        if self.fine_tune and on < LEAST_ON * self.epochs:
            raise InputError(
                f"with fine_tune={self.fine_tune:g} the method is on for {on} of {self.epochs} epochs, and at least a "
                "quarter is needed to differ from the baseline; lower `fine_tune` or train longer"
            )

    def parameters(self) -> dict[str, Any]:
        """Return all settings by their plain names: `learning_rate`, `mixup.alpha`, `train_fraction`, ..."""
        plain = self.model_dump(mode="json")
        optimizer, method, source = plain.pop("optimizer"), plain.pop("method"), plain.pop("data")
        plain |= {"augmentation": self.augmentation.name, **self.augmentation.settings()}
        model = plain.pop("model")
        name, optimizer_name, model_name = method.pop("name"), optimizer.pop("name"), model.pop("name")
        return {
            "data": source.pop("source"),
            **{f"data.{key}": value for key, value in source.items()},
            **plain,
            "method": name,
            **self.method.parameters(),
            "optimizer": optimizer_name,
            **optimizer,
            "model": model_name,
            **model,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> RunConfig:
        """Build a configuration from plain names; the inverse of `parameters`.

        Dotted names (`mixup.alpha`, `adamw.learning_rate`) belong to the method, optimizer, model or augmentation of
        that name and are ignored if another one is chosen. Fields of optimizers and models may be given without the
        prefix. `milestone_2` is the second of `milestones`, which may also be a text such as "0.5, 0.75".

        Raises:
            pydantic.ValidationError: a value is not allowed.
            InputError: a dotted name does not match a field, or a milestone is missing before another.
        """
        plain = _with_augmentation(_with_milestones(plain))
        sections = {
            **({"data": _section(plain, "data", "source", None)} if "data" in plain else {}),
            "method": _method_section(plain),
            "optimizer": _section(plain, "optimizer", "name", "sgd"),
            "model": _model_section(plain),
        }
        optimizer = sections["optimizer"]
        if optimizer.get("name") in list(OPTIMIZERS):
            fields = [field for field in OPTIMIZERS.get(optimizer["name"]).model_fields if field in plain]
            for field in fields:
                optimizer.setdefault(field, plain.pop(field))
        return cls.model_validate({**_without_other_choices(plain), **sections})


def _without_other_choices(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings without the fields of methods, optimizers, models and augmentations that are not chosen."""
    registries: tuple[Registry[Any], ...] = (METHODS, OPTIMIZERS, MODELS, AUGMENTATIONS)
    of_optimizers = {field for name in OPTIMIZERS for field in OPTIMIZERS.get(name).model_fields}
    rest = {}
    for key, value in plain.items():
        kind, _, field = key.partition(".")
        owner = next((registry.get(kind) for registry in registries if kind in registry), None) if field else None
        if owner is not None:
            if field not in owner.model_fields:
                raise InputError(lacks(f"`{kind}`", "field", field, sorted(owner.model_fields)))
        elif key not in of_optimizers:
            rest[key] = value
    return rest


def with_epochs(config: RunConfig, epochs: int) -> RunConfig:
    """Return a configuration with another training length; milestones, cycles and steps are scaled with it.

    Args:
        config: the configuration.
        epochs: number of epochs, at least 1.

    Examples:
        >>> longer = with_epochs(RunConfig.from_plain({"data": "digits", "epochs": 20, "steps": 400}), 50)
        >>> longer.epochs, longer.steps
        (50, 1000)
    """
    method = config.method.rescaled(config.epochs, epochs)
    steps = config.steps and max(epochs, round(config.steps * epochs / config.epochs))
    settings = {**config.model_dump(mode="json"), "epochs": epochs, "steps": steps}
    return RunConfig.model_validate({**settings, "method": method.model_dump(mode="json")})


def _method_section(plain: dict[str, Any]) -> dict[str, Any]:
    """Remove the method and its fields (`mixup.alpha`) from `plain` and return them."""
    section = _section(plain, "method", "name", "baseline")
    name = section.get("name")
    if isinstance(name, str) and name in METHODS:
        kind = METHODS.get(name)
        for field in kind.fields():
            if kind.plain(field) in plain:
                section.setdefault(field, plain.pop(kind.plain(field)))
    return section


def _with_milestones(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which `milestone_1`, `milestone_2`, ... have replaced milestones, and text is a list."""
    plain = dict(plain)
    if isinstance(plain.get("milestones"), str):
        with suppress(ValueError):  # validation reports it with all other errors
            plain["milestones"] = parse_schedule(plain["milestones"])
    numbered = {number: name for name in plain if (number := milestone_number(name))}
    if not numbered:
        return plain
    milestones = list(plain.get("milestones", RunConfig.model_fields["milestones"].default))
    for number, name in sorted(numbered.items()):
        if number > len(milestones) + 1:
            raise InputError(
                f"{name}: there are {len(milestones)} milestones before it, {milestones}; set `milestone_"
                f"{len(milestones) + 1}`, or more `milestones` in `recipe`"
            )
        milestones[number - 1 : number] = [plain.pop(name)]
    return {**plain, "milestones": milestones}


def _with_augmentation(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which dotted names (`affine_flip.rotation`) are merged into their augmentation."""
    plain = dict(plain)
    written = plain.get("augmentation", RunConfig.model_fields["augmentation"].default)
    try:
        policy = Policy.model_validate(written)
    except ValidationError:
        return plain  # validation reports it with all other errors
    steps: list[dict[str, Any]] = []
    for step in policy.steps:
        settings = step.model_dump(mode="json")
        prefix = f"{settings['name']}."
        own = [key for key in plain if key.startswith(prefix)]
        steps.append({**settings, **{key.removeprefix(prefix): plain.pop(key) for key in own}})
    return {**plain, "augmentation": steps} if steps else plain


def _model_section(plain: dict[str, Any]) -> dict[str, Any]:
    """Remove the model and its fields, by plain or dotted name, from `plain` and return them.

    Raises:
        InputError: a field belongs to other models only; it can be given to those under a dotted name.
    """
    section = _section(plain, "model", "name", RunConfig.model_fields["model"].default.name)
    name = section.get("name")
    if not isinstance(name, str) or (name not in MODELS and ":" not in name):
        return section
    own = set(MODELS.get(name).model_fields) - {"name"}
    for field in sorted(model_fields() & set(plain)):
        if field not in own:
            raise InputError(
                f"model `{name}` has no `{field}`; it has: {', '.join(sorted(own))}. In a study with several models, "
                f"write `MODEL.{field}` for those that have it."
            )
        section.setdefault(field, plain.pop(field))
    return section


def model_fields() -> frozenset[str]:
    """Return the names of the settings of all models."""
    return _fields_of(tuple(MODELS))


@functools.cache
def _fields_of(models: tuple[str, ...]) -> frozenset[str]:
    return frozenset(field for name in models for field in MODELS.get(name).model_fields) - {"name"}


def _section(plain: dict[str, Any], name: str, key: str, default: str | None) -> dict[str, Any]:
    """Remove `name` and the dotted names that belong to its value from `plain` and return them."""
    chosen = plain.pop(name, default)
    section: dict[str, Any] = dict(chosen) if isinstance(chosen, Mapping) else {key: chosen}
    prefixes = (f"{section.get(key)}.", f"{name}.")
    for dotted in [other for other in plain if other.startswith(prefixes)]:
        section.setdefault(dotted.split(".", 1)[1], plain.pop(dotted))
    return section
