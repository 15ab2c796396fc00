"""The configuration of one training run: frozen, validated, and flat enough to compare in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from trainables.augmentation import AUGMENTATIONS
from trainables.data import SOURCES, Source
from trainables.errors import InputError
from trainables.fields import Frozen
from trainables.methods import METHODS, Method
from trainables.methods.baseline import Baseline
from trainables.models import MODELS
from trainables.optimizers import OPTIMIZERS, Optimizer, Sgd
from trainables.registry import Registry, unknown


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


def _known(registry: Registry[Any]) -> BeforeValidator:
    """Return a validator that accepts only names in the registry."""

    def check(value: Any) -> Any:
        _get(registry, value)
        return value

    return BeforeValidator(check)


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
ModelName = Annotated[str, _known(MODELS)]
AugmentationName = Annotated[str, _known(AUGMENTATIONS)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Milestone = Annotated[float, Field(gt=0, lt=1)]


class RunConfig(Frozen):
    """All that decides one training run.

    `split_seed` decides which images are for validation and training; `seed` the initial weights, the order,
    the augmentation and the method's draws. `train_fraction` is the part used of what validation leaves.
    Milestones are fractions of the training length.
    """

    data: AnySource
    train_fraction: Fraction = 1.0
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    model: ModelName = "resnet20"
    augmentation: AugmentationName = "crop_flip"
    method: AnyMethod = Baseline()
    optimizer: AnyOptimizer = Sgd()
    milestones: tuple[Milestone, ...] = (0.5, 0.75)
    decay_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    batch_size: Annotated[int, Field(ge=1)] = 128
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    epochs: Annotated[int, Field(ge=1)] = 100
    seed: Annotated[int, Field(ge=0)] = 0
    split_seed: Annotated[int, Field(ge=0)] = 0
    deterministic: bool = True

    @model_validator(mode="after")
    def _increasing(self) -> RunConfig:
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"`milestones` must increase, but got {list(self.milestones)}")
        return self

    def parameters(self) -> dict[str, Any]:
        """Return every setting by its plain name: `learning_rate`, `mixup.alpha`, `train_fraction`, ..."""
        plain = self.model_dump(mode="json")
        optimizer, method, source = plain.pop("optimizer"), plain.pop("method"), plain.pop("data")
        name, optimizer_name = method.pop("name"), optimizer.pop("name")
        return {
            "data": source.pop("source"),
            **{f"data.{key}": value for key, value in source.items()},
            **plain,
            "method": name,
            **{f"{name}.{key}": value for key, value in method.items()},
            "optimizer": optimizer_name,
            **optimizer,
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
        plain = dict(plain)
        sections = {
            **({"data": _section(plain, "data", "source", None)} if "data" in plain else {}),
            "method": _section(plain, "method", "name", "baseline"),
            "optimizer": _section(plain, "optimizer", "name", "sgd"),
        }
        optimizer = sections["optimizer"]
        if optimizer.get("name") in list(OPTIMIZERS):
            fields = [field for field in OPTIMIZERS.get(optimizer["name"]).model_fields if field in plain]
            for field in fields:
                optimizer.setdefault(field, plain.pop(field))
        return cls.model_validate({**_without_other_choices(plain), **sections})


def _without_other_choices(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is left when the fields of methods and optimizers that were not chosen are dropped."""
    kinds: dict[str, type[Frozen]] = {
        **{name: METHODS.get(name) for name in METHODS},
        **{name: OPTIMIZERS.get(name) for name in OPTIMIZERS},
    }
    of_optimizers = {field for name in OPTIMIZERS for field in OPTIMIZERS.get(name).model_fields}
    rest = {}
    for key, value in plain.items():
        kind, _, field = key.partition(".")
        if field and kind in kinds:
            if field not in kinds[kind].model_fields:
                raise InputError(unknown(f"field of {kind}", field, sorted(kinds[kind].model_fields)))
        elif key not in of_optimizers:
            rest[key] = value
    return rest


def _section(plain: dict[str, Any], name: str, key: str, default: str | None) -> dict[str, Any]:
    """Take `name` and the dotted names that belong to its choice out of `plain`."""
    chosen = plain.pop(name, default)
    section: dict[str, Any] = dict(chosen) if isinstance(chosen, Mapping) else {key: chosen}
    prefixes = (f"{section.get(key)}.", f"{name}.")
    for dotted in [other for other in plain if other.startswith(prefixes)]:
        section.setdefault(dotted.split(".", 1)[1], plain.pop(dotted))
    return section
