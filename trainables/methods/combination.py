"""Combinations `copies+mixing`: any method with copies over any mixing method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, create_model, model_validator

from trainables.methods.base import Copies, Cycle, Method, Mixing, Objective, short_name
from trainables.registration.fields import Choice, Range

if TYPE_CHECKING:
    import numpy as np
    from pydantic.fields import FieldInfo

    from trainables.methods.base import Draws


class Combination(Method):
    """Copies of each image, each mixed with its own partners and weights.

    The fields of both methods keep their qualified names (`maxup.m`, `mixup.alpha`). Copy j of an example is mixed
    with copy j of other examples; copy 0 is what the mixing method alone gives.
    """

    parts: ClassVar[tuple[str, str]]
    """Names of the two fields that hold the methods."""

    @model_validator(mode="before")
    @classmethod
    def _sorted_into_parts(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        sorted_out: dict[str, Any] = {}
        for key, item in value.items():
            part, _, field = str(key).partition(".")
            if field and part in cls.parts:
                sorted_out.setdefault(part, {})[field] = item
            elif isinstance(item, Mapping):
                sorted_out.setdefault(str(key), {}).update(item)
            else:
                sorted_out[key] = item
        return sorted_out

    @property
    def copied(self) -> Copies:
        """The method with copies."""
        return getattr(self, self.parts[0])

    @property
    def mixing(self) -> Mixing:
        """The mixing method."""
        return getattr(self, self.parts[1])

    @property
    def drawing(self) -> Method:
        """The mixing method (see `Method.drawing`)."""
        return self.mixing

    @property
    def copies(self) -> int:
        """Number of copies (see `Method.copies`)."""
        return self.copied.copies

    @property
    def guests(self) -> int:
        """Guests of the mixing method (see `Method.guests`)."""
        return self.mixing.guests

    @property
    def objective(self) -> Objective:
        """Objective of the method with copies."""
        return self.copied.objective

    @property
    def cost(self) -> float:
        """Product of both costs, since each copy is mixed (see `Method.cost`)."""
        return self.copied.cost * self.mixing.cost

    def cycle(self, epochs: int) -> Cycle | None:
        """Return the cycle of the mixing method (see `Method.cycle`)."""
        return self.mixing.cycle(epochs)

    def active(self, epoch: int, epochs: int) -> bool:
        """Return whether both are on (see `Method.active`)."""
        return self.copied.active(epoch, epochs) and self.mixing.active(epoch, epochs)

    def rescaled(self, before: int, after: int) -> Self:
        """Rescale both methods (see `Method.rescaled`)."""
        return self.model_copy(update={part: getattr(self, part).rescaled(before, after) for part in self.parts})

    def check(self, epochs: int, augmented: bool) -> None:
        """Refuse what either method refuses; mixing may make copies differ (see `Method.check`)."""
        self.mixing.check(epochs, augmented)
        if augmented or not self.mixing.copies_differ:
            self.copied.check(epochs, augmented)
        else:
            self.copied.check_count()

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw the random numbers of the mixing method (see `Method.draw`)."""
        return self.mixing.draw(rng, n, batch, active)

    @classmethod
    def kinds(cls) -> dict[str, type[Method]]:
        """Return the class of each part by the name of its field."""
        kinds = {part: cls.model_fields[part].annotation for part in cls.parts}
        return {part: kind for part, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Method)}

    @classmethod
    def copying(cls) -> type[Copies] | None:
        """Return the class of the method with copies (see `Method.copying`)."""
        return next((found for kind in cls.kinds().values() if (found := kind.copying())), None)

    @classmethod
    def fields(cls) -> dict[str, FieldInfo]:
        """Return the fields of both methods by qualified name (see `Method.fields`)."""
        return {f"{part}.{name}": field for part, kind in cls.kinds().items() for name, field in kind.fields().items()}

    @classmethod
    def plain(cls, field: str) -> str:
        """Return the name unchanged, since it is qualified already (see `Method.plain`)."""
        return field

    @classmethod
    def searched(cls, settings: Mapping[str, Any]) -> dict[str, Range | Choice]:
        """Return the search space of both methods (see `Method.searched`)."""
        marks: dict[str, Range | Choice] = {}
        for part, kind in cls.kinds().items():
            own = {name.partition(".")[2]: item for name, item in settings.items() if name.startswith(f"{part}.")}
            marks |= {f"{part}.{name}": mark for name, mark in kind.searched(own).items()}
        return marks

    @classmethod
    def conditional(cls) -> dict[str, tuple[str, Any]]:
        """Return the conditional fields of both methods (see `Method.conditional`)."""
        return {name: rule for kind in cls.kinds().values() for name, rule in kind.conditional().items()}

    def parameters(self) -> dict[str, Any]:
        """Return the value of every field of both methods by its qualified name."""
        return {**self.copied.parameters(), **self.mixing.parameters()}


def combination(name: str, copies: type[Copies], mixing: type[Mixing]) -> type[Combination]:
    """Return the class of a combination.

    Args:
        name: `copies+mixing`.
        copies: the method with copies.
        mixing: the mixing method.
    """
    parts = tuple(short_name(name).split("+"))

    class Made(Combination):
        summary: ClassVar[str] = f"{copies.summary}, each copy mixed: {mixing.summary}"
        paper: ClassVar[str] = ", ".join(dict.fromkeys(filter(None, (copies.paper, mixing.paper))))
        claims: ClassVar[bool] = copies.claims and mixing.claims
        apply = staticmethod(mixing.apply)

    fields: dict[str, Any] = {
        "name": (Literal[name], name),
        parts[0]: (copies, Field(default_factory=copies)),
        parts[1]: (mixing, Field(default_factory=mixing)),
    }
    title = "".join(part.title().replace("_", "") for part in parts)
    kind = create_model(title, __base__=Made, __module__=__name__, **fields)
    kind.parts = (parts[0], parts[1])
    kind.__doc__ = Combination.__doc__
    return kind
