"""What a method is: fields with their ranges, a cost, a schedule, draw and apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from trainables.fields import Frozen
from trainables.registry import Registry

if TYPE_CHECKING:
    from typing import Any

    import numpy as np

    Tensor = Any
    Draws = dict[str, np.ndarray]

METHODS: Registry[type[Method]] = Registry("method")


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


class Method(Frozen):
    """How training examples and their loss are made. Subclasses override what differs from plain training.

    A step is: take, repeat `copies` times, base augmentation, `apply`, network, loss per example and copy,
    reduce over copies, mean. `draw` makes small random arrays on the host, for a whole epoch; `apply` is a
    pure function of tensors that runs on the device. It is static, so it cannot look at the fields: what
    depends on them travels in the draws. That is why runs that differ in fields share one compiled step, and
    methods with the same `apply` and the same reduction do, too.
    """

    summary: ClassVar[str] = ""
    paper: ClassVar[str] = ""

    @property
    def copies(self) -> int:
        """Number of differently augmented copies of each image in a step."""
        return 1

    @property
    def reduction(self) -> Literal["mean", "max"]:
        """How the losses of the copies become one: `mean`, or `max` (only the worst copy is trained on)."""
        return "mean"

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

    def check(self, epochs: int, augmentation: str) -> None:
        """Refuse settings with which the method cannot differ from plain training.

        Args:
            epochs: length of the training.
            augmentation: name of the base augmentation.

        Raises:
            InputError: it cannot differ.
        """

    def draw(self, rng: np.random.Generator, n: int, batch: int, active: bool) -> Draws:
        """Draw what one epoch needs, in the order in which the examples come.

        Args:
            rng: the run's `method` stream for this epoch.
            n: examples in the epoch, a multiple of `batch`.
            batch: images per batch.
            active: whether the method is on; if not, the draws leave every image alone.

        Returns:
            arrays of first dimension n; indices of partners are positions in the example's own batch.
        """
        return {}

    @staticmethod
    def apply(images: Tensor, labels: Tensor, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the images and labels that are trained on.

        Args:
            images: float, (batch, height, width, channels), normalised, after base augmentation; with several
                copies (copies x batch, ...), all of copy 0 first.
            labels: float, (batch, classes), one-hot or smoothed; with several copies like the images.
            draws: what `draw` returned, sliced to this batch.
        """
        return images, labels
