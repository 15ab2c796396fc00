"""Which images are for training and which for validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def split(
    labels: np.ndarray, split_seed: int, validation_fraction: float, train_fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Split the development images by class.

    The validation part depends on the seed and `validation_fraction` only. Of the rest, `train_fraction` is
    for training; with the same seed the images of a smaller fraction are among those of a larger one.

    Args:
        labels: int32 (n,), classes from 0.
        split_seed: decides which images; at least 0.
        validation_fraction: of each class, in (0, 1).
        train_fraction: of what each class has left, in (0, 1].

    Returns:
        indices of the training images and of the validation images, int64, ascending.

    Raises:
        InputError: a class would have no training or no validation image.
    """
    import numpy as np

    from trainables.randomness import stream

    rng = stream(split_seed, "split")
    train, validation = [], []
    for label in range(int(labels.max()) + 1):
        members = rng.permutation(np.flatnonzero(labels == label))
        held = _round(len(members) * validation_fraction)
        kept = _round((len(members) - held) * train_fraction)
        if held == 0 or kept == 0:
            part, name = ("validation", "validation_fraction") if held == 0 else ("training", "train_fraction")
            raise InputError(
                f"class {label} has {len(members)} images and would have none for {part} with "
                f"validation_fraction={validation_fraction} and train_fraction={train_fraction}: "
                f"raise `{name}`, or add images of this class"
            )
        validation.append(members[:held])
        train.append(members[held : held + kept])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(validation))


def _round(value: float) -> int:
    """Round to the nearest whole number, halves upwards."""
    return int(value + 0.5)
