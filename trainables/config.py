"""The configuration of one training run: frozen, validated, and flat enough to compare in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
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
from trainables.registration.fields import Frozen, Range
from trainables.registration.registry import Registry, unknown
from trainables.schedules import Schedule, fractions


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
    """Return what is registered, with an error that pydantic reports beside others."""
    if not isinstance(name, str):
        raise ValueError(f"the name of a {registry.kind} is expected, but got {name!r}")
    try:
        return registry.get(name)
    except InputError as error:
        raise ValueError(str(error)) from None


AnySource = Annotated[SerializeAsAny[Source], _from_registry(SOURCES, "source")]
AnyMethod = Annotated[SerializeAsAny[Method], _from_registry(METHODS, "name")]
AnyOptimizer = Annotated[SerializeAsAny[Optimizer], _from_registry(OPTIMIZERS, "name")]
AnyModel = Annotated[SerializeAsAny[Model], _from_registry(MODELS, "name")]
Fraction = Annotated[float, Field(gt=0, le=1)]
Milestone = Annotated[float, Field(gt=0)]


class RunConfig(Frozen):
    """All that decides one training run.

    `split_seed` decides which images are for validation and training; `seed` the initial weights, the order,
    the augmentation and the method's draws. `train_fraction` is the part used of what validation leaves.
    Of the classes the first `classes` are kept, all by default; `label_noise` is the part of the training images
    that get a wrong label.

    The length is `epochs` times all training images; or `steps`, which `epochs` share evenly, so that an epoch
    is then a time between two evaluations. Milestones count in anything: they stand at `milestone /
    milestones_of` of the length, so [0.5, 0.75] of 1, [80, 120] of 165 (epochs) and [32000, 48000] of 64000
    (steps) all move with it. `warm_up` is a fraction of the length.

    With `full_data`, the validation images are trained on as well and nothing is validated: for a final training,
    never for a study.

    The last part of the epochs, `fine_tune`, is trained without the method, or with `fine_tune_off: all` also
    without base augmentation; if it is above 0, it is at least as long as a run is judged on.
    """

    data: AnySource
    train_fraction: Fraction = 1.0
    classes: Annotated[int, Field(ge=2)] | None = None
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    full_data: bool = False
    model: AnyModel = ResNetV1(name="resnet20")
    augmentation: Policy = Policy.model_validate("crop_flip")
    method: AnyMethod = Baseline()
    optimizer: AnyOptimizer = Sgd()
    schedule: Schedule = "milestones"
    milestones: tuple[Milestone, ...] = (0.5, 0.75)
    milestones_of: Annotated[float, Field(gt=0)] = 1.0
    decay_factor: Annotated[float, Field(gt=0, lt=1), Range(0.05, 0.5, log=True)] = 0.1
    warm_up: Annotated[float, Field(ge=0, lt=1), Range(0.0, 0.1)] = 0.0
    batch_size: Annotated[int, Field(ge=1), Range(32, 512, log=True, integer=True)] = 128
    label_smoothing: Annotated[float, Field(ge=0, lt=1), Range(0.0, 0.2)] = 0.0
    fine_tune: Annotated[float, Field(ge=0, lt=1), Range(0.0, 0.3)] = 0.0
    fine_tune_off: Literal["method", "all"] = "method"
    epochs: Annotated[int, Field(ge=1)] = 100
    steps: Annotated[int, Field(ge=1)] | None = None
    precision: Literal["float32", "mixed"] = "float32"
    compile: Literal["auto", "xla", "off"] = "auto"
    seed: Annotated[int, Field(ge=0)] = 0
    split_seed: Annotated[int, Field(ge=0)] = 0
    deterministic: bool = True

    @model_validator(mode="after")
    def _increasing(self) -> RunConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"`milestones` must increase, but got {list(self.milestones)}")
        if self.milestones and self.milestones[-1] >= self.milestones_of:
            raise ValueError(
                f"`milestones` must lie below the whole length, `milestones_of` = {self.milestones_of:g}, but got "
                f"{list(self.milestones)}; for [80, 120] of 165 epochs set `milestones_of: 165`"
            )
        if self.steps is not None and self.steps < self.epochs:
            raise ValueError(
                f"`steps` ({self.steps}) are shared by `epochs` ({self.epochs}) evaluations and must be as many at "
                "least; lower `epochs`"
            )
        return self

    @property
    def milestone_fractions(self) -> tuple[float, ...]:
        """Fractions of the length at which the learning rate falls; none with another schedule."""
        return tuple(fractions(self.milestones, self.milestones_of)) if self.schedule == "milestones" else ()

    def method_on(self, epoch: int) -> bool:
        """Return whether the method is on in `epoch` (from 0)."""
        return epoch < off_from(self.fine_tune, self.epochs) and self.method.active(epoch, self.epochs)

    def augmentation_on(self, epoch: int) -> bool:
        """Return whether images are augmented in `epoch` (from 0)."""
        return self.fine_tune_off != "all" or epoch < off_from(self.fine_tune, self.epochs)

    @property
    def cost(self) -> float:
        """Nominal cost of a mean epoch, in plain epochs."""
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
        """Return every setting by its plain name: `learning_rate`, `mixup.alpha`, `train_fraction`, ..."""
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

        Dotted names (`mixup.alpha`, `adamw.learning_rate`) belong to the method or optimizer of that name and
        are left out when another is chosen; optimizer fields may also stand without the prefix.

        Raises:
            pydantic.ValidationError: a value is not allowed.
            InputError: a dotted name is of no field.
        """
        plain = _with_augmentation(plain)
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
    """Return what is left when the fields of methods and optimizers that were not chosen are dropped."""
    registries: tuple[Registry[Any], ...] = (METHODS, OPTIMIZERS, MODELS, AUGMENTATIONS)
    of_optimizers = {field for name in OPTIMIZERS for field in OPTIMIZERS.get(name).model_fields}
    rest = {}
    for key, value in plain.items():
        kind, _, field = key.partition(".")
        owner = next((registry.get(kind) for registry in registries if kind in registry), None) if field else None
        if owner is not None:
            if field not in owner.model_fields:
                raise InputError(unknown(f"field of {kind}", field, sorted(owner.model_fields)))
        elif key not in of_optimizers:
            rest[key] = value
    return rest


