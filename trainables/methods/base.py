"""What a method is: fields with their ranges, a cost, a schedule, draw and apply."""

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
"""Smallest fraction of the epochs with a method on."""


class Cycle(NamedTuple):
    """An on/off cycle: `length` epochs from epoch `start` (from 0) to `end`, the last `off` of each without.

    `end` is not included; from there on the method is off. The ends of the off blocks are at
    start + length, start + 2 length, ... epochs.
    """

    start: int
    end: int
    length: int
    off: int

    def on(self, epoch: int) -> bool:
        """Return whether the method is on in `epoch` (from 0)."""
        return self.start <= epoch < self.end and (epoch - self.start) % self.length < self.length - self.off


def off_from(fraction: float, epochs: int) -> int:
    """Return the epoch (from 0) at which a final phase without something begins.

    Args:
        fraction: of the training length; with 0 there is no such phase, else it is at least as long as a run is
            judged on.
        epochs: length of the training.
    """
    if fraction == 0:
        return epochs
    return max(0, min(round((1 - fraction) * epochs), epochs - selection_epochs(epochs)))


class Objective(NamedTuple):
    """How the losses of all examples and copies become one.

    kind: `mean` over all; `max`, the worst copy of each example, found in a pass of its own, is trained on;
        `softmax`, all copies, weighted by the softmax of loss / temperature over an example's copies;
        `batch_max`, the largest loss of the whole batch.
    temperature: of `softmax`, in nats.
    """

    kind: Kind = "mean"
    temperature: float = 1.0


class Method(Frozen):
    """How training examples and their loss are made. Subclasses override what differs from plain training.

    A step is: take, repeat `copies` times, base augmentation, `apply`, network, loss per example and copy, and
    the `objective` that makes them one. `draw` makes small random arrays on the host, for a whole epoch; `apply`
    is a pure function of tensors that runs on the device. It is static, so it cannot look at the fields: what
    depends on them travels in the draws. That is why runs that differ in fields share one compiled step, and
    methods with the same `apply` and the same kind of objective do, too.

    In an epoch in which a method is off, nothing of it is paid for: there is one copy, no guest, and the draws
    leave every image alone.
    """

    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""
    claims: ClassVar[bool] = True
    """Whether a study may claim that it helps or hurts; False for diagnostics."""

    @property
    def copies(self) -> int:
        """Number of differently augmented copies of each image in a step."""
        return 1

    @property
    def guests(self) -> int:
        """Number of images from the whole training set, with an augmentation of their own, for each copy."""
        return 0

    @property
    def drawing(self) -> Method:
        """The method whose `draw` and `apply` run: this one, or the mixing part of a combination."""
        return self

    @property
    def objective(self) -> Objective:
        """How the losses become one."""
        return Objective()

    @property
    def cost(self) -> float:
        """Nominal cost of an epoch with the method on, in plain epochs (forward 1, backward 2)."""
        return 1.0

    def cycle(self, epochs: int) -> Cycle | None:
        """Return the on/off cycle over a training of `epochs` epochs, or None."""
        return None

    def active(self, epoch: int, epochs: int) -> bool:
        """Return whether the method is on in `epoch` (from 0) of `epochs`."""
        cycle = self.cycle(epochs)
        return cycle is None or cycle.on(epoch)

    def mean_cost(self, epochs: int, end: int) -> float:
        """Return the mean nominal cost of an epoch; one with the method off costs one plain epoch.

        Args:
            epochs: length of the training.
            end: from this epoch on (from 0) the method is off in any case.
        """
        on = sum(self.active(epoch, epochs) for epoch in range(min(end, epochs)))
        return 1.0 + (self.cost - 1.0) * on / epochs

    def rescaled(self, before: int, after: int) -> Self:
        """Return the method for a training of `after` epochs in place of `before`; fractions stay as they are."""
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
        """Draw what one copy of each example needs in one epoch, in the order in which the examples come.

        Args:
            rng: the run's `method` stream for this epoch and copy.
            n: examples in the epoch, a multiple of `batch`.
            batch: images per batch.
            active: whether the method is on; if not, the draws leave every image alone.

        Returns:
            arrays of first dimension n. Indices of partners are positions in the example's pool: 0 to batch - 1
            is its own batch, and its guests stand at batch + position, 2 batch + position, ...
        """
        return {}

    @staticmethod
    def apply(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the images and labels that are trained on: of each pool the batch alone, which comes first.

        Args:
            images: float32, (copies, pool, height, width, channels), normalised, after base augmentation. The
                pool is the batch, and after it the guests.
            labels: float32, (copies, pool, classes), one-hot or smoothed.
            draws: what `draw` returned, (copies, batch, ...).
        """
        return images, labels

    @classmethod
    def fields(cls) -> dict[str, FieldInfo]:
        """Return the fields by the names under which a study's method entry sets them."""
        return {name: field for name, field in cls.model_fields.items() if name != "name"}

    @classmethod
    def plain(cls, field: str) -> str:
        """Return a field's name outside the method's own entry: `mixup.alpha`."""
        return f"{short_name(cls.model_fields['name'].default)}.{field}"

    @classmethod
    def searched(cls, settings: Mapping[str, Any]) -> dict[str, Range | Choice]:
        """Return what is searched: the declared fields but those set to one value, and those set to more.

        Args:
            settings: fields that a study sets; a `Range` or `Choice` among them replaces the declared one.
        """
        marks = {name: mark for name, mark in declared(cls).items() if name not in settings}
        return marks | {name: mark for name, mark in settings.items() if isinstance(mark, Range | Choice)}

    def parameters(self) -> dict[str, Any]:
        """Return every field by its plain name."""
        return {self.plain(name): value for name, value in self.model_dump(mode="json", exclude={"name"}).items()}


class Mixing(Method):
    """A method that changes images and labels of a step; it combines with the copies of another.

    Subclasses override `draw`, and `apply` as a static method.
    """

    copies_differ: ClassVar[bool] = True
    """Whether copies with draws of their own differ, also where there is no base augmentation."""


Count = Annotated[
    int,
    Field(ge=1, le=64, description="augmented copies of each image in a step; 1 is plain training"),
    Range(2, 10, integer=True),
]


class Copies(Method):
    """A method that trains on m copies of each image; it combines with one that mixes them."""

    m: Count = 4

    @property
    def copies(self) -> int:
        """As many as `m` says."""
        return self.m

    @property
    def cost(self) -> float:
        """Forward and backward on m copies (see `Method.cost`)."""
        return float(self.m)

    def check(self, epochs: int, augmented: bool) -> None:
        """Refuse copies that cannot differ (see `Method.check`)."""
        if not augmented:
            raise InputError(
                f"{self.name_of()} needs a base augmentation: with `augmentation: none` all copies of an image are "
                "the same; choose `crop` or `crop_flip`, or give each copy a noise of its own: "
                f"`{self.name_of()}+noise`"
            )
        self.check_count()

    def check_count(self) -> None:
        """Refuse too few copies.

        Raises:
            InputError: there is one copy only.
        """
        if self.m < 2:
            raise InputError(
                f"{self.name_of()} needs at least two copies to differ from the baseline, but m={self.m}; set `m` to "
                "2 or more"
            )

    @classmethod
    def name_of(cls) -> str:
        """Return the name for messages."""
        return short_name(cls.model_fields["name"].default)


def short_name(name: str) -> str:
    """Return a method's name without the modules of plug-ins: `maxup+Tiles` for `maxup+package.module:Tiles`."""
    return "+".join(part.rpartition(":")[2] for part in name.split("+"))
