"""Base class of training methods: fields with search ranges, cost, schedule, `draw` and `apply`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field

from trainables.errors import InputError
from trainables.registration.fields import Choice, Frozen, Range, declared
from trainables.schedules import selection_epochs

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from pydantic.fields import FieldInfo

    Tensor = Any
    Draws = dict[str, np.ndarray]

Kind = Literal["mean", "max", "softmax", "batch_max"]

LEAST_ON = 0.25
"""Smallest fraction of the epochs in which a method has to be on."""


class Cycle(NamedTuple):
    """On/off cycle: blocks of `length` epochs from epoch `start` (from 0), whose last `off` epochs are off.

    From epoch `end` on, the method is off. The off blocks end at start + length, start + 2 length, ... epochs.
    """

    start: int
    end: int
    length: int
    off: int

    def on(self, epoch: int) -> bool:
        """Return whether the method is on in `epoch` (from 0)."""
        return self.start <= epoch < self.end and (epoch - self.start) % self.length < self.length - self.off


def off_from(fraction: float, epochs: int) -> int:
    """Return the epoch (from 0) at which a final off phase begins.

    Args:
        fraction: length of the phase as a fraction of the training; 0 for no such phase. Otherwise the phase has at
            least the epochs that a run is judged on (see `selection_epochs`).
        epochs: length of the training.
    """
    if fraction == 0:
        return epochs
    return max(0, min(round((1 - fraction) * epochs), epochs - selection_epochs(epochs)))


class Objective(NamedTuple):
    """Reduction of the losses of all examples and copies to one loss.

    kind: `mean` of all losses; `max`: mean over examples of the largest loss among an example's copies, which an
        extra forward pass finds; `softmax`: all copies, weighted by the softmax of loss / temperature over an
        example's copies; `batch_max`: the largest loss in the batch.
    temperature: temperature of `softmax`, in nats.
    """

    kind: Kind = "mean"
    temperature: float = 1.0


class Method(Frozen):
    """Base class of training methods. Subclasses override what differs from plain training.

    A step gathers a batch, repeats it `copies` times, augments, calls `apply`, computes the loss of every example
    and copy, and reduces the losses with `objective`. `draw` draws small random arrays on the host for a whole
    epoch; `apply` is a pure function of tensors that runs on the device. It is static and cannot read the fields:
    what depends on them is passed in the draws. So runs with different fields share one compiled step, and so
    do methods with the same `apply` and kind of objective.

    In an epoch in which a method is off, it costs nothing: there is one copy, there are no guests, and the draws
    leave every image unchanged.
    """

    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    only_if: ClassVar[Mapping[str, tuple[str, Any]]] = {}
    """Fields that have an effect only if another field has a value: {field: (other field, value)}."""
    claims: ClassVar[bool] = True
    """Whether contrasts of a study may include the method; False for diagnostics."""

    @property
    def copies(self) -> int:
        """Number of differently augmented copies of each image in a step."""
        return 1

    @property
    def guests(self) -> int:
        """Number of independently augmented images from the whole training set that each copy mixes with."""
        return 0

    @property
    def drawing(self) -> Method:
        """The method whose `draw` and `apply` run: this one, or the mixing part of a combination."""
        return self

    @property
    def objective(self) -> Objective:
        """Reduction of the losses."""
        return Objective()

    @property
    def cost(self) -> float:
        """Nominal cost of an epoch with the method on, in plain epochs (forward pass 1, backward pass 2)."""
        return 1.0

    def cycle(self, epochs: int) -> Cycle | None:
        """Return the on/off cycle of a training of `epochs` epochs, or None if there is none."""
        return None

    def active(self, epoch: int, epochs: int) -> bool:
        """Return whether the method is on in `epoch` (from 0) of `epochs`."""
        cycle = self.cycle(epochs)
        return cycle is None or cycle.on(epoch)

    def mean_cost(self, epochs: int, end: int) -> float:
        """Return the mean nominal cost of an epoch; an epoch with the method off costs 1.

        Args:
            epochs: length of the training.
            end: epoch (from 0) from which the method is off in any case.
        """
        on = sum(self.active(epoch, epochs) for epoch in range(min(end, epochs)))
        return 1.0 + (self.cost - 1.0) * on / epochs

    def rescaled(self, before: int, after: int) -> Self:
        """Return the method with its epoch counts scaled from a training of `before` epochs to one of `after`."""
        return self

    def check(self, epochs: int, augmented: bool) -> None:
        """Refuse settings with which the method cannot differ from plain training.

        Args:
            epochs: length of the training.
            augmented: whether there is a base augmentation.

        Raises:
            InputError: it cannot differ.
        """

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw the random numbers of one copy of each example for one epoch, in the order of the examples.

        Args:
            rng: the `method` stream of the run for this epoch and copy.
            n: examples in the epoch, a multiple of `batch`.
            batch: images per batch.
            active: whether the method is on; otherwise the draws leave every image unchanged.

        Returns:
            Arrays of first dimension n. Partners are given as positions in the pool of the example: 0 to batch - 1
            are its own batch, and its guests have the positions batch + i, 2 batch + i, ... for the i-th example.
        """
        return {}

    @staticmethod
    def apply(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the images and labels of the batch, which comes first in each pool, as the network gets them.

        Args:
            images: float32 (copies, pool, height, width, channels), augmented and normalised. A pool is the batch
                followed by its guests.
            labels: float32 (copies, pool, classes), one-hot or smoothed.
            draws: the result of `draw`, each (copies, batch, ...).
        """
        return images, labels

    @classmethod
    def fields(cls) -> dict[str, FieldInfo]:
        """Return the fields by the names that a study file uses for them."""
        return {name: field for name, field in cls.model_fields.items() if name != "name"}

    @classmethod
    def plain(cls, field: str) -> str:
        """Return the qualified name of a field, such as `mixup.alpha`."""
        return f"{short_name(cls.model_fields['name'].default)}.{field}"

    @classmethod
    def copying(cls) -> type[Copies] | None:
        """Return the class that makes the copies of each image, this one or a part of a combination, or None."""
        return None

    @classmethod
    def searched(cls, settings: Mapping[str, Any]) -> dict[str, Range | Choice]:
        """Return the search space: declared ranges of fields that are not set, and ranges that the study sets.

        Args:
            settings: fields that the study sets; a `Range` or `Choice` among them replaces the declared one.
        """
        marks = {name: mark for name, mark in declared(cls).items() if name not in settings and not mark.on_request}
        return marks | {name: mark for name, mark in settings.items() if isinstance(mark, Range | Choice)}

    @classmethod
    def conditional(cls) -> dict[str, tuple[str, Any]]:
        """Return `only_if` by qualified names."""
        return {cls.plain(name): (cls.plain(other), value) for name, (other, value) in cls.only_if.items()}

    def parameters(self) -> dict[str, Any]:
        """Return the value of every field by its qualified name."""
        return {self.plain(name): value for name, value in self.model_dump(mode="json", exclude={"name"}).items()}


class Mixing(Method):
    """Base class of methods that transform the images and labels of a step; combines with `Copies`.

    Subclasses override `draw`, and `apply` as a static method.
    """

    copies_differ: ClassVar[bool] = True
    """Whether copies differ by their draws alone, without base augmentation."""


Count = Annotated[
    int,
    Field(ge=1, le=64, description="augmented copies of each image in a step; 1 is plain training"),
    Range(2, 10, integer=True),
]


class Copies(Method):
    """Base class of methods that train on m augmented copies of each image; combines with `Mixing`."""

    m: Count = 4

    @classmethod
    def copying(cls) -> type[Copies]:
        """Return the class itself (see `Method.copying`)."""
        return cls

    @property
    def copies(self) -> int:
        """Number of copies (see `Method.copies`)."""
        return self.m

    @property
    def cost(self) -> float:
        """Cost of forward and backward passes over m copies (see `Method.cost`)."""
        return float(self.m)

    def check(self, epochs: int, augmented: bool) -> None:
        """Refuse copies that cannot differ (see `Method.check`)."""
        if not augmented:
            raise InputError(
                f"{self.name_of()} needs a base augmentation: with `augmentation: none` all copies of an image are "
                f"identical. Choose `crop` or `crop_flip`, or add noise to each copy with `{self.name_of()}+noise`."
            )
        self.check_count()

    def check_count(self) -> None:
        """Refuse a single copy.

        Raises:
            InputError: `m` is below 2.
        """
        if self.m < 2:
            raise InputError(
                f"{self.name_of()} needs at least two copies to differ from the baseline, but m={self.m}; set `m` to "
                "2 or more"
            )

    @classmethod
    def name_of(cls) -> str:
        """Return the name of the method for messages."""
        return short_name(cls.model_fields["name"].default)


def short_name(name: str) -> str:
    """Return the name of a method without plug-in modules: `maxup+Tiles` for `maxup+package.module:Tiles`."""
    return "+".join(part.rpartition(":")[2] for part in name.split("+"))