def _method_section(plain: dict[str, Any]) -> dict[str, Any]:
    """Take the method and its fields, `mixup.alpha`, out of `plain`."""
    section = _section(plain, "method", "name", "baseline")
    name = section.get("name")
    if isinstance(name, str) and name in METHODS:
        kind = METHODS.get(name)
        for field in kind.fields():
            if kind.plain(field) in plain:
                section.setdefault(field, plain.pop(kind.plain(field)))
    return section


def _with_augmentation(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which dotted names (`affine_flip.rotation`) stand with the augmentation that they set."""
    plain = dict(plain)
    written = plain.get("augmentation", RunConfig.model_fields["augmentation"].default)
    try:
        policy = Policy.model_validate(written)
    except ValidationError:
        return plain  # refused with everything else that is wrong
    steps: list[dict[str, Any]] = []
    for step in policy.steps:
        settings = step.model_dump(mode="json")
        prefix = f"{settings['name']}."
        own = [key for key in plain if key.startswith(prefix)]
        steps.append({**settings, **{key.removeprefix(prefix): plain.pop(key) for key in own}})
    return {**plain, "augmentation": steps} if steps else plain


def _model_section(plain: dict[str, Any]) -> dict[str, Any]:
    """Take the model and its fields, by plain or dotted name, out of `plain`.

    Raises:
        InputError: a field is of other models only; for those it can stand under a dotted name.
    """
    section = _section(plain, "model", "name", RunConfig.model_fields["model"].default.name)
    name = section.get("name")
    if not isinstance(name, str) or (name not in MODELS and ":" not in name):
        return section
    own = set(MODELS.get(name).model_fields) - {"name"}
    for field in sorted(model_fields() & set(plain)):
        if field not in own:
            raise InputError(
                f"model `{name}` has no `{field}`; it has: {', '.join(sorted(own))}. Where a study has several models, "
                f"write `MODEL.{field}` for those that have it."
            )
        section.setdefault(field, plain.pop(field))
    return section


def model_fields() -> set[str]:
    """Return the plain names of all models' settings."""
    return {field for name in MODELS for field in MODELS.get(name).model_fields} - {"name"}


def _section(plain: dict[str, Any], name: str, key: str, default: str | None) -> dict[str, Any]:
    """Take `name` and the dotted names that belong to its choice out of `plain`."""
    chosen = plain.pop(name, default)
    section: dict[str, Any] = dict(chosen) if isinstance(chosen, Mapping) else {key: chosen}
    prefixes = (f"{section.get(key)}.", f"{name}.")
    for dotted in [other for other in plain if other.startswith(prefixes)]:
        section.setdefault(dotted.split(".", 1)[1], plain.pop(dotted))
    return section
