"""Image selection of a run: its split, its classes, and its label noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from trainables.data.splits import split
from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np


class SelectionSettings(Protocol):
    """The settings of a run that decide which images it uses; a `RunConfig` has them.

    Args:
        train_fraction: fraction of the images not held out for validation that are used for training.
        validation_fraction: fraction of the images held out for validation.
        classes: number of classes to keep, or None for all.
        label_noise: fraction of the training images that get a wrong label.
        full_data: whether validation images are used for training as well.
        split_seed: seed of the split.
    """

    train_fraction: float
    validation_fraction: float
    classes: int | None
    label_noise: float
    full_data: bool
    split_seed: int


@dataclass(frozen=True)
class Selection:
    """The images of a data set that a run uses.

    Args:
        train: int64, positions of the training images in the development images.
        validation: int64, positions of the validation images in the development images.
        test: int64, positions in the test images.
        labels: int32 (n,), labels of all development images; with label noise, some of those of `train` are wrong.
        classes: number of classes.
        measured: maximum number of training images that training metrics are computed on: the number of images held out
            for validation, also where these are trained on. Of many, `trainables.engine.evaluated` leaves some out.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    classes: int
    measured: int


def select(arrays: Mapping[str, np.ndarray], config: SelectionSettings, class_count: int) -> Selection:
    """Return the images that a run uses.

    The first `classes` classes are kept in all parts. Wrong labels are in the training part only. The result depends on
    the data, the settings and `split_seed` only. With `full_data`, the validation images are also training images.

    Args:
        arrays: the data, as returned by `Dataset.arrays`.
        config: settings of the run.
        class_count: number of classes of the data.

    Raises:
        InputError: `classes` exceeds the number of classes, or a class has too few images.
    """
    import numpy as np

    classes = config.classes or class_count
    if classes > class_count:
        raise InputError(f"`classes` is {classes}, but the data has {class_count} classes; lower it")
    kept = np.flatnonzero(arrays["labels"] < classes)
    labels = arrays["labels"][kept]
    parts = split(
        labels,
        config.split_seed,
        config.validation_fraction,
        config.train_fraction,
        *(arrays[name][kept] if name in arrays else None for name in ("groups", "validation")),
    )
    train, validation = (kept[part] for part in parts)
    measured = len(validation)
    if config.full_data:
        train, validation = np.union1d(train, validation), validation[:0]
    test = np.flatnonzero(arrays["test_labels"] < classes)
    noisy = mislabelled(arrays["labels"], train, config.label_noise, classes, config.split_seed)
    return Selection(train, validation, test, noisy, classes, measured)


def mislabelled(labels: np.ndarray, train: np.ndarray, share: float, classes: int, split_seed: int) -> np.ndarray:
    """Return labels, int32 (n,), with a fraction of the training labels replaced uniformly by another class.

    The wrong labels of a smaller fraction are a subset of those of a larger one.

    Args:
        labels: int32 (n,).
        train: positions of the training images.
        share: fraction in [0, 1).
        classes: number of classes.
        split_seed: seed of the choice.
    """
    import numpy as np

    from trainables.randomness import stream

    if share == 0:
        return labels
    rng = stream(split_seed, "label_noise")
    rank, step = rng.random(len(labels)), rng.random(len(labels))
    wrong = train[np.argsort(rank[train], kind="stable")[: int(share * len(train) + 0.5)]]
    made = labels.copy()
    made[wrong] = (labels[wrong] + 1 + (step[wrong] * (classes - 1)).astype("int32")) % classes
    return made
