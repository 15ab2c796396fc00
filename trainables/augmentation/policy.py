"""Augmentation policy of a run: augmentations in the order in which they are applied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, ValidationError, model_serializer, model_validator

from trainables.augmentation.base import AUGMENTATIONS, Augmentation
from trainables.errors import InputError, validation_message
from trainables.registration.fields import Frozen

if TYPE_CHECKING:
    import numpy as np

    from trainables.augmentation.base import Draws, Tensor

NONE = "none"
JOINT = "+"


def _step(value: Any) -> Any:
    """Return the registered augmentation of a name, or of {name: ..., setting: value}."""
    if isinstance(value, Augmentation):
        return value
    settings = {"name": value} if isinstance(value, str) else value
    if not isinstance(settings, Mapping) or not isinstance(settings.get("name"), str):
        raise ValueError(f"an augmentation is a name or {{name: ..., setting: value}}, but got {value!r}")
    try:
        return AUGMENTATIONS.get(settings["name"]).model_validate(dict(settings))
    except InputError as error:
        raise ValueError(str(error)) from None


class Policy(Frozen):
    """Augmentations in the order in which they are applied.

    In a study file, a policy is a name (`crop_flip`), several names (`crop_flip+cutout`), an augmentation with
    settings (`{name: affine_flip, rotation: 30}`), or a list of these.
    """

    steps: tuple[Annotated[SerializeAsAny[Augmentation], BeforeValidator(_step)], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if isinstance(value, Policy) or (isinstance(value, Mapping) and set(value) <= {"steps"}):
            return value
        written = value if isinstance(value, list | tuple) else [value]
        steps: list[Any] = []
        for item in written:
            steps += item.split(JOINT) if isinstance(item, str) else [item]
        return {"steps": [step for step in steps if step not in (NONE, {"name": NONE})]}

    @model_validator(mode="after")
    def _once(self) -> Policy:
        names = [_name(step) for step in self.steps]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"`{twice[0]}` is given twice; an augmentation may occur only once")
        return self

    @model_serializer
    def _written(self) -> list[dict[str, Any]] | str:
        return [step.model_dump(mode="json") for step in self.steps] or NONE

    @property
    def name(self) -> str:
        """The names joined by `+`, or `none`."""
        return JOINT.join(_name(step) for step in self.steps) or NONE

    @property
    def mirrors(self) -> bool:
        """Whether an augmentation may mirror images."""
        return any(step.mirrors for step in self.steps)

    @property
    def varies(self) -> bool:
        """Whether an augmentation may change images."""
        return any(step.varies for step in self.steps)

    def settings(self) -> dict[str, Any]:
        """Return every setting by its qualified name, such as `affine_flip.rotation`."""
        return {
            f"{_name(step)}.{key}": value
            for step in self.steps
            for key, value in step.model_dump(mode="json").items()
            if key != "name"
        }

    def draw(self, rng: np.random.Generator, n: int, image_shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
        """Draw the random numbers for `n` images (see `Augmentation.draw`).

        Each augmentation has its own stream, so that adding another one after it does not change its draws. The
        names of the arrays are prefixed with the position of their augmentation, except for the first one.

        Args:
            rng: the `augment` stream of the run for this epoch and copy, not used before.
            n: number of images.
            image_shape: (height, width, channels).
        """
        streams = [rng, *rng.spawn(max(0, len(self.steps) - 1))]
        draws: Draws = {}
        for place, (step, own) in enumerate(zip(self.steps, streams, strict=False)):
            made = step.draw(own, n, image_shape)
            draws |= {_prefix(place) + key: value for key, value in made.items()}
        return draws

    def apply(self, images: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """Return the augmented images (see `Augmentation.apply`)."""
        return apply_in_order(self.steps, images, draws)


def apply_in_order(
    steps: Sequence[Augmentation | type[Augmentation]], images: Tensor, draws: dict[str, Tensor]
) -> Tensor:
    """Return the images after all augmentations, each with its own part of the result of `Policy.draw`."""
    for place, step in enumerate(steps):
        prefix = _prefix(place)
        own = {key.removeprefix(prefix): value for key, value in draws.items() if _place(key) == place}
        images = step.apply(images, own)
    return images


def policy_apply(name: str) -> Callable[[Tensor, dict[str, Tensor]], Tensor]:
    """Return the device function of the policies of a name (see `Augmentation.apply`).

    Args:
        name: `Policy.name`.

    Raises:
        InputError: it contains an unknown augmentation.
    """
    return partial(apply_in_order, [AUGMENTATIONS.get(part) for part in name.split(JOINT)])


def policy_compiles(name: str) -> bool:
    """Return whether XLA can compile the device function of a name (see `policy_apply`)."""
    return all(AUGMENTATIONS.get(part).compiles for part in name.split(JOINT))


def make_policy(value: Any) -> Policy:
    """Return the policy of a value in a study file.

    >>> make_policy("crop+cutout").varies
    True

    Raises:
        InputError: the value is not a policy.
    """
    try:
        return Policy.model_validate(value)
    except ValidationError as error:
        details = "; ".join(map(validation_message, error.errors()))
        raise InputError(f"augmentation: {details}") from None


def _name(step: Augmentation) -> str:
    return str(type(step).model_fields["name"].default)


def _prefix(place: int) -> str:
    return f"{place}." if place else ""


def _place(key: str) -> int:
    head, dot, _ = key.partition(".")
    return int(head) if dot else 0
