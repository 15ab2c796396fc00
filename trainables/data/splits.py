"""Splits into training, validation and test images, stratified by class and with or without groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.errors import InputError

if TYPE_CHECKING:
    import numpy as np


def split(
    labels: np.ndarray,
    split_seed: int,
    validation_fraction: float,
    train_fraction: float,
    groups: np.ndarray | None = None,
    validation: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split the development images, stratified by class.

    The validation part depends on the seed and `validation_fraction` only. Of the rest, `train_fraction` is used for
    training; with the same seed, the images of a smaller fraction are a subset of those of a larger one.

    Args:
        labels: int32 (n,), classes from 0.
        split_seed: seed of the split, at least 0.
        validation_fraction: fraction of each class, in (0, 1).
        train_fraction: fraction of the remaining images of each class, in (0, 1].
        groups: int32 (n,), groups that are not divided; the fractions are then met as closely as whole groups allow.
        validation: bool (n,), a predefined validation part, which replaces the random one.

    Returns:
        indices of the training images and of the validation images, int64, ascending.

    Raises:
        InputError: a class would have no training or no validation image.

    Examples:
        >>> import numpy as np
        >>> train, validation = split(np.array([0, 1] * 10), 0, validation_fraction=0.2, train_fraction=0.5)
        >>> len(train), len(validation)
        (8, 4)
    """
    import numpy as np

    from trainables.randomness import stream

    rng = stream(split_seed, "split")
    if validation is None and groups is not None:
        validation = held_groups(labels, groups, validation_fraction, rng)
    train, held = [], []
    for label in range(int(labels.max()) + 1):
        members = rng.permutation(np.flatnonzero(labels == label))
        if validation is None:
            parts = np.split(members, [_round(len(members) * validation_fraction)])
        else:
            parts = [members[validation[members]], members[~validation[members]]]
        kept = _round(len(parts[1]) * train_fraction)
        if len(parts[0]) == 0 or kept == 0:
            part, name = ("training", "train_fraction") if len(parts[0]) else ("validation", "validation_fraction")
            raise InputError(
                f"class {label} has {len(members)} images, which leaves none for {part} with "
                f"validation_fraction={validation_fraction} and train_fraction={train_fraction}"
                f"{'' if groups is None else ' and whole groups'}: raise `{name}`, or add images of this class"
            )
        held.append(parts[0])
        train.append(parts[1][:kept])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(held))


def held_groups(labels: np.ndarray, groups: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Return the images of whole groups that make up about a fraction of each class, bool (n,).

    Groups are considered in random order. A group is taken if that brings the fractions of the classes closer to the
    target, where all classes have the same weight. Then, for each class without a taken image, the first group that
    leaves images of every class is added.

    Args:
        labels: int32 (n,), classes from 0.
        groups: int32 (n,).
        fraction: target fraction of each class.
        rng: generator of the random order.
    """
    import numpy as np

    _, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((int(group_of.max()) + 1, int(labels.max()) + 1), dtype="int64")
    np.add.at(counts, (group_of, labels), 1)
    total = counts.sum(axis=0)
    shares = counts / np.maximum(total, 1)
    missing = np.where(total > 0, fraction, 0.0)
    taken = np.zeros(len(counts), dtype=bool)
    order = rng.permutation(len(counts))
    for group in order:
        left = missing - shares[group]
        if np.abs(left).sum() < np.abs(missing).sum():
            taken[group], missing = True, left
    for label in np.flatnonzero(total > 0).tolist():
        if counts[taken, label].any():
            continue
        group = _first_spare_group(label, order, counts, taken)
        if group is not None:
            taken[group] = True
    return taken[group_of]


def _first_spare_group(label: int, order: np.ndarray, counts: np.ndarray, taken: np.ndarray) -> int | None:
    """Return the first group with images of a class that leaves images of every class, or None.

    Args:
        label: the class.
        order: int (groups,), the order in which groups are considered.
        counts: int (groups, classes), number of images.
        taken: bool (groups,), the groups that are taken already.
    """
    total = counts.sum(axis=0)
    left = total - counts[taken].sum(axis=0)
    spare = (group for group in order if counts[group, label] and ((left - counts[group])[total > 0] > 0).all())
    return next(spare, None)


def drawn_test_part(labels: np.ndarray, fraction: float, groups: np.ndarray | None) -> np.ndarray:
    """Return the test images of data without a test part, bool (n,); the choice is deterministic.

    Raises:
        InputError: a class would have no image in one of the parts.
    """
    import numpy as np

    _, test = split(labels, 0, fraction, 1.0, groups)
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[test] = True
    return chosen


def _round(value: float) -> int:
    """Round to the nearest integer, halves up."""
    return int(value + 0.5)
